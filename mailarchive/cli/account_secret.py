"""The password of an account that is added: got, tried, and kept where the configuration can refer to it."""

import os
from pathlib import Path
from typing import NamedTuple

from mailarchive.cli import asking
from mailarchive.cli.credentials import VARIABLE, PasswordOptions, password_for
from mailarchive.cli.render import clean, plural
from mailarchive.cli.safekeeping import IN_KEYRING, has_keyring, keep_in_file, keep_in_keyring
from mailarchive.cli.terminal import notice, say
from mailarchive.config import Endpoint, account_of
from mailarchive.configuration import Credential
from mailarchive.errors import AuthenticationFailed, UsageError
from mailarchive.providers import provider_of

_ATTEMPTS = 3
_PROMPT = Credential("prompt")
_KEYRING = Credential("keyring")
_FILE = Credential("file")


class Secret(NamedTuple):
    """Where the secret of an account is.

    ``kept`` tells where a password was put just now, ``is_token`` that there is none, as a token has to be got.
    """

    credential: Credential | None
    kept: str = ""
    is_token: bool = False

    @property
    def is_new(self) -> bool:
        """Whether it was kept just now."""
        return bool(self.kept)


def credential_of(
    *,
    command: str | None,
    file: Path | None,
    environment: str | None,
    systemd: str | None,
    keyring: bool,
    prompt: bool,
) -> Credential | None:
    """Return where the password is by the options; None if there are none. Raises UsageError if there are several."""
    found = [
        *([Credential("command", command)] if command else []),
        *([Credential("file", _absolute(file))] if file else []),
        *([Credential("environment", environment)] if environment else []),
        *([Credential("systemd", systemd)] if systemd else []),
        *([_KEYRING] if keyring else []),
        *([_PROMPT] if prompt else []),
    ]
    if len(found) > 1:
        raise UsageError("several options tell where the password is", hint="give one of them")
    return found[0] if found else None


def _absolute(file: Path) -> str:
    try:
        return str(file.expanduser().absolute())
    except RuntimeError:
        raise UsageError(f"there is no home directory for {file}", hint="give the whole path") from None


def say_needs(endpoint: Endpoint) -> None:
    """Say what the provider wants of those who log in."""
    provider = provider_of(endpoint.host, endpoint.port)
    if provider is not None and (needs := provider.advice.get("login")):
        say(f"Needed: {needs}.")


def with_secret(
    endpoint: Endpoint, credential: Credential | None, file: Path, name: str, *, asks: bool, checks: bool
) -> Secret:
    """Return where the secret of the account is; logs in with it if ``checks``.

    A password that is typed in is kept: in the keyring, or in a file beside the configuration ``file``.
    Raises UsageError, AuthenticationFailed and what else a log-in raises.
    """
    if credential is None and endpoint.auth != "password":
        return Secret(None, is_token=True)
    place = credential or (None if os.environ.get(VARIABLE) else _found(endpoint))
    if place == _KEYRING and not _is_in_keyring(endpoint):
        return _into_keyring(endpoint, checks=checks)
    if place is None and asking.is_anybody_there() and not os.environ.get(VARIABLE):
        return _kept(endpoint, file, name, _typed(endpoint, checks=checks), asks=asks)
    if not checks:
        return Secret(place)
    try:
        _log_in_as_at_each_run(endpoint, place)
    except AuthenticationFailed as error:
        if place != _KEYRING or not asking.is_anybody_there():
            raise
        _say_failed(error)
        return Secret(keep_in_keyring(account_of(endpoint).name, _typed(endpoint, checks=True)), IN_KEYRING)
    return Secret(place)


def _found(endpoint: Endpoint) -> Credential | None:
    """Return where a password is without having been named: only the keyring is worth to be written down."""
    return _KEYRING if _is_in_keyring(endpoint) else None


def _is_in_keyring(endpoint: Endpoint) -> bool:
    try:
        password_for(account_of(endpoint).name, PasswordOptions(), _KEYRING)
    except AuthenticationFailed:
        return False
    return True


def _into_keyring(endpoint: Endpoint, *, checks: bool) -> Secret:
    """Put a password into the keyring that is typed, or stands in MAILARCHIVE_PASSWORD."""
    if not has_keyring():
        raise UsageError(
            "there is no system keyring",
            hint="install mailarchive with its keyring extra, or choose another place (see --help)",
        )
    account = account_of(endpoint).name
    if os.environ.get(VARIABLE) or not asking.is_anybody_there():
        password = password_for(account, PasswordOptions(), None if os.environ.get(VARIABLE) else _KEYRING)
        if checks:
            _log_in(endpoint, password)
    else:
        password = _typed(endpoint, checks=checks)
    return Secret(keep_in_keyring(account, password), IN_KEYRING)


def _log_in_as_at_each_run(endpoint: Endpoint, place: Credential | None) -> None:
    if place == _PROMPT and asking.is_anybody_there():
        _typed(endpoint, checks=True)
        return
    _log_in(endpoint, password_for(account_of(endpoint).name, PasswordOptions(), place))
    if place is None:
        say(f"The password came from {VARIABLE}, and is not kept: later runs need it too.")


def _typed(endpoint: Endpoint, *, checks: bool) -> str:
    """Return the password that somebody types, tried if ``checks``; a wrong one may be typed anew."""
    attempt = 1
    while True:
        password = password_for(account_of(endpoint).name, PasswordOptions(), _PROMPT)
        try:
            if checks:
                _log_in(endpoint, password)
            return password
        except AuthenticationFailed as error:
            if attempt == _ATTEMPTS:
                raise
            _say_failed(error)
            attempt += 1


def _say_failed(error: AuthenticationFailed) -> None:
    notice(str(error))
    say(f"  hint: {clean(error.hint)}")


def _log_in(endpoint: Endpoint, password: str) -> None:
    from mailarchive.clock import SystemClock
    from mailarchive.ops.trial import try_account

    say(f"Logging in to {clean(endpoint.host)} as {clean(endpoint.user)} …")
    try:
        found = try_account(endpoint, lambda: password, SystemClock())
    except AuthenticationFailed as error:
        local = endpoint.user.partition("@")[0]
        if local != endpoint.user and provider_of(endpoint.host, endpoint.port) is None:
            error.hint = f"{error.hint}; some servers want only what is before the @: --user {local}"
        raise
    say(f"It works: {plural(len(found.mailboxes), 'mailbox')}.")


def _kept(endpoint: Endpoint, file: Path, name: str, password: str, *, asks: bool) -> Secret:
    """Keep a password where it is asked to be; the first place there is if nobody is asked."""
    places = {IN_KEYRING: _KEYRING} if has_keyring() else {}
    places |= {f"a file that only you can read, {file.parent / 'secrets' / name}": _FILE}
    places |= {"nowhere: ask at each run": _PROMPT}
    choices = list(places)
    if asks:
        say("Where is the password to be kept?")
    place = places[choices[asking.choose("Place", choices) if asks else 0]]
    if place == _PROMPT:
        return Secret(_PROMPT)
    if place == _KEYRING:
        return Secret(keep_in_keyring(account_of(endpoint).name, password), IN_KEYRING)
    kept = keep_in_file(file, name, password)
    return Secret(kept, kept.value)
