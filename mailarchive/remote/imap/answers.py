"""What untagged responses say (RFC 9051 section 7), as values of the model."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

from mailarchive.errors import ProtocolViolation
from mailarchive.mail.body import MemoryBody, SpooledBody
from mailarchive.mail.mailbox_name import decode_name
from mailarchive.model import Body, Cursor, MessageFacts, UidValidity
from mailarchive.remote.imap.responses import Untagged
from mailarchive.remote.imap.scan import Atom, Scanner, Value, unescaped
from mailarchive.remote.imap.sets import Range, parse_set

_DELIMITER = re.compile(rb' *(?:"\\?(.)"|NIL)(?= |$)', re.IGNORECASE | re.DOTALL)
_STATUS = re.compile(rb' *(?:"([^"\\]*)"|([^ "(){}\\]+)) \(([A-Za-z0-9 ]*)\) *')
"""The usual shape: a name that needs no unquoting, and numbers."""
_NUMBERS = re.compile(rb"[0-9 ]*(?:\(MODSEQ \d+\))? *", re.IGNORECASE)
_DATE = re.compile(rb" *(\d{1,2})-([A-Za-z]{3})-(\d{4}) +(\d{1,2}):(\d\d):(\d\d)(?: *([+-])(\d\d):?(\d\d))?")
_MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_SPECIAL_USES = {
    name.lower(): name
    for name in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash")
} | {"\\starred": "\\Flagged"}
_LABEL = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^ ]+)')
_BODIES = (b"BODY[]", b"BODY.PEEK[]", b"RFC822")


class ListAnswer(NamedTuple):
    """One LIST response (RFC 9051 section 7.3.1)."""

    raw: bytes
    delimiter: str | None
    selectable: bool
    special_use: frozenset[str]


def read_list(answer: Untagged) -> ListAnswer:
    """Return what a LIST response says. Raises ProtocolViolation."""
    scanner = answer.scanner()
    attributes = scanner.value()
    if not isinstance(attributes, list):
        raise ProtocolViolation("the server sent a LIST answer without attributes")
    words = {word.lower() for word in _texts(attributes)}
    delimiter = _DELIMITER.match(scanner.rest())
    if delimiter is None:
        raise ProtocolViolation("the server sent a LIST answer without a delimiter")
    scanner.skip(delimiter.end())
    return ListAnswer(
        raw=_mailbox(scanner),
        delimiter=delimiter[1].decode("latin-1") if delimiter[1] else None,
        selectable=words.isdisjoint(("\\noselect", "\\nonexistent")),
        special_use=frozenset(_SPECIAL_USES[word] for word in words if word in _SPECIAL_USES),
    )


def _mailbox(scanner: Scanner) -> bytes:
    text = scanner.rest().strip()
    if text and not text.startswith((b'"', b"(")) and b" " in text and b"(" not in text:
        # A name with spaces that the server forgot to quote.
        return text
    name = scanner.text()
    return b"INBOX" if name.upper() == b"INBOX" else name


def read_status(answer: Untagged) -> tuple[bytes, Cursor | None]:
    """Return the mailbox of a STATUS response (RFC 9051 section 7.3.4) and its cursor, None without UIDVALIDITY.

    Raises ProtocolViolation.
    """
    name, values = _status_parts(answer)
    items = {
        key.upper(): number(value)
        for key, value in zip(values[::2], values[1::2], strict=False)
        if isinstance(key, bytes)
    }
    uidvalidity = items.get(b"UIDVALIDITY")
    raw = b"INBOX" if name.upper() == b"INBOX" else name
    if uidvalidity is None:
        return raw, None
    return raw, Cursor(
        UidValidity(uidvalidity),
        items.get(b"UIDNEXT"),
        items.get(b"HIGHESTMODSEQ") or None,
        items.get(b"MESSAGES"),
    )


def _status_parts(answer: Untagged) -> tuple[bytes, Sequence[Value]]:
    usual = _STATUS.fullmatch(answer.text()) if len(answer.parts) == 1 else None
    if usual is not None:
        return usual[1] or usual[2] or b"", usual[3].split()
    scanner = answer.scanner()
    name, values = scanner.text(), scanner.value()
    if not isinstance(values, list):
        raise ProtocolViolation("the server sent a STATUS answer without a list")
    return name, values


def read_search(answer: Untagged) -> list[Range]:
    """Return the numbers of a SEARCH or ESEARCH response (RFC 9051 section 7.3.4, RFC 3501 section 7.2.5).

    Raises ProtocolViolation.
    """
    if answer.name == b"SEARCH":
        text = answer.text()
        if len(answer.parts) != 1 or not _NUMBERS.fullmatch(text):
            raise ProtocolViolation("the server sent a SEARCH answer that is no list of numbers")
        words = text.partition(b"(")[0].split()
        if max(map(len, words), default=0) > 10:
            raise ProtocolViolation("the server sent a SEARCH answer with a number that is none")
        return [(uid, uid) for uid in map(int, words)]
    scanner = answer.scanner()
    if scanner.peek() == b"(":
        scanner.value()
    while not scanner.at_end():
        word = scanner.value()
        if isinstance(word, Atom) and word.upper() == b"ALL":
            numbers = scanner.value()
            if not isinstance(numbers, Atom):
                raise ProtocolViolation("the server sent an ESEARCH answer that is no set of numbers")
            return parse_set(numbers)
    return []


def read_fetch(answer: Untagged) -> dict[bytes, Value]:
    """Return the data items of a FETCH response by name (RFC 9051 section 7.5.2). Raises ProtocolViolation."""
    scanner = answer.scanner()
    if not scanner.accept(b"("):
        raise ProtocolViolation("the server sent a FETCH answer without a list")
    items: dict[bytes, Value] = {}
    while not scanner.at_end():
        # Some servers go on behind the closing parenthesis.
        if not scanner.accept(b")"):
            name = scanner.name()
            items[name] = scanner.value()
    return items


def number(value: Value) -> int | None:
    """Return a number of at most 63 bits (RFC 9051 section 9), None for anything else."""
    found = int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 20 else None
    return found if found is not None and found < 1 << 63 else None


def body(items: dict[bytes, Value]) -> Body | None:
    """Return the message's octets among the data items of a FETCH response; NIL is none."""
    return next(filter(None, (as_body(items.get(name)) for name in _BODIES)), None)


def as_body(value: Value) -> Body | None:
    """Return a string as octets of a message; NIL and any other atom is none."""
    if isinstance(value, SpooledBody):
        return value
    return MemoryBody(bytes(value)) if isinstance(value, bytes) and not isinstance(value, Atom) else None


def facts(items: dict[bytes, Value]) -> MessageFacts | None:
    """Return what the data items of a FETCH response say of a message, None without a UID."""
    uid = number(items.get(b"UID"))
    if uid is None:
        return None
    date = items.get(b"INTERNALDATE")
    return MessageFacts(
        uid,
        number(items.get(b"RFC822.SIZE")),
        internaldate(date) if isinstance(date, bytes) else None,
        flags_of(items.get(b"FLAGS")),
        _object_id(items.get(b"X-GM-MSGID") or items.get(b"EMAILID")),
        _labels_of(items.get(b"X-GM-LABELS")),
        _object_id(items.get(b"X-GM-THRID") or items.get(b"THREADID")),
    )


def _object_id(value: Value) -> str | None:
    """Return Gmail's number of a message or conversation, or an objectid (RFC 8474 section 7)."""
    if isinstance(value, list):
        value = value[0] if value else None
    return value.decode("latin-1") if isinstance(value, bytes) and value else None


@lru_cache(4096)
def labels(words: bytes) -> tuple[str, ...]:
    """Return the Gmail labels in a list without its parentheses, decoded; they may be quoted or not."""
    found = ((quoted, atom) for quoted, atom in _LABEL.findall(words))
    return tuple(decode_name(atom or unescaped(quoted)) for quoted, atom in found)


def _labels_of(value: Value) -> tuple[str, ...]:
    """Return the Gmail labels of a list; one that is called NIL and not quoted is no NIL."""
    if not isinstance(value, list):
        return ()
    names = (b"NIL" if label is None else label for label in value)
    return tuple(decode_name(bytes(name)) for name in names if isinstance(name, bytes))


def flags_of(value: Value) -> frozenset[str]:
    """Return flags and keywords without ``\\Recent``."""
    if not isinstance(value, list):
        return frozenset()
    return frozenset(flag for flag in _texts(value) if flag.lower() != "\\recent")


@lru_cache(4096)
def flags(words: bytes) -> frozenset[str]:
    """Return the flags in a list without its parentheses, without ``\\Recent``."""
    return flags_of([Atom(word) for word in words.split()])


def internaldate(octets: bytes) -> datetime | None:
    """Return a date-time (RFC 9051 section 9), in UTC if its zone is missing or unreadable; None if it is no date."""
    match = _DATE.match(octets)
    if match is None:
        return None
    day, name, year, hour, minute, second, *zone = match.groups()
    month = _MONTHS.get(name.lower(), 0)
    try:
        # A leap second is second 60, which datetime does not know.
        return datetime(int(year), month, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=_zone(*zone))
    except ValueError:
        return None


@lru_cache(256)
def _zone(sign: bytes | None, hours: bytes | None, minutes: bytes | None) -> tzinfo:
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if not offset or offset >= timedelta(days=1):
        return UTC
    return timezone(-offset if sign == b"-" else offset)


def _texts(values: list[Value]) -> list[str]:
    return [value.decode("utf-8", "backslashreplace") for value in values if isinstance(value, bytes)]
