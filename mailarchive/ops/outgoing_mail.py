"""Messages of the archive made ready to be sent: exact octets, checked before the first of them is on the wire."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mailarchive.archive.messages import MessageReader
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import MessageStored
from mailarchive.mail import mending
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.digest import digest_of
from mailarchive.mail.eol import to_crlf, to_lf
from mailarchive.mail.mending import Flaw
from mailarchive.model import Body, Digest

HELD = 1 << 20
"""Messages of more octets are read twice, first to see whether they are whole, and not held while others are sent."""
LARGE = 32 << 20
"""Of messages of more octets no mended copy is made."""


class ArchivedBody:
    """A message that is read from the archive while it is sent."""

    def __init__(self, reader: MessageReader, message: MessageStored) -> None:
        self._reader = reader
        self._message = message
        self.size = message.size

    def chunks(self) -> Iterator[bytes]:
        return self._reader.octets(self._message)

    def close(self) -> None:
        """Nothing is held open."""


def body_of(reader: MessageReader, message: MessageStored) -> tuple[Body, bool]:
    """Return the octets of a message, and whether NUL is among them. Raises ArchiveDamaged."""
    reader.hold(message.block)
    if message.size <= HELD:
        octets = b"".join(reader.octets(message))
        return MemoryBody(octets), b"\0" in octets
    has_nul = False
    for chunk in reader.octets(message):
        has_nul = has_nul or b"\0" in chunk
    return ArchivedBody(reader, message), has_nul


def flaws_of(reader: MessageReader, message: MessageStored) -> frozenset[Flaw]:
    """Return what a target may refuse about a message; of a large one nothing is said. Raises ArchiveDamaged."""
    return frozenset() if message.size > LARGE else mending.flaws(b"".join(body_of(reader, message)[0].chunks()))


def mended(reader: MessageReader, message: MessageStored, flaws: frozenset[Flaw]) -> bytes:
    """Return a copy of a message without ``flaws``. Raises ArchiveDamaged."""
    return mending.mend(b"".join(body_of(reader, message)[0].chunks()), flaws)


class Evidence(NamedTuple):
    """What the archive can say of messages by which they may be recognised elsewhere."""

    reader: MessageReader

    def head(self, message: MessageStored) -> bytes:
        """Return the beginning of a message; nothing if it is damaged."""
        try:
            return self.reader.head(message)
        except (ArchiveDamaged, FileNotFoundError):
            return b""

    def with_other_ends(self, message: MessageStored) -> Mapping[int | None, Digest]:
        """Return digests, by size, of a message as servers store it whose line ends are not all CRLF.

        They make each LF a CRLF, and some end the last line. Nothing if it is damaged.
        """
        if message.eol == "crlf" and message.final:
            return {}
        running, size, tail = hashlib.sha256(), 0, b""
        try:
            for chunk in map(to_crlf, to_lf(self.reader.octets(message))):
                running.update(chunk)
                size += len(chunk)
                tail = (tail + chunk)[-2:]
        except (ArchiveDamaged, FileNotFoundError):
            return {}
        found: dict[int | None, Digest] = {size: Digest(running.digest())}
        if tail != b"\r\n":
            running.update(b"\r\n")
            found[size + 2] = Digest(running.digest())
        return found

    def mended(self, message: MessageStored, size: int) -> Digest | None:
        """Return the digest of the mended copy of a message, if that has ``size`` octets."""
        try:
            copy = mended(self.reader, message, flaws_of(self.reader, message))
        except (ArchiveDamaged, FileNotFoundError):
            return None
        return digest_of(copy) if len(copy) == size != message.size else None
