"""What mail programs write into the headers of their own copies of messages: flags, keywords and labels."""

import re
from collections.abc import Iterable
from email.header import Header
from typing import NamedTuple

from mailarchive.mail.headers import decode

_STATUS = {"R": "\\Seen"}
_X_STATUS = {"A": "\\Answered", "F": "\\Flagged", "T": "\\Draft", "D": "\\Deleted"}
_MOZILLA = {0x0001: "\\Seen", 0x0002: "\\Answered", 0x0004: "\\Flagged", 0x0008: "\\Deleted", 0x1000: "$Forwarded"}
_ROOM_FOR_KEYS = 80
OF_PROGRAMS = frozenset(
    {
        b"x-gm-thrid",
        b"x-gmail-labels",
        b"x-mozilla-status",
        b"x-mozilla-status2",
        b"x-mozilla-keys",
        b"x-account-key",
        b"x-evolution",
        b"x-tuid",
        b"x-getmail-retrieved-from-mailbox",
    }
)
"""Names, in lower case, of the fields that programs add to a message when they keep it, and servers seldom send."""
OF_MBOX = frozenset(
    {b"status", b"x-status", b"x-keywords", b"x-uid", b"x-uidl", b"x-imap", b"x-imapbase", b"content-length"}
)
"""Names of those that are added in an mbox only; elsewhere they are the message's own."""


def _pattern(names: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return what finds fields, with the line end before them: several times as quick as what begins with ``^``."""
    alternatives = b"|".join(sorted(names, reverse=True))
    return re.compile(rb"\n(" + alternatives + rb")[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE)


_FIELD, _FIELD_OF_PROGRAMS = _pattern(OF_PROGRAMS | OF_MBOX), _pattern(OF_PROGRAMS)
_LABEL = re.compile(r'\s*(?:"((?:[^"\\]|\\.|"")*)"|([^,]*))\s*(?:,|\Z)')

_ESCAPED = re.compile(r'\\(.)|""')


_GETMAIL = re.compile(
    rb"\A(Return-Path: (<[^\r\n]*>)\r?\n)(?:Delivered-To: [^\r\n]*\r?\n)?"
    rb"Received: from [^\r\n]* by [^\r\n]* with \S+ getmail\d*(?:[ ;][^\r\n]*)?\r?\n(?:[ \t][^\r\n]*\r?\n)*"
)
"""What getmail puts before a message. Its Return-Path takes the place of the message's own, if it had one."""


class Marks(NamedTuple):
    """Flags and keywords as RFC 9051 section 2.3.2 writes them; ``labels`` as X-Gmail-Labels has them.

    ``mailbox`` is the one that getmail took the message from.
    """

    flags: frozenset[str] = frozenset()
    labels: tuple[str, ...] | None = None
    """None if the header tells of none; a message may have no label."""
    thread_id: str | None = None
    is_told: bool = False
    """Whether the header tells of flags at all: without Status, a message may be unread or of unknown state."""
    mailbox: str = ""


_NONE = Marks()


def read(header: bytes) -> Marks:
    """Return what the header section of a message says; anything that cannot be understood is left out."""
    found = {match[1].lower(): match[2] for match in _FIELD.finditer(b"\n" + header)}
    if not found:
        return _NONE
    flags = {_STATUS[c] for c in _text(found, b"status") if c in _STATUS}
    flags |= {_X_STATUS[c] for c in _text(found, b"x-status") if c in _X_STATUS}
    bits = _hexadecimal(_text(found, b"x-mozilla-status"))
    flags |= {flag for bit, flag in _MOZILLA.items() if bits & bit}
    flags |= set(_text(found, b"x-keywords").split()) | set(_text(found, b"x-mozilla-keys").split())
    is_told = bool(found.keys() & {b"status", b"x-status", b"x-mozilla-status"})
    thread = _text(found, b"x-gm-thrid").strip()
    mailbox = _text(found, b"x-getmail-retrieved-from-mailbox").strip()
    labels = _labels(_text(found, b"x-gmail-labels")) if b"x-gmail-labels" in found else None
    return Marks(frozenset(flags), labels, thread or None, is_told, mailbox)


def lines(flags: Iterable[str], labels: Iterable[str]) -> bytes:
    """Return header lines (LF) that say the same: Status, X-Status, X-Keywords and X-Gmail-Labels."""
    known = {flag.lower(): flag for flag in flags}
    status = "RO" if "\\seen" in known else "O"
    letters = "".join(letter for letter, flag in _X_STATUS.items() if flag.lower() in known)
    keywords = " ".join(sorted(flag for flag in known.values() if not flag.startswith("\\")))
    text = ",".join(map(_quoted, labels))
    named = {"Status": status, "X-Status": letters, "X-Keywords": keywords, "X-Gmail-Labels": text}
    return b"".join(_line(name, value) for name, value in named.items() if value)


def mozilla_lines(flags: Iterable[str]) -> bytes:
    r"""Return header lines (LF) that say the same to Thunderbird, which writes into them in place.

    ``\Deleted`` is only a mark to it (0x00200000, as of IMAP): what it calls expunged would not be shown.
    """
    known = {flag.lower(): flag for flag in flags}
    bits = sum(bit for bit, flag in _MOZILLA.items() if flag.lower() in known and flag != "\\Deleted")
    marked = 0x00200000 if "\\deleted" in known else 0
    keys = [flag for name, flag in sorted(known.items()) if flag[:1] != "\\" and name != "$forwarded"]
    keywords = " ".join(key for key in keys if key.isprintable()).ljust(_ROOM_FOR_KEYS)
    text = f"X-Mozilla-Status: {bits:04x}\nX-Mozilla-Status2: {marked:08x}\nX-Mozilla-Keys: {keywords}\n"
    return text.encode("utf-8", "replace")


def without(header: bytes, *, of_mbox: bool) -> bytes:
    """Return a header section without the fields that programs add, in an mbox or not, and what getmail puts first."""
    text = b"\n" + _without_getmail(header)
    kept, at = [], 1
    for match in (_FIELD if of_mbox else _FIELD_OF_PROGRAMS).finditer(text):
        kept.append(text[at : match.start() + 1])
        at = min(match.end() + 1, len(text))
    return b"".join([*kept, text[at:]])


def _without_getmail(header: bytes) -> bytes:
    match = _GETMAIL.match(header) if header.startswith(b"Return-Path: ") else None
    if match is None:
        return header
    return (b"" if match[2] == b"<unknown>" else match[1]) + header[match.end() :]


def _text(found: dict[bytes, bytes], name: bytes) -> str:
    return decode(found.get(name, b""))


def _hexadecimal(text: str) -> int:
    return int(text, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,8}", text) else 0


def _labels(text: str) -> tuple[str, ...]:
    labels = [match[2] or _ESCAPED.sub(lambda one: one[1] or '"', match[1] or "") for match in _LABEL.finditer(text)]
    return tuple(dict.fromkeys(label.strip() for label in labels if label.strip()))


def _quoted(label: str) -> str:
    return '"' + label.replace("\\", "\\\\").replace('"', '""') + '"' if "," in label or '"' in label else label


def _line(name: str, value: str) -> bytes:
    value = value.encode("utf-8", "replace").decode("utf-8")
    charset = "us-ascii" if value.isascii() and value.isprintable() and "=?" not in value else "utf-8"
    text = Header(value, charset, header_name=name, maxlinelen=76).encode(linesep="\n")
    return f"{name}: {text}\n".encode("ascii")
