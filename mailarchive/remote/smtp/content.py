"""Message octets as SMTP sees them: what they need of a server, and how they go over the wire."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailarchive.mail.eol import EolScanner


@dataclass(frozen=True, slots=True)
class Shape:
    """What a message needs: ``size`` in octets; whether all are ASCII, whether it is lines, whether it ends one.

    Lines end with CRLF and hold no other CR, LF or NUL (RFC 5321 sections 2.3.8 and 4.5.2).
    """

    size: int
    is_ascii: bool
    is_lines: bool
    is_ended: bool


def shape_of(chunks: Iterable[bytes]) -> Shape:
    """Read a message and return its shape."""
    scanner = EolScanner()
    size = 0
    is_ascii, has_nul, has_lf = True, False, False
    for chunk in chunks:
        size += len(chunk)
        scanner.feed(chunk)
        is_ascii = is_ascii and chunk.isascii()
        has_nul = has_nul or b"\0" in chunk
        has_lf = has_lf or b"\n" in chunk
    has_crlf_only = scanner.eol == "crlf" or not (has_lf or scanner.eol == "mixed")
    return Shape(size, is_ascii, has_crlf_only and not has_nul, scanner.final or not size)


def dotted(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a message that is lines with each dot at the beginning of one doubled (RFC 5321 section 4.5.2)."""
    is_start = True
    for chunk in chunks:
        if chunk:
            stuffed = chunk.replace(b"\n.", b"\n..")
            yield b"." + stuffed if is_start and chunk.startswith(b".") else stuffed
            is_start = chunk.endswith(b"\n")


def regrouped(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the octets in pieces of ``size``, of which the last may be shorter, also empty."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) > size:
            yield bytes(held[:size])
            del held[:size]
    yield bytes(held)
