"""Messages out of the archive: exact octets, by digest or location."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BlockPacked, MessageStored
from mailarchive.store.base import STREAMED, Texts

_TRIES = 3
HEAD = 64 << 10


class MessageReader:
    """Reads messages wherever their block is. Not thread-safe, but several readers may share their texts."""

    def __init__(self, texts: Texts, catalog: Catalog) -> None:
        self._catalog = catalog
        self._blocks = texts.reader()
        self._coding = texts.coding
        self._held: tuple[int, bytes] | None = None

    def hold(self, block: int) -> None:
        """Get ready to read many messages of ``block``; what is wrong with it shows when they are read."""
        if self._held is not None and self._held[0] == block:
            return
        self._held = None
        try:
            text = self._blocks.text(block, self._catalog.block(block))
        except CatalogUnusable:
            raise
        except (ArchiveDamaged, FileNotFoundError):
            return
        self._held = None if text is None else (block, text)

    def octets(self, message: MessageStored, frame: BlockPacked | None = None) -> Iterator[bytes]:
        """Yield the exact octets of ``message`` in pieces (in one if it is small).

        ``frame`` is where its block is, if that is not in the catalog yet. The digest is checked on the way.
        Raises ArchiveDamaged at the end if it does not match.
        """
        held = self._exact(message) if frame is None else None
        if held is not None:
            yield held
            return
        entry = self._entry(message, frame)
        running = hashlib.sha256()
        if message.length > STREAMED:
            for piece in self._coding.decode_stream(entry, message.eol, final=message.final):
                running.update(piece)
                yield piece
        else:
            octets = self._coding.decode(b"".join(entry), message.eol, final=message.final)
            running.update(octets)
            if running.digest() == message.digest:
                yield octets
        if running.digest() != message.digest:
            raise ArchiveDamaged(f"message {message.digest.hex()} is damaged in block {message.block}")

    def _exact(self, message: MessageStored) -> bytes | None:
        """Return the octets of ``message`` from the block that is held; None if that is another, or they are wrong."""
        if self._held is None or self._held[0] != message.block:
            return None
        text = self._held[1]
        octets = self._coding.decode_at(text, message.offset, message.length, message.eol, final=message.final)
        return octets if octets is not None and hashlib.sha256(octets).digest() == message.digest else None

    def damaged(self, messages: Sequence[MessageStored]) -> list[MessageStored]:
        """Return those of the ``messages`` of one block whose octets do not have their digest."""
        if messages:
            self.hold(messages[0].block)
        return [message for message in messages if self._exact(message) is None and not self.is_whole(message)]

    def head(self, message: MessageStored) -> bytes:
        """Return the beginning of the message's text, as it is stored. Raises ArchiveDamaged."""
        return self._coding.head(b"".join(self._entry(message, None, HEAD)))

    def is_whole(self, message: MessageStored, frame: BlockPacked | None = None) -> bool:
        """Return whether the octets of ``message`` have its digest."""
        try:
            for _ in self.octets(message, frame):
                pass
        except CatalogUnusable:
            raise
        except (ArchiveDamaged, FileNotFoundError, ValueError):
            return False
        return True

    def is_framed(self, message: MessageStored, date: datetime | None) -> bool:
        """Return whether the entry of ``message``, which is whole, is also what was written around it with ``date``."""
        wanted, found = hashlib.sha256(), hashlib.sha256()
        for piece in self._coding.encode_stream(self.octets(message), message.eol, final=message.final, date=date):
            wanted.update(piece)
        for piece in self._entry(message, None):
            found.update(piece)
        return wanted.digest() == found.digest()

    def _entry(self, message: MessageStored, frame: BlockPacked | None, most: int | None = None) -> Iterator[bytes]:
        """Yield the entry, or its first ``most`` octets; a block that is packed while we look is looked up again."""
        length = message.length if most is None else min(message.length, most)
        for left in reversed(range(_TRIES)):
            where = frame or self._catalog.block(message.block)
            try:
                pieces = self._blocks.entry(message.block, where, message.offset, length)
                first = next(pieces, b"")
            except FileNotFoundError:
                if not left:
                    raise ArchiveDamaged(f"block {message.block} is missing") from None
                continue
            yield first
            yield from pieces
            return
