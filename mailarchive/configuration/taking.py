"""What values a key of the configuration may have: each function makes something of one, None if it does not fit."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from mailarchive.config import is_host
from mailarchive.configuration.model import Credential, CredentialKind
from mailarchive.configuration.tables import Table

Choice = TypeVar("Choice", bound=str)


def credential(table: Table, file: Path) -> Credential:
    """Return where a secret is, which a whole table says. Raises UsageError."""
    ways: Mapping[CredentialKind, tuple[str, Callable[[object], str | None]]] = {
        "keyring": ("true", true),
        "prompt": ("true", true),
        "command": ("a command whose first line is the password", text),
        "file": ("the path of a file whose first line is the password", path_text(file)),
        "environment": ("the name of an environment variable", text),
        "systemd": ("the name of a systemd credential", text),
    }
    taken = [(kind, table.take(kind, expects, accept, None)) for kind, (expects, accept) in ways.items()]
    table.end()
    found = [Credential(kind, value) for kind, value in taken if value is not None]
    if len(found) != 1:
        table.fail("", f"must name one way to the password: {', '.join(ways)}")
    return found[0]


def text(value: object) -> str | None:
    """Take a text that is not empty, in one line."""
    is_text = isinstance(value, str) and value and not any(ord(char) < 32 or ord(char) == 127 for char in value)
    return str(value) if is_text else None


def texts(value: object) -> tuple[str, ...] | None:
    """Take a list of such texts."""
    found = tuple(text(one) for one in value) if isinstance(value, list) else (None,)
    return None if None in found else tuple(str(one) for one in found)


def address(value: object) -> str | None:
    """Take a mail address."""
    found = text(value)
    return found if found and re.fullmatch(r"[^@\s]+@[^@\s]+", found) else None


def flag(value: object) -> bool | None:
    """Take true or false."""
    return value if isinstance(value, bool) else None


def host(value: object) -> str | None:
    """Take the name or address of a host."""
    found = text(value)
    return found if found and is_host(found) else None


def true(value: object) -> str | None:
    """Take true; there is nothing more to say."""
    return "" if value is True else None


def number(least: int, most: int) -> Callable[[object], int | None]:
    """Return what takes a whole number within these bounds."""
    return lambda value: (
        value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None
    )


def one_of(choices: tuple[Choice, ...]) -> Callable[[object], Choice | None]:
    """Return what takes one of these."""
    return lambda value: next((choice for choice in choices if choice == value), None)


def path_from(file: Path) -> Callable[[object], Path | None]:
    """Return what reads a path; one that is not absolute is beside the configuration."""

    def path(value: object) -> Path | None:
        found = text(value)
        return (file.parent / Path(found).expanduser()).absolute() if found else None

    return path


def path_text(file: Path) -> Callable[[object], str | None]:
    """Return what takes a path, as text."""
    read_path = path_from(file)
    return lambda value: str(path) if (path := read_path(value)) else None


def https(value: object) -> str | None:
    """Take a URL that leads to a server under TLS."""
    found = text(value)
    try:
        parts = urlsplit(found or "")
        fits = parts.scheme == "https" and bool(parts.hostname) and not parts.fragment and parts.port != 0
    except ValueError:
        return None
    return found if found and fits and " " not in found else None


def loopback(value: object) -> str | None:
    """Take the URL of this machine itself, with or without a port (RFC 8252 section 7.3)."""
    found = text(value)
    try:
        parts = urlsplit(found or "")
        fits = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"} and parts.port != 0
    except ValueError:
        return None
    return found if fits and not parts.query and not parts.fragment else None
