"""Packs full blocks on another core while new ones are filled; smaller, as long as it keeps up with them."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from mailarchive.facts import BlockPacked
from mailarchive.store.segments import SEGMENT_SIZE, pack, segments

BEHIND = 2
"""When so many wait, those who fill blocks are quicker."""
MOST_WAITING = 3


class Packer:
    """Packs one block after the other. The plain files stay until the caller has recorded the frames."""

    def __init__(self, mail: Path) -> None:
        self._mail = mail
        sizes = segments(mail)
        self._segment = max(sizes, default=1)
        self._end = sizes.get(self._segment, 0)
        self._pool = ThreadPoolExecutor(1, "pack")
        self._waiting: list[Future[BlockPacked]] = []

    def submit(self, block: int) -> None:
        """Begin to pack a full, synced ``block``."""
        self._waiting.append(self._pool.submit(self._pack, block))

    def _pack(self, block: int) -> BlockPacked:
        if self._end >= SEGMENT_SIZE:
            self._segment, self._end = self._segment + 1, 0
        frame = pack(self._mail, block, self._segment, self._end, thorough=len(self._waiting) < BEHIND)
        self._end = frame.end
        return frame

    @property
    def is_busy(self) -> bool:
        """Whether so many blocks wait that the caller should wait too."""
        return len(self._waiting) >= MOST_WAITING

    def finished(self, *, wait_for: int = 0) -> list[BlockPacked]:
        """Return the frames made since the last call; wait for the first ``wait_for``. Raises StorageFailed."""
        done: list[BlockPacked] = []
        while self._waiting and (self._waiting[0].done() or len(done) < wait_for):
            done.append(self._waiting[0].result())
            del self._waiting[0]
        return done

    def finish(self) -> list[BlockPacked]:
        """Wait for all. Raises StorageFailed."""
        return self.finished(wait_for=len(self._waiting))

    def close(self) -> None:
        """Wait for the block at hand and forget those that wait; they are packed by the next writer."""
        self._pool.shutdown(wait=True, cancel_futures=True)
