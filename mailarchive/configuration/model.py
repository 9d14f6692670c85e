"""What a configuration says, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from mailarchive.config import Endpoint

CredentialKind = Literal["keyring", "command", "file", "environment", "systemd", "prompt"]


@dataclass(frozen=True, slots=True)
class Credential:
    """Where a secret is; never the secret. ``value`` is the command, the file, or the name, as the kind wants it."""

    kind: CredentialKind
    value: str = ""


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account, under the name that the file gives it, and what is pulled from it to where.

    ``mailboxes`` and ``exclude`` are globs over printed names; ``every`` is how often it is meant to be pulled.
    Without ``credential`` the secret is looked for in the usual places.
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


@dataclass(frozen=True, slots=True)
class Notify:
    """Whom to tell that a run was not complete, from whom, and over which SMTP server."""

    endpoint: Endpoint
    to: str
    sender: str
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """All of a configuration file; ``archives`` are its directories by name."""

    file: Path
    archives: Mapping[str, Path]
    accounts: Mapping[str, AccountEntry]
    notify: Notify | None = None
