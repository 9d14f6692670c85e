"""The form in which a server would send a message that a program has kept: CRLF, and without what the program added."""

import hashlib
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from mailarchive.mail import client_marks
from mailarchive.mail.digest import HEADER_LIMIT, header_digest_of, header_section
from mailarchive.mail.eol import to_crlf
from mailarchive.model import Body, Digest, Eol, HeaderDigest


class ServerForm(NamedTuple):
    """What can be asked a server about a message: the digest of its header, and its size in octets."""

    header: HeaderDigest
    size: int


def section_of(body: Body) -> bytes:
    """Return the header section of a message, as far as it is within HEADER_LIMIT, with what programs added."""
    begun = b""
    for chunk in body.chunks():
        begun += chunk
        if len(begun) >= HEADER_LIMIT:
            break
    return header_section(begun[:HEADER_LIMIT])


def server_form(body: Body, section: bytes, eol: Eol) -> ServerForm:
    """Return the form of a message whose header ``section`` and line ends are these; mixed ones stay."""
    header = client_marks.without(section)
    size = body.size - len(section) + len(header)
    if eol == "lf":
        lines = sum(chunk.count(b"\n") for chunk in body.chunks())
        size += lines - section.count(b"\n") + header.count(b"\n")
    return ServerForm(header_digest_of(header), size)


def form_digest(chunks: Iterable[bytes], eol: Eol) -> Digest:
    """Return SHA-256 of the form of the message ``chunks``."""
    rest = iter(chunks)
    begun = b""
    for chunk in rest:
        begun += chunk
        if len(begun) >= HEADER_LIMIT:
            break
    section = header_section(begun[:HEADER_LIMIT])
    running = hashlib.sha256()
    for piece in chain([client_marks.without(section), begun[len(section) :]], rest):
        running.update(to_crlf(piece) if eol == "lf" else piece)
    return Digest(running.digest())
