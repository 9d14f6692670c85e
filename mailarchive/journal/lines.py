"""Facts as JSON lines and back (store/FORMAT.md, "Journal")."""

import json
from collections.abc import Callable, Hashable
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, get_type_hints

from mailarchive import facts as f
from mailarchive.model import Digest, HeaderDigest, RemoteUid


class MalformedLine(ValueError):
    """A line is no fact that this format allows."""


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class _Field(NamedTuple):
    """One field of a kind of fact; ``encode`` makes JSON text of its values, ``from_json`` a value of parsed JSON."""

    name: str
    default: Any
    key: str
    encode: Callable[[Any], str]
    from_json: Callable[[Any], Any] | None


def _hex(octets: bytes) -> str:
    return f'"{octets.hex()}"'


def _moment(moment: datetime | None) -> str:
    return "null" if moment is None else f'"{moment.isoformat()}"'


def _uid(uid: RemoteUid) -> str:
    return encode_basestring_ascii(uid) if isinstance(uid, str) else int.__repr__(uid)


@lru_cache(1024)
def _words(words: Hashable) -> str:
    return _encode(words)


def _field_of(name: str, hint: Any, default: Any) -> _Field:
    encode: Callable[[Any], str] = _encode
    from_json: Callable[[Any], Any] | None = None
    if hint in (bytes, Digest, HeaderDigest):
        encode, from_json = _hex, bytes.fromhex
    elif hint in (datetime, datetime | None):
        encode, from_json = _moment, datetime.fromisoformat
    elif hint == tuple[str, ...]:
        encode, from_json = _words, tuple
    elif getattr(hint, "__origin__", None) is tuple:
        from_json = tuple
    elif hint == RemoteUid:
        encode = _uid
    elif hint is int:
        encode = int.__repr__
    elif hint is str:
        encode = encode_basestring_ascii
    return _Field(name, default, f',"{name}":', encode, from_json)


def _fields_of(kind: type[Any]) -> tuple[_Field, ...]:
    hints, defaults = get_type_hints(kind), kind._field_defaults
    return tuple(_field_of(name, hints[name], defaults.get(name, _NO_DEFAULT)) for name in kind._fields)


_NO_DEFAULT = object()
_NAMES: dict[type[Any], str] = {
    f.Part: "part",
    f.ArchiveMade: "archive",
    f.RunBegan: "run",
    f.RunEnded: "ended",
    f.AccountSeen: "account",
    f.MailboxSeen: "mailbox",
    f.MailboxVanished: "vanished",
    f.MessageStored: "message",
    f.Placed: "placed",
    f.FlagsChanged: "flags",
    f.LabelsChanged: "labels",
    f.Gone: "gone",
    f.Failed: "failed",
    f.CursorMoved: "cursor",
    f.BlockPacked: "block",
    f.Lost: "lost",
    f.Checkpoint: "checkpoint",
}
"""What the line of each kind of fact has as its ``t``."""
_KINDS = {name: kind for kind, name in _NAMES.items()}
_FIELDS: dict[type[Any], tuple[_Field, ...]] = {kind: _fields_of(kind) for kind in _NAMES}


def to_line(fact: f.Fact) -> bytes:
    """Return ``fact`` as its JSON line, line end included. Fields that have their default are left out."""
    kind = type(fact)
    pieces = [f'{{"t":"{_NAMES[kind]}"']
    for value, item in zip(fact, _FIELDS[kind], strict=True):
        if value != item.default:
            pieces += (item.key, item.encode(value))
    pieces.append("}\n")
    return "".join(pieces).encode("ascii")


def from_line(line: bytes) -> f.Fact | None:
    """Return the fact of a line, or None if its type is not known here. Raises MalformedLine."""
    if not line.endswith(b"\n"):
        raise MalformedLine("a line without end")
    try:
        values = json.loads(line)
        kind = _KINDS.get(values["t"])
        if kind is None:
            return None
        arguments = {}
        for item in _FIELDS[kind]:
            value = values.get(item.name, _NO_DEFAULT)
            if value is not _NO_DEFAULT:
                arguments[item.name] = item.from_json(value) if item.from_json and value is not None else value
        fact: f.Fact = kind(**arguments)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedLine(f"not a journal line: {line[:80]!r}") from error
    return fact
