"""What is kept of a login, and the contract of a place where it is kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Protocol

from mailarchive.errors import UsageError

VERSION = 1
_LOGIN = "log in again, which replaces them: mailarchive account login (see mailarchive account list for the name)"
_MOMENTS = frozenset({"granted", "issued", "expires", "refresh_expires", "refused"})


@dataclass(frozen=True, slots=True)
class Tokens:
    """A login of ``user`` with our client, and what it gives.

    ``granted`` is when the user logged in; ``issued`` when the access token was given, which is when the refresh token
    was last used; ``refused`` when the refresh token was first refused. ``expires`` and ``refresh_expires`` are None
    where the provider does not tell.
    """

    user: str
    provider: str
    client_id: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    granted: datetime
    issued: datetime
    expires: datetime | None = None
    refresh_expires: datetime | None = None
    refused: datetime | None = None

    def dump(self) -> str:
        """Return it as JSON."""
        values = {
            key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(self).items()
        }
        return json.dumps({"version": VERSION, **values}, indent=1)

    @classmethod
    def load(cls, text: str, place: str) -> "Tokens":
        """Return what ``dump`` made. Raises UsageError if it is something else; ``place`` is where it was found."""
        try:
            said: Mapping[str, Any] = json.loads(text)
            values: dict[str, Any] = {one.name: _value(one.name, said[one.name]) for one in fields(cls)}
            if said["version"] == VERSION:
                return cls(**values)
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        raise UsageError(f"what is kept in {place} are no tokens that can be read", hint=_LOGIN)


def _value(name: str, value: object) -> object:
    if name in _MOMENTS:
        moment = None if value is None and name not in {"granted", "issued"} else datetime.fromisoformat(str(value))
        if moment is not None and moment.tzinfo is None:
            raise ValueError(name)
        return moment
    if not isinstance(value, str):
        raise TypeError(name)
    return value


class TokenStore(Protocol):
    """Where the tokens of one account are kept."""

    @property
    def place(self) -> str:
        """Where that is, in words, as in "kept in …"."""

    def load(self) -> Tokens | None:
        """Return what is kept, None if nothing is. Raises UsageError, AuthenticationFailed."""

    def save(self, tokens: Tokens) -> None:
        """Keep ``tokens`` instead of what was kept; durable when it returns. Raises StorageFailed."""

    def remove(self) -> None:
        """Keep nothing. Raises StorageFailed."""
