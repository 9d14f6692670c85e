"""What a server that mail is restored to may refuse about a message, and a copy that it takes; pure.

``mend`` is the only place where octets of a message are changed, and only when the user asked for a mended copy.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum

from mailarchive.mail.digest import header_section
from mailarchive.mail.encoded_words import in_ascii


class Flaw(StrEnum):
    """Something about a message that not every server takes."""

    NUL = "nul"
    BARE_NEWLINE = "bare-newline"
    NO_FINAL_CRLF = "no-final-crlf"
    LONG_LINE = "long-line"
    EIGHT_BIT_HEADER = "8bit-header"


WHAT: Mapping[Flaw, str] = {
    Flaw.NUL: "it holds NUL octets",
    Flaw.BARE_NEWLINE: "it has line ends that are not CRLF",
    Flaw.NO_FINAL_CRLF: "its last line does not end with CRLF",
    Flaw.LONG_LINE: "it has lines that are too long",
    Flaw.EIGHT_BIT_HEADER: "its header is not ASCII",
}
FIXES: Mapping[Flaw, str] = {
    Flaw.NUL: "NUL octets become spaces",
    Flaw.BARE_NEWLINE: "all line ends become CRLF",
    Flaw.NO_FINAL_CRLF: "the last line is ended",
    Flaw.LONG_LINE: "long lines are broken",
    Flaw.EIGHT_BIT_HEADER: "header fields that are not ASCII become encoded words",
}
LONGEST = 998
"""Octets of a line without its end (RFC 5322 section 2.1.1)."""

_LINE_END = re.compile(rb"\r+\n|\r|\n")
_FIELD = re.compile(rb"[^\n]*(?:\n(?=[ \t])[^\n]*)*(?:\n|\Z)")
_FOLDS = re.compile(rb"(?<=[^ \t\r])[ \t]+(?=[^ \t\r])")


def flaws(octets: bytes, longest: int = LONGEST) -> frozenset[Flaw]:
    """Return what a server may refuse about a message; lines are those that end with LF, ``longest`` is in octets."""
    found = {
        Flaw.NUL: b"\0" in octets,
        Flaw.BARE_NEWLINE: not octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r"),
        Flaw.NO_FINAL_CRLF: not octets.endswith(b"\r\n"),
        Flaw.LONG_LINE: _has_long_line(octets, longest),
        Flaw.EIGHT_BIT_HEADER: not header_section(octets).isascii(),
    }
    return frozenset(flaw for flaw, is_there in found.items() if is_there)


def _has_long_line(octets: bytes, longest: int) -> bool:
    """Look for a line end in each stretch that a line may have at most: one step for many short lines."""
    start = 0
    while len(octets) - start > longest:
        limit = start + longest
        end = octets.rfind(b"\n", start, limit + 1)
        if end < 0 and octets[limit : limit + 2] != b"\r\n":
            return True
        start = (end if end >= 0 else limit + 1) + 1
    return False


def mend(octets: bytes, flaws: Collection[Flaw], longest: int = LONGEST) -> bytes:
    """Return a copy of a message without those of ``flaws`` that can be mended; lines get at most ``longest`` octets.

    Only what is named in ``flaws`` is changed: without them the octets come back as they are, and mending what is
    mended changes nothing. Several CR before an LF are one line end. What is left alone: header lines that are not
    ASCII and no fields; lines of the header, and of a message without an empty line, where they have no white space.
    ``longest`` is 78 or more, as encoded words need room.
    """
    if Flaw.NUL in flaws:
        octets = octets.replace(b"\0", b" ")
    if Flaw.BARE_NEWLINE in flaws:
        octets = _LINE_END.sub(b"\r\n", octets)
    if Flaw.NO_FINAL_CRLF in flaws and not octets.endswith(b"\r\n"):
        octets = octets.removesuffix(b"\n").rstrip(b"\r") + b"\r\n"
    if Flaw.EIGHT_BIT_HEADER in flaws:
        head = header_section(octets)
        octets = b"".join(map(in_ascii, _FIELD.findall(head))) + octets[len(head) :]
    if Flaw.LONG_LINE in flaws and _has_long_line(octets, longest):
        head = header_section(octets)
        octets = _broken(head, longest, is_header=True) + _broken(octets[len(head) :], longest, is_header=False)
    return octets


def _broken(text: bytes, longest: int, *, is_header: bool) -> bytes:
    """Return ``text`` with its long lines in pieces that end with CRLF; short lines keep their ends."""
    lines = []
    for line in text.split(b"\n"):
        content = line.removesuffix(b"\r")
        if len(content) > longest:
            pieces = _folded(content, longest) if is_header else _hard_broken(content, longest)
            line = b"\r\n".join(pieces) + line[len(content) :]
        lines.append(line)
    return b"\n".join(lines)


def _folded(line: bytes, longest: int) -> Iterator[bytes]:
    """Yield a header line in pieces, folded before white space (RFC 5322 section 2.2.3): none of them is blank."""
    start = last = 0
    for fold in _FOLDS.finditer(line):
        if fold.end() - start > longest and last > start:
            yield line[start:last]
            start = last
        last = fold.start()
    if len(line) - start > longest and last > start:
        yield line[start:last]
        start = last
    yield line[start:]


def _hard_broken(line: bytes, longest: int) -> Iterator[bytes]:
    """Yield a line of the body in pieces: broken after white space if there is some, else between characters."""
    start = 0
    while len(line) - start > longest:
        limit = start + longest
        end = max(line.rfind(b" ", start, limit), line.rfind(b"\t", start, limit)) + 1
        if end <= start:
            end = next((at for at in range(limit, limit - 4, -1) if line[at] & 0xC0 != 0x80), limit)
        yield line[start:end]
        start = end
    yield line[start:]
