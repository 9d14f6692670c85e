"""Facts as JSON lines and back (store/FORMAT.md, "Journal")."""

import json
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any, get_type_hints

from mailarchive.facts import Fact
from mailarchive.model import Digest, HeaderDigest


class MalformedLine(ValueError):
    """A line is no fact that this format allows."""


_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    default: Any
    to_json: _Convert | None
    from_json: _Convert | None


def _fields_of(kind: type) -> tuple[_Field, ...]:
    hints = get_type_hints(kind)
    found = []
    for item in fields(kind):
        hint = hints[item.name]
        to_json: _Convert | None = None
        from_json: _Convert | None = None
        if hint in (bytes, Digest, HeaderDigest):
            to_json, from_json = bytes.hex, bytes.fromhex
        elif hint in (datetime, datetime | None):
            to_json, from_json = datetime.isoformat, datetime.fromisoformat
        elif getattr(hint, "__origin__", None) is tuple:
            from_json = tuple
        default = item.default_factory() if item.default_factory is not MISSING else item.default
        found.append(_Field(item.name, default, to_json, from_json))
    return tuple(found)


_KINDS: dict[str, type[Any]] = {kind.t: kind for kind in Fact.__args__}
_FIELDS: dict[type[Any], tuple[_Field, ...]] = {kind: _fields_of(kind) for kind in _KINDS.values()}
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


def to_line(fact: Fact) -> bytes:
    """Return ``fact`` as its JSON line, line end included. Fields that have their default are left out."""
    values: dict[str, Any] = {"t": fact.t}
    for item in _FIELDS[type(fact)]:
        value = getattr(fact, item.name)
        if value != item.default:
            values[item.name] = item.to_json(value) if item.to_json else value
    return _encode(values).encode("ascii") + b"\n"


def from_line(line: bytes) -> Fact | None:
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
            value = values.get(item.name, MISSING)
            if value is not MISSING:
                arguments[item.name] = item.from_json(value) if item.from_json and value is not None else value
        fact: Fact = kind(**arguments)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedLine(f"not a journal line: {line[:80]!r}") from error
    return fact
