"""Facts as JSON lines and back (store/FORMAT.md, "Journal")."""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, get_type_hints

from mailarchive import facts as f
from mailarchive.model import Digest, HeaderDigest, RemoteUid


class MalformedLine(ValueError):
    """A line is no fact that this format allows."""


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
_scan = json.JSONDecoder().raw_decode


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
    if hint in (bytes, Digest, HeaderDigest, Digest | None, HeaderDigest | None):
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
    f.TargetSeen: "target",
    f.TargetMailboxSeen: "target_mailbox",
    f.Sending: "sending",
    f.NotTaken: "not_taken",
    f.NotThere: "not_there",
    f.Restored: "restored",
    f.Removing: "removing",
    f.Removed: "removed",
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


def _fact(values: Mapping[str, Any]) -> f.Fact | None:
    """Return the fact of a parsed line, or None if its type is not known here."""
    name = values["t"]
    if name in _OFTEN:
        return _OFTEN[name](values)
    kind = _KINDS.get(name)
    if kind is None:
        return None
    arguments = {}
    for item in _FIELDS[kind]:
        value = values.get(item.name, _NO_DEFAULT)
        if value is not _NO_DEFAULT:
            arguments[item.name] = item.from_json(value) if item.from_json and value is not None else value
    fact: f.Fact = kind(**arguments)
    return fact


def _message(values: Mapping[str, Any], octets: Callable[[str], Any] = bytes.fromhex) -> f.MessageStored:
    return f.MessageStored(
        octets(values["digest"]),
        octets(values["header"]),
        values["size"],
        values["block"],
        values["offset"],
        values["length"],
        values["eol"],
        values.get("final", True),
        None if (form := values.get("form")) is None else octets(form),
        values.get("form_size"),
    )


def _placed(values: Mapping[str, Any], octets: Callable[[str], Any] = bytes.fromhex) -> f.Placed:
    get = values.get
    date = get("date")
    return f.Placed(
        values["mailbox"],
        values["uidvalidity"],
        values["uid"],
        octets(values["digest"]),
        None if date is None else datetime.fromisoformat(date),
        tuple(get("flags", ())),
        get("account_id"),
        tuple(get("labels", ())),
        get("rfc822size"),
        get("by"),
        get("thread_id"),
    )


def _flags(values: Mapping[str, Any]) -> f.FlagsChanged:
    return f.FlagsChanged(values["mailbox"], values["uidvalidity"], values["uid"], tuple(values.get("flags", ())))


_OFTEN: dict[str, Callable[[Mapping[str, Any]], f.Fact]] = {"message": _message, "placed": _placed, "flags": _flags}
"""What most lines of a journal are, read without a look at each field's description."""


def from_line(line: bytes) -> f.Fact | None:
    """Return the fact of a line, or None if its type is not known here. Raises MalformedLine."""
    if not line.endswith(b"\n"):
        raise MalformedLine("a line without end")
    try:
        return _fact(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedLine(f"not a journal line: {line[:80]!r}") from error


def from_lines(octets: bytes, at: int) -> Iterator[tuple[f.Fact | None, int]]:
    """Yield what ``from_line`` returns for each line from ``at`` on, and where the line ends. Raises MalformedLine."""
    text = octets.decode("ascii", "replace")
    is_ascii = octets.isascii()
    while at < len(octets):
        end = octets.find(b"\n", at) + 1
        fact = None
        try:
            values, stop = _scan(text, at)
            is_read = is_ascii and stop + 1 == end
            if is_read:
                fact = _fact(values)
        except (ValueError, TypeError, KeyError, AttributeError):
            is_read = False
        # What is no line as a writer makes it may still be one: with spaces around it, or not in ASCII.
        yield (fact if is_read else from_line(octets[at:end])), end
        at = end
