"""Header fields that are not ASCII, written in ASCII as RFC 2047 and RFC 2231 have it; pure."""

import base64
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import quote_from_bytes

_LONGEST_WORD = 75
_LONGEST_LINE = 76
_LEAST_ROOM = 40
_FIELD = re.compile(rb"([!-9;-~]+)([ \t]*:)(.*?)((?:\r?\n)?)", re.DOTALL)
_WITH_ADDRESSES = frozenset(
    {
        *(b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"disposition-notification-to"),
        *(b"resent-from", b"resent-sender", b"resent-reply-to", b"resent-to", b"resent-cc", b"resent-bcc"),
    }
)
_WITH_PARAMETERS = frozenset({b"content-type", b"content-disposition"})
_QUOTED = rb'"(?:[^"\\]|\\.)*+"'
_TEXT = re.compile(rb"[^ \t\r\n]+")
_PHRASE = re.compile(_QUOTED + rb'|[^ \t\r\n<>(),;:"]+|[<>(),;:"]', re.DOTALL)
_PARAMETER = re.compile(rb"(?<![^ \t\r\n;])([^ \t\r\n;=]{1,60})=(" + _QUOTED + rb'|[^ \t\r\n;"]+)', re.DOTALL)
_FOLD = re.compile(rb"\r?\n")


class _Part(NamedTuple):
    """A piece of a field's value, and the white space before it."""

    gap: bytes
    octets: bytes


def in_ascii(field: bytes) -> bytes:
    """Return a header field, given with its line end, with encoded words for what is not ASCII (RFC 2047 section 5).

    They are UTF-8 if the value is, else said to be ISO-8859-1. Around addresses, names are encoded and the syntax
    stays; parameters are written by RFC 2231. What is ASCII, or no field, comes back as it is.
    """
    match = _FIELD.fullmatch(field)
    if match is None or field.isascii():
        return field
    name, value, end = match[1].lower(), match[3], match[4]
    charset = _charset(value)
    if name in _WITH_PARAMETERS:
        value = _PARAMETER.sub(lambda found: _parameter(found, charset), value)
    parts = list(_parts(value, _PHRASE if name in _WITH_ADDRESSES else _TEXT))
    line = _Line(match[1] + match[2], b"\n" if end == b"\n" else b"\r\n")
    for before, part, after in zip([None, *parts], parts, [*parts[1:], None], strict=False):
        if part.octets.isascii():
            line.add(part)
        else:
            line.encode(part.gap, _text(before, part, after), charset)
    return line.octets + value[len(value.rstrip(b" \t\r\n")) :] + end


def _charset(octets: bytes) -> str:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return "iso-8859-1"
    return "utf-8"


def _parameter(found: re.Match[bytes], charset: str) -> bytes:
    """Return a parameter with its value as RFC 2231 section 4 has it, if that is not ASCII."""
    if found[2].isascii() or not found[1].isascii():
        return found[0]
    return b"%b*=%b''%b" % (found[1], charset.encode(), quote_from_bytes(_unquoted(found[2]), safe="").encode())


def _unquoted(octets: bytes) -> bytes:
    if octets[:1] != b'"' or octets[-1:] != b'"' or len(octets) < 2:
        return octets
    return re.sub(rb"\\(.)", rb"\1", octets[1:-1], flags=re.DOTALL)


def _parts(value: bytes, pattern: re.Pattern[bytes]) -> Iterator[_Part]:
    """Yield the parts of a value; what follows each other and is not ASCII is one part."""
    gap, held, end = b"", b"", 0
    for found in pattern.finditer(value):
        octets = found[0] if pattern is _TEXT or found[0].isascii() else _unquoted(found[0])
        between, end = value[end : found.start()], found.end()
        if held and not octets.isascii():
            held += _FOLD.sub(b"", between) + octets
            continue
        if held:
            yield _Part(gap, held)
            held = b""
        if octets.isascii():
            yield _Part(between, octets)
        else:
            gap, held = between, octets
    if held:
        yield _Part(gap, held)


def _text(before: _Part | None, part: _Part, after: _Part | None) -> bytes:
    """Return what is to be encoded: white space between encoded words is shown only if it is in one (section 6.2)."""
    left = part.gap if before is not None and before.octets.endswith(b"?=") else b""
    right = after.gap if after is not None and after.octets.startswith(b"=?") else b""
    return _FOLD.sub(b"", left) + part.octets + _FOLD.sub(b"", right)


class _Line:
    """A field that is being written. It is folded where a line with an encoded word gets too long (section 2)."""

    def __init__(self, name: bytes, line_end: bytes) -> None:
        self._pieces = [name]
        self._column = len(name)
        self._line_end = line_end
        self._is_after_word = False

    @property
    def octets(self) -> bytes:
        """What was written."""
        return b"".join(self._pieces)

    def add(self, part: _Part) -> None:
        """Add what is ASCII; an encoded word before it is set off by a space."""
        gap = part.gap or (b" " if self._is_after_word else b"")
        too_long = self._column + len(gap) + len(part.octets) > _LONGEST_LINE
        self._append(gap, part.octets, fold=self._is_after_word and too_long and b"\n" not in gap)
        self._is_after_word = False

    def encode(self, gap: bytes, octets: bytes, charset: str) -> None:
        """Add encoded words; the first stands on the line that was begun if there is room for some of it."""
        gap = gap or b" "
        blank = len(gap) - gap.rfind(b"\n") - 1
        room = _LONGEST_LINE - blank - (0 if b"\n" in gap else self._column)
        fold = room < _LEAST_ROOM and b"\n" not in gap
        for word in _words(octets, charset, max(_LONGEST_LINE - blank if fold else room, _LEAST_ROOM)):
            self._append(gap, word, fold=fold)
            gap, fold = b" ", True
        self._is_after_word = True

    def _append(self, gap: bytes, octets: bytes, *, fold: bool) -> None:
        piece = (self._line_end if fold else b"") + gap + octets
        self._pieces.append(piece)
        self._column = len(piece) - piece.rfind(b"\n") - 1 + (0 if b"\n" in piece else self._column)


def _words(octets: bytes, charset: str, room: int) -> Iterator[bytes]:
    """Yield encoded words of whole characters, the first of at most ``room`` octets (RFC 2047 sections 2 and 5)."""
    wide = [place for place in range(len(octets)) if charset != "utf-8" or octets[place] & 0xC0 != 0x80]
    start, room = 0, min(room, _LONGEST_WORD)
    frame = len(charset) + len("=??b??=")
    for place, following in pairwise([*wide, len(octets)]):
        if _base64_length(following - start) + frame > room:
            yield _word(octets[start:place], charset)
            start, room = place, _LONGEST_WORD
    yield _word(octets[start:], charset)


def _base64_length(size: int) -> int:
    """Return how many characters ``size`` octets become."""
    return (size + 2) // 3 * 4


def _word(octets: bytes, charset: str) -> bytes:
    return b"=?%b?b?%b?=" % (charset.encode(), base64.b64encode(octets))
