"""The form in which a server would send a message that a program has kept: CRLF, and without what the program added."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from mailarchive.mail import client_marks
from mailarchive.mail.digest import HEADER_LIMIT, header_digest_of, header_section
from mailarchive.mail.eol import to_crlf, to_lf
from mailarchive.model import Digest, Eol, HeaderDigest


class ServerForm(NamedTuple):
    """What would identify a message at a server; ``header`` and ``size`` are what can be asked there."""

    digest: Digest
    header: HeaderDigest
    size: int


def server_form(chunks: Iterable[bytes], eol: Eol) -> ServerForm:
    """Return the form of the message ``chunks``, whose line ends are ``eol``; where they are mixed they stay."""
    running, header, size = hashlib.sha256(), b"", 0
    for piece in _pieces(iter(chunks), eol):
        if not size:
            header = piece
        running.update(piece)
        size += len(piece)
    return ServerForm(Digest(running.digest()), header_digest_of(header), size)


def _pieces(chunks: Iterator[bytes], eol: Eol) -> Iterator[bytes]:
    """Yield the octets; the first piece has the whole header section, as far as that goes within HEADER_LIMIT."""
    begun = b""
    for chunk in chunks:
        begun += chunk
        if len(begun) >= HEADER_LIMIT:
            break
    header = header_section(begun)
    stripped = client_marks.without(header) + begun[len(header) :]
    if eol == "mixed":
        yield stripped
        yield from chunks
        return
    text = to_lf(chain([stripped], chunks)) if eol == "crlf" else chain([stripped], chunks)
    yield from map(to_crlf, text)
