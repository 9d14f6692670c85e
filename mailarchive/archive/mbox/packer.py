"""Packs full blocks on another core while new ones are filled; smaller where there is time for it."""

from pathlib import Path
from typing import TYPE_CHECKING

from mailarchive.clock import Clock
from mailarchive.facts import BlockPacked
from mailarchive.store.segments import SEGMENT_SIZE, pack, segments

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

MOST_WAITING = 3
THOROUGH_COST = 3.5
"""So many times as long it takes to pack thoroughly, about."""
BUSY = 0.6
"""So much of the time the packer may be at work before it gives up being thorough: others want to use the core too."""


class Packer:
    """Packs one block after the other. The plain files stay until the caller has recorded the frames.

    A block is packed thoroughly if none waits before it and blocks come so slowly that there is time: over a network
    nearly always.
    """

    def __init__(self, mail: Path, clock: Clock) -> None:
        self._mail = mail
        self._clock = clock
        self._last_came = clock.monotonic()
        self._seconds = 0.0
        """How long the last block took, or would have taken if packed in haste."""
        sizes = segments(mail)
        self._segment = max(sizes, default=1)
        self._end = sizes.get(self._segment, 0)
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: list[Future[BlockPacked]] = []

    def submit(self, block: int) -> None:
        """Begin to pack a full ``block``, which is written and perhaps not synced: its frame will be."""
        now = self._clock.monotonic()
        has_time = self._seconds * THOROUGH_COST < BUSY * (now - self._last_came)
        self._last_came = now
        is_next = all(one.done() for one in self._waiting)
        self._waiting.append(self._core().submit(self._pack, block, thorough=has_time and is_next))

    def _core(self) -> "ThreadPoolExecutor":
        """Return the thread that packs, which begins with the first block."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - start-up: most runs fill no block

            self._pool = ThreadPoolExecutor(1, "pack")
        return self._pool

    def _pack(self, block: int, *, thorough: bool) -> BlockPacked:
        if self._end >= SEGMENT_SIZE:
            self._segment, self._end = self._segment + 1, 0
        began = self._clock.monotonic()
        frame = pack(self._mail, block, self._segment, self._end, thorough=thorough)
        self._seconds = (self._clock.monotonic() - began) / (THOROUGH_COST if thorough else 1)
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
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
