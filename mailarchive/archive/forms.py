"""Which code serves which layout: the only place that asks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from mailarchive.archive.layout import Layout
from mailarchive.archive.mbox import settling as mbox_settling
from mailarchive.archive.store import Store
from mailarchive.catalog.base import Catalog
from mailarchive.clock import Clock
from mailarchive.facts import BlockPacked, Fact, MessageStored
from mailarchive.journal import log
from mailarchive.store.base import Texts
from mailarchive.store.reader import CACHED_BLOCKS, PackedBlocks
from mailarchive.store.segments import segments

Tell = Callable[[str], None]


class Settling(Protocol):
    """Makes the files of a store whole after a crash."""

    facts: list[Fact]
    strange: list[str]

    def sync(self) -> None:
        """Make durable what a fact is about to be recorded of. Raises StorageFailed."""

    def settle(self, catalog: Catalog) -> None:
        """Compare the files with what the journal says, and put right what differs. Raises StorageFailed."""

    def finish(self) -> None:
        """Remove what is not needed once ``facts`` are recorded. Raises StorageFailed."""


class StoreCheck(Protocol):
    """Looks at the files of a store; damage is yielded in sentences."""

    def note(self, facts: Iterable[Fact]) -> None:
        """Take notice of the facts of the journal, in order."""

    def files(self, truth: Catalog) -> Iterator[str]:
        """Compare what files there are with what the journal says."""

    def around(self, truth: Catalog, number: int, whole: Sequence[MessageStored]) -> Iterator[str]:
        """Look at what stands around the ``whole`` messages of a block."""


def texts(layout: Layout, cached: int = CACHED_BLOCKS) -> Texts:
    """Return what reads the stored texts; it keeps up to ``cached`` blocks in memory."""
    return PackedBlocks(layout.mail, cached)


def store(layout: Layout, catalog: Catalog, clock: Clock) -> Store:
    """Return what takes octets, for the holder of the lock. Raises StorageFailed."""
    from mailarchive.archive.mbox.store import BlockStore  # noqa: PLC0415 - start-up: most commands only read

    return BlockStore(layout.mail, catalog, clock)


def is_clean(layout: Layout, catalog: Catalog) -> bool:
    """Return whether journal, catalog, and files agree in position and size, so that nothing needs to be done."""
    return log.ends_at(layout.journal, catalog.position()) and mbox_settling.is_clean(layout.mail, catalog)


def settling(layout: Layout, tell: Tell, aside: Callable[[str, bytes], None]) -> Settling:
    """Return what makes the files whole after a crash; ``aside`` gets a name and octets that are to be kept."""
    return mbox_settling.BlockSettling(layout.mail, tell, aside)


def check(layout: Layout, packed_since: Callable[[int], BlockPacked | None]) -> StoreCheck:
    """Return what checks the files; ``packed_since`` tells where a block is that was packed in the meantime."""
    from mailarchive.archive.mbox.checking import BlockCheck  # noqa: PLC0415 - start-up

    return BlockCheck(layout.mail, packed_since)


def octets(layout: Layout) -> int:
    """Return how many octets of packed text there are."""
    return sum(segments(layout.mail).values())
