"""Check blocks and segments against the journal: what files there are, how long, and what stands between messages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from mailarchive.archive.messages import MessageReader
from mailarchive.catalog.base import Catalog
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BlockPacked, Fact, MessageStored, Placed
from mailarchive.store import frames
from mailarchive.store.blocks import plain_path
from mailarchive.store.reader import PackedBlocks
from mailarchive.store.segments import segment_path, segments

PackedSince = Callable[[int], BlockPacked | None]
"""Tells where a block is that a writer has packed since the journal was read."""


class BlockCheck:
    """Looks at the files below ``mail``; damage is yielded in sentences."""

    def __init__(self, mail: Path, packed_since: PackedSince) -> None:
        self._mail = mail
        self._packed_since = packed_since
        self._dates: dict[int, dict[int, datetime | None]] = {}
        """INTERNALDATE with which the entry at an offset of a block that is still plain was written."""
        self._last: MessageStored | None = None

    def note(self, facts: Iterable[Fact]) -> None:
        """Take notice of the facts of the journal, in order."""
        last = self._last
        for fact in facts:
            if isinstance(fact, MessageStored):
                last = fact
                continue
            if isinstance(fact, Placed):
                if last is not None and fact.digest == last.digest:
                    self._dates.setdefault(last.block, {})[last.offset] = fact.date
            elif isinstance(fact, BlockPacked):
                self._dates.pop(fact.block, None)
            last = None
        self._last = last

    def files(self, truth: Catalog) -> Iterator[str]:
        """Compare what files there are with what the journal says."""
        yield from self._sizes(truth)
        yield from self._headers(truth)

    def _sizes(self, truth: Catalog) -> Iterator[str]:
        sizes = segments(self._mail)
        for segment, end in truth.segment_ends().items():
            if sizes.get(segment, 0) < end:
                path = segment_path(self._mail, segment)
                yield f"{path} has {sizes.get(segment, 0)} octets; it must have {end}"
        for number in truth.blocks():
            path = plain_path(self._mail, number)
            size, end = _size(path), truth.block_end(number)
            if truth.block(number) is None and size < end and not self._packed_since(number):
                yield f"{path} has {size} octets; it must have {end}"

    def _headers(self, truth: Catalog) -> Iterator[str]:
        """Look at what stands before each packed block, by which segments can be read without a journal."""
        for number in truth.blocks():
            frame = truth.block(number)
            path = segment_path(self._mail, frame.segment) if frame else None
            if frame is None or path is None or _size(path) < frame.end or not truth.block_end(number):
                continue
            wanted = frames.block_header(number, frame.size)
            with path.open("rb") as file:
                file.seek(max(0, frame.offset - len(wanted)))
                if file.read(len(wanted)) != wanted:
                    yield f"{path} is damaged before block {number}, outside of its messages"

    def around(self, truth: Catalog, number: int, whole: Sequence[MessageStored]) -> Iterator[str]:
        """Look at what stands around the ``whole`` messages of a block: of a plain one, a frame has a checksum."""
        if truth.block(number):
            return
        dates = self._dates.get(number, {})
        reader = MessageReader(PackedBlocks(self._mail), truth)
        known = [message for message in whole if message.offset in dates]
        try:
            damaged = [message for message in known if not reader.is_framed(message, dates[message.offset])]
        except (ArchiveDamaged, FileNotFoundError):
            if self._packed_since(number):
                return
            raise
        if damaged:
            yield f"block {number}: the separators of {len(damaged)} messages are damaged, the messages are not"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
