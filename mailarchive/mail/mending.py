"""What a server that mail is restored to may refuse about a message, and a copy that it takes; pure.

This is the only place where octets of a message are changed, and only when the user asked for a copy that is mended.
"""

import re
from collections.abc import Collection, Mapping
from email.header import Header
from enum import StrEnum

from mailarchive.mail.digest import header_section


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
    Flaw.NO_FINAL_CRLF: "its last line has no end",
    Flaw.LONG_LINE: "it has lines of more than 998 octets",
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

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")
_FIELD = re.compile(rb"([!-9;-~]+:)[ \t]*(.*(?:\r?\n[ \t].*)*)", re.DOTALL)
_FIELDS = re.compile(rb"[^\r\n]*(?:\r?\n(?=[ \t])[^\r\n]*)*(?:\r?\n|\r|\Z)")


def flaws(octets: bytes, longest: int = LONGEST) -> frozenset[Flaw]:
    """Return what a server may refuse about a message; lines are those that end with LF."""
    head = header_section(octets)
    found = {
        Flaw.NUL: b"\0" in octets,
        Flaw.BARE_NEWLINE: _BARE.search(octets) is not None,
        Flaw.NO_FINAL_CRLF: not octets.endswith(b"\n"),
        Flaw.LONG_LINE: max(map(len, octets.replace(b"\r\n", b"\n").split(b"\n"))) > longest,
        Flaw.EIGHT_BIT_HEADER: not head.isascii(),
    }
    return frozenset(flaw for flaw, is_there in found.items() if is_there)


def mend(octets: bytes, flaws: Collection[Flaw], longest: int = LONGEST) -> bytes:
    """Return a copy of a message without those of ``flaws`` that can be mended.

    What is left alone: header lines that are no fields and not ASCII, and header lines that are too long and have no
    white space. Without ``flaws`` the octets come back as they are. Mending what is mended changes nothing.
    """
    if Flaw.NUL in flaws:
        octets = octets.replace(b"\0", b" ")
    if Flaw.BARE_NEWLINE in flaws:
        octets = _BARE.sub(b"\r\n", octets)
    if Flaw.NO_FINAL_CRLF in flaws and not octets.endswith(b"\n"):
        octets += b"\r\n"
    if Flaw.EIGHT_BIT_HEADER in flaws:
        head = header_section(octets)
        octets = b"".join(map(_in_ascii, _FIELDS.findall(head))) + octets[len(head) :]
    if Flaw.LONG_LINE in flaws:
        head = header_section(octets)
        octets = _broken(head, longest, is_header=True) + _broken(octets[len(head) :], longest, is_header=False)
    return octets


def _in_ascii(field: bytes) -> bytes:
    """Return a header field with encoded words for its value (RFC 2047), if it is not ASCII."""
    match = _FIELD.fullmatch(field.rstrip(b"\r\n"))
    if match is None or field.isascii() or not match[1].isascii():
        return field
    words = b" ".join(match[2].split())
    try:
        text, charset = words.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, charset = words.decode("latin-1"), "iso-8859-1"
    text = "".join(character if character.isprintable() else " " for character in text)
    name = match[1].decode("ascii")
    encoded = Header(text, charset, maxlinelen=76, header_name=name).encode(linesep="\r\n")
    return f"{name} {encoded}\r\n".encode("ascii", "replace")


def _broken(text: bytes, longest: int, *, is_header: bool) -> bytes:
    """Return ``text`` with lines of at most ``longest`` octets, broken at white space if there is some."""
    pieces: list[bytes] = []
    for line in text.split(b"\n"):
        end = b"\r" if line.endswith(b"\r") else b""
        rest = line.removesuffix(b"\r")
        while len(rest) > longest:
            at = max(rest.rfind(b" ", 1, longest), rest.rfind(b"\t", 1, longest))
            if is_header and not rest[:at].strip():
                at = -1
            if at <= 0 and is_header:
                break
            cut = at if is_header else at + 1 if at > 0 else longest
            pieces.append(rest[:cut] + b"\r")
            rest = rest[cut:]
        pieces.append(rest + end)
    return b"\n".join(pieces)
