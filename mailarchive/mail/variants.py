"""The form in which a server would send a message that a program has kept: CRLF, and without what the program added."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from mailarchive.mail import client_marks
from mailarchive.mail.digest import HEADER_LIMIT, header_digest_of, header_section
from mailarchive.mail.eol import to_crlf
from mailarchive.model import Digest, Eol, HeaderDigest


class ServerForm(NamedTuple):
    """What would identify a message at a server; ``header`` and ``size`` are what can be asked there.

    ``section`` is the header section that the message has here, with what programs added.
    """

    digest: Digest
    header: HeaderDigest
    size: int
    section: bytes


def server_form(chunks: Iterable[bytes], eol: Eol) -> ServerForm:
    """Return the form of the message ``chunks``, whose line ends are ``eol``; where they are mixed they stay."""
    rest = iter(chunks)
    begun = b""
    for chunk in rest:
        begun += chunk
        if len(begun) >= HEADER_LIMIT:
            break
    section = header_section(begun[:HEADER_LIMIT])
    header = client_marks.without(section)
    running, size = hashlib.sha256(), 0
    for piece in _with_crlf(chain([header, begun[len(section) :]], rest), eol):
        running.update(piece)
        size += len(piece)
    return ServerForm(Digest(running.digest()), header_digest_of(header), size, section)


def _with_crlf(chunks: Iterator[bytes], eol: Eol) -> Iterator[bytes]:
    return map(to_crlf, chunks) if eol == "lf" else chunks
