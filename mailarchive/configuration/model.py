"""What a configuration says, checked."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from mailarchive.config import Endpoint

CredentialKind = Literal["keyring", "command", "file", "environment", "systemd", "prompt"]
TokenStore = Literal["auto", "keyring", "file"]
"""Where tokens are kept; ``auto``: in the keyring if there is one, else in a file."""


class Credential(NamedTuple):
    """Where a secret is; never the secret. ``value`` is the command, the file, or the name, as the kind wants it."""

    kind: CredentialKind
    value: str = ""


class OAuth(NamedTuple):
    """How an account's access tokens are got, and where they are kept; never a token, nor a client's secret.

    With ``token_command`` that prints them and the rest is of no use. ``parameters`` go into the request for
    authorization; ``redirect_url`` leads back to this machine, to a free port if it names none. ``file`` is where
    tokens are kept that are not in the keyring. A login ends when it was not used for ``idle_days``, and perhaps
    ``trial_days`` after it was made; None if that is not known.
    """

    provider: str
    file: Path
    token_command: str = ""
    client_id: str = ""
    client_secret: Credential | None = None
    authorization_url: str = ""
    device_url: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    redirect_url: str = "http://127.0.0.1"
    store: TokenStore = "auto"
    ca_file: Path | None = None
    idle_days: int | None = None
    trial_days: int | None = None


class AccountEntry(NamedTuple):
    """An account, under the name that the file gives it, and what is pulled from it to where.

    ``mailboxes`` and ``exclude`` are globs over printed names; ``every`` is how often it is meant to be pulled.
    Without ``credential`` the secret is looked for in the usual places; with ``oauth`` it is a token that we get.
    """

    name: str
    endpoint: Endpoint
    archive: Path
    credential: Credential | None = None
    mailboxes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    connections: int | None = None
    max_download: int | None = None
    newest_first: bool = False
    every: timedelta | None = None
    oauth: OAuth | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """What no other account of the configuration may have: who it is, and where it goes."""
        place = self.endpoint
        return place.protocol, place.user, place.host.lower(), place.port, self.archive


class Notify(NamedTuple):
    """Whom to tell that a run was not complete, from whom, and over which SMTP server."""

    endpoint: Endpoint
    to: str
    sender: str
    credential: Credential | None = None


class Configuration(NamedTuple):
    """All of a configuration file; ``archives`` are its directories by name."""

    file: Path
    archives: Mapping[str, Path]
    accounts: Mapping[str, AccountEntry]
    notify: Notify | None = None
    clients: frozenset[str] = frozenset()
    """Providers of which the file names a client for all accounts."""
