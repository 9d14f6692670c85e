"""The form in which a server would send a message that a program has kept: CRLF, and without what the program added."""

import hashlib
from collections.abc import Iterable
from itertools import chain

from mailarchive.mail import client_marks
from mailarchive.mail.digest import HEADER_LIMIT, header_digest_of, header_section
from mailarchive.mail.eol import to_crlf
from mailarchive.model import Body, Digest, Eol, HeaderDigest, ServerForm


def section_of(body: Body) -> bytes:
    """Return the header section of a message, as far as it is within HEADER_LIMIT, with what programs added."""
    begun = b""
    for chunk in body.chunks():
        begun += chunk
        if len(begun) >= HEADER_LIMIT:
            break
    return header_section(begun[:HEADER_LIMIT])


def wire_size(body: Body, eol: Eol) -> int:
    """Return the octets that a message has with CRLF for its line ends; mixed ones stay."""
    return body.size + (sum(chunk.count(b"\n") for chunk in body.chunks()) if eol == "lf" else 0)


def server_form(section: bytes, eol: Eol, size: int, *, of_mbox: bool) -> ServerForm | None:
    """Return the form of a message whose header ``section``, line ends and wire size are these; None if it is that."""
    header = client_marks.without(section, of_mbox=of_mbox)
    if header == section:
        return None
    taken_off = len(section) - len(header)
    if eol == "lf":
        taken_off += section.count(b"\n") - header.count(b"\n")
    return ServerForm(header_digest_of(header), size - taken_off)


def form_digest(chunks: Iterable[bytes], eol: Eol, header: HeaderDigest) -> Digest | None:
    """Return SHA-256 of that form of the message ``chunks`` which has this header; None if there is none."""
    rest = iter(chunks)
    begun = b""
    for chunk in rest:
        begun += chunk
        if len(begun) >= HEADER_LIMIT:
            break
    section = header_section(begun[:HEADER_LIMIT])
    forms = (section, *(client_marks.without(section, of_mbox=of_mbox) for of_mbox in (False, True)))
    form = next((form for form in forms if header_digest_of(form) == header), None)
    if form is None:
        return None
    running = hashlib.sha256()
    for piece in chain([form, begun[len(section) :]], rest):
        running.update(to_crlf(piece) if eol == "lf" else piece)
    return Digest(running.digest())
