"""What can be found out about a message before the archive is touched, so that it needs no lock."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from mailarchive.facts import MessageStored
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.coding import Coding
from mailarchive.mail.digest import HEADER_LIMIT, digest_of, header_digest_of
from mailarchive.mail.eol import EolScanner, lf_text
from mailarchive.model import Body, Digest, Eol, HeaderDigest, ServerForm


class Prepared(NamedTuple):
    """A message's identity and how it will be stored."""

    digest: Digest
    header: HeaderDigest
    size: int
    eol: Eol
    final: bool
    body: Body
    text: bytes = b""
    """What is to be stored of a message in memory."""
    form: ServerForm | None = None
    """What a server has of it, if it came from a file into which a program has written header lines."""

    def stored(self, block: int, offset: int, length: int) -> MessageStored:
        """Return the fact that its octets are there."""
        form, form_size = self.form or (None, None)
        place = block, offset, length, self.eol, self.final
        return MessageStored(self.digest, self.header, self.size, *place, form, form_size)

    def entry(self, coding: Coding, date: datetime | None) -> Iterator[bytes]:
        """Yield the entry, in one piece if the message is in memory."""
        if isinstance(self.body, MemoryBody):
            yield coding.encode(self.text, final=self.final, date=date)
        else:
            yield from coding.encode_stream(self.body.chunks(), self.eol, final=self.final, date=date)


def prepare(body: Body) -> Prepared:
    """Read ``body`` once and return what is to be known of it."""
    if isinstance(body, MemoryBody):
        octets = body.octets
        text, eol = lf_text(octets)
        is_final = octets.endswith(b"\n")
        return Prepared(digest_of(octets), header_digest_of(octets), len(octets), eol, is_final, body, text)
    scanner = EolScanner()
    running, head, size = hashlib.sha256(), b"", 0
    for chunk in body.chunks():
        running.update(chunk)
        scanner.feed(chunk)
        size += len(chunk)
        if len(head) < HEADER_LIMIT:
            head += chunk
    return Prepared(Digest(running.digest()), header_digest_of(head), size, scanner.eol, scanner.final, body)
