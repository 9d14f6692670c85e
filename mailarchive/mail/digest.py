"""The identity of a message, and the digest of its header that helps to recognise it."""

import hashlib
from collections.abc import Iterable

from mailarchive.mail.eol import to_crlf
from mailarchive.model import Digest, HeaderDigest

HEADER_LIMIT = 1 << 20


def digest_of(octets: bytes) -> Digest:
    """Return SHA-256 of ``octets``."""
    return Digest(hashlib.sha256(octets).digest())


def header_digest_of(octets: bytes) -> HeaderDigest:
    """Return the header digest of the message that begins with ``octets`` (store/FORMAT.md, glossary)."""
    octets = octets[:HEADER_LIMIT]
    header = octets[: _header_length(octets)].replace(b"\r\n", b"\n")
    return HeaderDigest(hashlib.sha256(header).digest()[:16])


def header_section(octets: bytes) -> bytes:
    """Return the header section with the empty line that ends it; everything if there is none."""
    length = _header_length(octets)
    return octets[: length + (2 if octets.startswith(b"\r\n", length) else 1)]


def beginning_of_text(chunks: Iterable[bytes], count: int) -> bytes:
    """Return the first ``count`` octets behind the header section of a message, with CRLF where its header has LF."""
    begun = b""
    for chunk in chunks:
        begun += chunk
        if len(begun) >= HEADER_LIMIT:
            break
    header = header_section(begun)
    text = begun[len(header) : len(header) + count]
    return text if b"\r" in header else to_crlf(text)[:count]


def _header_length(octets: bytes) -> int:
    """Return how many octets stand before the first empty line; all if there is none."""
    if octets.startswith((b"\r\n", b"\n")):
        return 0
    likely, other = (b"\n\r\n", b"\n\n") if octets.startswith(b"\r", octets.find(b"\n") - 1) else (b"\n\n", b"\n\r\n")
    end = octets.find(likely)
    before = octets.find(other, 0, end + 2 if end >= 0 else len(octets))
    if before >= 0:
        end = before
    return end + 1 if end >= 0 else len(octets)
