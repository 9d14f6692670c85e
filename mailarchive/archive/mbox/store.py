"""Fills blocks, and has full ones packed while new ones are filled (store/FORMAT.md)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mailarchive.archive.mbox.packer import Packer
from mailarchive.archive.prepare import Prepared
from mailarchive.catalog.base import Catalog
from mailarchive.clock import Clock
from mailarchive.facts import BlockPacked, Fact, MessageStored, Position
from mailarchive.files import remove, storage, sync_directory
from mailarchive.mail import mboxrd
from mailarchive.store.blocks import OpenBlock, plain_blocks, plain_path
from mailarchive.store.reader import PackedBlocks

BLOCK_SIZE = 8 << 20
LEAST_PACKED = 1 << 20
"""A run that added this many octets to the open block packs it at its end; smaller runs leave it plain."""
_BLOCKS_AT_HAND = 8
"""So many blocks the readers keep together: a message that came again later is in another block than its neighbours."""


class BlockStore:
    """The store of the layout `mbox`, below ``mail``."""

    def __init__(self, mail: Path, catalog: Catalog, clock: Clock) -> None:
        self._mail = mail
        self.texts = PackedBlocks(mail, _BLOCKS_AT_HAND)
        self._full: list[OpenBlock] = []
        """Blocks that are being packed, and perhaps not durable yet."""
        self._retired: list[int] = []
        """Blocks whose frames are recorded: their plain files can go once that is durable."""
        self._packer = Packer(mail, clock)
        self._block = self._adopt_plain_blocks(catalog)
        self._told = self._found_in_block = self._block.end

    def _adopt_plain_blocks(self, catalog: Catalog) -> OpenBlock:
        """Go on with the newest block; pack older ones that a process that died left plain, remove empty ones.

        A power failure may have left nothing of a block although a later one was begun: nothing refers to it.
        """
        newest = catalog.newest_block()
        plain = [number for number in plain_blocks(self._mail) if not catalog.block(number)]
        current = max([*plain, newest + 1 if catalog.block(newest) else max(newest, 1)])
        for number in plain:
            if number != current and catalog.block_end(number):
                self._packer.submit(number)
            elif number != current:
                remove(plain_path(self._mail, number))
        return OpenBlock(self._mail, current)

    def has_room(self, size: int) -> bool:
        """Return whether the open block takes a message of ``size`` octets; an empty one takes any."""
        return not self._block.end or self._block.end + size <= BLOCK_SIZE

    def turn(self) -> Sequence[BlockPacked]:
        """Hand the full block to the packer and begin a new one. Both are plain files if the process dies here."""
        following = OpenBlock(self._mail, self._block.number + 1)
        self._full.append(self._block)
        self._block = following
        self._told = self._found_in_block = self._block.end
        self._packer.submit(self._full[-1].number)
        return self._recorded(self._packer.finished(wait_for=1)) if self._packer.is_busy else ()

    def put(self, prepared: Prepared, date: datetime | None) -> MessageStored:
        """Append the entry of a message to the open block."""
        offset, length = self._block.append(prepared.entry(mboxrd, date))
        return prepared.stored(self._block.number, offset, length)

    def flush(self) -> None:
        """Write the entries that wait."""
        self._block.flush()

    def told(self) -> None:
        """Take notice that facts speak of everything that was flushed."""
        self._told = self._block.end

    def take_back(self) -> None:
        """Cut off what no fact speaks of."""
        self._block.cut(self._told)

    def news(self) -> Sequence[BlockPacked]:
        """Return the frames that became durable."""
        return self._recorded(self._packer.finished())

    def _recorded(self, packed: Sequence[BlockPacked]) -> Sequence[BlockPacked]:
        self._retired.extend(frame.block for frame in packed)
        return packed

    def sync(self) -> None:
        """Make durable what is not packed yet."""
        while self._full:
            if self._full[-1].number not in self._retired:
                self._full[-1].sync()
            self._full.pop().close()
        self._block.sync()

    @contextmanager
    def applying(self, _facts: Sequence[Fact], _catalog: Catalog, _position: Position) -> Iterator[None]:
        """Remove the plain files of packed blocks when the catalog knows their frames.

        If the process dies before, that is done at the next open.
        """
        yield
        if not self._retired:
            return
        for number in self._retired:
            remove(plain_path(self._mail, number))
        self._retired.clear()
        with storage(self._mail):
            sync_directory(self._mail)

    def finish(self) -> Sequence[BlockPacked]:
        """Pack what is worth it, and wait for the packer."""
        begun = self.turn() if self._block.end - self._found_in_block >= LEAST_PACKED else ()
        return (*begun, *self._recorded(self._packer.finish()))

    def close(self) -> None:
        """Wait for the packer, and close the blocks."""
        self._packer.close()
        for block in (*self._full, self._block):
            block.close()
