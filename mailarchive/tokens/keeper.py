"""Gives access tokens that are good: from what is kept, renewed in time, by one process at a time."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailarchive.clock import Clock
from mailarchive.configuration import OAuth
from mailarchive.errors import SourceUnreachable, StorageFailed, TokenDenied, UsageError
from mailarchive.remote.oauth import AuthorizationServer, Grant
from mailarchive.tokens.base import Tokens, TokenStore
from mailarchive.tokens.explain import why_ended
from mailarchive.tokens.files import locked

MARGIN = timedelta(minutes=5)
"""So long before its end an access token is renewed; where all of its life is short, when half of it is over."""

ENDED = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
"""What a provider says of a refresh token that it no longer takes (RFC 6749 section 5.2, OpenID Connect)."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose tokens these are: the account by its name in the configuration, and how they are got.

    ``secret`` gives the client's secret, empty if it has none; it is asked only when it is needed.
    """

    name: str
    user: str
    oauth: OAuth
    secret: Callable[[], str]

    def server(self) -> AuthorizationServer:
        """Return the authorization server, with our client. Raises what the secret's place raises."""
        return AuthorizationServer(self.oauth, self.secret())

    @property
    def login(self) -> str:
        """What to type to log in."""
        return f"mailarchive account login {shlex.quote(self.name)}"


class Keeper:
    """Gives the access tokens of one account when it is called, by several threads and processes at the same time."""

    def __init__(self, holder: Holder, store: TokenStore, clock: Clock) -> None:
        self._holder = holder
        self._store = store
        self._clock = clock

    def __call__(self) -> str:
        """Return an access token that is good for some minutes.

        If the process dies between the provider's answer and the disk, a refresh token that it gave in place of the
        old one is lost; where the old one is no longer taken then, the user has to log in again.
        Raises TokenDenied, AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation.
        """
        with _of_the_account():
            tokens = self._kept()
            if not is_due(tokens, self._clock.now()):
                return tokens.access
            with locked(self._holder.oauth.file):
                tokens = self._kept()
                return self._renewed(tokens).access if is_due(tokens, self._clock.now()) else tokens.access

    def replace(self, refused: str) -> bool:
        """Renew the access token ``refused``, which a server did not take; return whether there is another one now."""
        with _of_the_account(), locked(self._holder.oauth.file):
            tokens = self._kept()
            if tokens.access == refused and tokens.refresh:
                tokens = self._renewed(tokens)
            return tokens.access != refused

    def keep(self, grant: Grant) -> Tokens:
        """Keep what a login gave. Raises StorageFailed."""
        now, holder = self._clock.now(), self._holder
        tokens = _with(Tokens(holder.user, holder.oauth.provider, holder.oauth.client_id, "", "", now, now), grant, now)
        with locked(holder.oauth.file):
            self._store.save(tokens)
        return tokens

    def _kept(self) -> Tokens:
        tokens, holder = self._store.load(), self._holder
        if tokens is None:
            raise TokenDenied(
                f"nobody has logged in for {holder.name} yet: no tokens are in {self._store.place}", hint=holder.login
            )
        if (tokens.user, tokens.client_id) != (holder.user, holder.oauth.client_id):
            raise TokenDenied(
                f"the login of {holder.name} was made for another user or with another client_id", hint=holder.login
            )
        return tokens

    def _renewed(self, tokens: Tokens) -> Tokens:
        """Renew the tokens and keep them; if that cannot be done now, those that are kept may still do."""
        holder = self._holder
        if not tokens.refresh:
            raise TokenDenied(
                f"the access token of {holder.name} has expired, and there is no refresh token", hint=holder.login
            )
        try:
            grant = holder.server().refresh(tokens.refresh)
        except SourceUnreachable:
            if tokens.expires is not None and tokens.expires > self._clock.now():
                return tokens
            raise
        except TokenDenied as error:
            if error.code not in ENDED:
                raise TokenDenied(str(error), hint=error.hint or holder.login, code=error.code) from None
            self._store.save(replace(tokens, refused=tokens.refused or self._clock.now()))
            words = f"the login of {holder.name} has ended: {error}"
            raise TokenDenied(words, hint=why_ended(holder.oauth, holder.login), code=error.code) from None
        renewed = _with(tokens, grant, self._clock.now())
        self._store.save(renewed)
        return renewed


@contextmanager
def _of_the_account() -> Iterator[None]:
    """Let what is wrong with the place of a secret or of tokens stop this account, and no other."""
    try:
        yield
    except (StorageFailed, UsageError) as error:
        raise TokenDenied(str(error), hint=error.hint) from None


def is_due(tokens: Tokens, now: datetime) -> bool:
    """Return whether an access token is to be renewed. Of one that does not tell its end, an hour is taken for it."""
    expires = tokens.expires or tokens.issued + timedelta(hours=1)
    margin = min(MARGIN, (expires - tokens.issued) / 2)
    return now >= expires - margin or now < tokens.issued - MARGIN


def _with(tokens: Tokens, grant: Grant, now: datetime) -> Tokens:
    """Return the tokens with what was given now; a refresh token stays if there is no new one (RFC 6749 section 6)."""
    refresh_expires = tokens.refresh_expires
    if grant.refresh_seconds is not None:
        refresh_expires = now + timedelta(seconds=grant.refresh_seconds)
    return replace(
        tokens,
        access=grant.access,
        refresh=grant.refresh or tokens.refresh,
        issued=now,
        expires=None if grant.seconds is None else now + timedelta(seconds=grant.seconds),
        refresh_expires=refresh_expires,
        refused=None,
    )
