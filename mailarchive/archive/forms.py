"""Which code serves which layout: the only place that asks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from mailarchive.archive.layout import Layout
from mailarchive.archive.store import Store
from mailarchive.catalog.base import Catalog
from mailarchive.clock import Clock
from mailarchive.facts import BlockPacked, Fact, MessageStored
from mailarchive.store.base import Texts

CACHED_BLOCKS = 3

Tell = Callable[[str], None]
PackedSince = Callable[[int], BlockPacked | None]
"""Tells where a block is that a writer has packed since the journal was read."""


class Settling(Protocol):
    """Makes the files of a store whole after a crash."""

    facts: list[Fact]
    """What was found out, to be recorded."""
    strange: list[str]
    """What was put right although no crash explains it, in sentences."""

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


class Form(Protocol):
    """What a layout does with octets."""

    def texts(self, cached: int = CACHED_BLOCKS) -> Texts:
        """Return what reads the stored texts; it keeps up to ``cached`` blocks in memory."""

    def store(self, catalog: Catalog, clock: Clock, tell: Tell) -> Store:
        """Return what takes octets, for the holder of the lock. Raises StorageFailed."""

    def is_clean(self, catalog: Catalog) -> bool:
        """Return whether files and catalog agree as far as a glance shows, so that nothing needs to be settled."""

    def settling(self, tell: Tell, aside: Callable[[str, bytes], None]) -> Settling:
        """Return what makes the files whole after a crash; ``aside`` gets a name and octets that are to be kept."""

    def check(self, packed_since: PackedSince) -> StoreCheck:
        """Return what checks the files."""

    def renew(self, catalog: Catalog, tell: Tell) -> None:
        """Make anew what else is derived from the catalog, for the holder of the lock. Raises StorageFailed."""


def form_of(layout: Layout) -> Form:
    """Return the form of an archive; the code of the other one is not even loaded. Raises what ``kind`` raises."""
    kind = layout.kind()
    if kind.layout == "maildir":
        from mailarchive.archive.maildir.form import MaildirForm  # noqa: PLC0415 - see above

        return MaildirForm(layout, kind)
    from mailarchive.archive.mbox.form import MboxForm  # noqa: PLC0415 - see above

    return MboxForm(layout)
