"""Open an archive, for reading or for writing; what a crash left is mended on the way."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mailarchive.archive import layout as layouts
from mailarchive.archive.forms import form_of
from mailarchive.archive.layout import Kind, Layout
from mailarchive.archive.lock import Lock, holder_of
from mailarchive.archive.messages import MessageReader
from mailarchive.archive.recovery import Recovery
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.clock import Clock, SystemClock
from mailarchive.errors import ArchiveDamaged, ArchiveLocked, ArchiveMissing, ExitCode, StorageFailed, UsageError
from mailarchive.facts import MessageStored
from mailarchive.journal import log
from mailarchive.model import Digest
from mailarchive.store import frames

if TYPE_CHECKING:  # each is imported by what needs it: looking at one message should not take longer than it must
    from mailarchive.archive.checking import Advance, Findings
    from mailarchive.archive.writer import Writer

__all__ = [
    "Archive",
    "Catalog",
    "Kind",
    "check",
    "lock_holder",
    "make",
    "open_for_reading",
    "open_for_rehearsal",
    "open_for_writing",
    "rebuild",
    "repair",
]

Tell = Callable[[str], None]
"""Is told each repair in a sentence."""


def lock_holder(directory: Path) -> str | None:
    """Return who is writing to an archive; None if nobody is. Raises StorageFailed."""
    return holder_of(Layout(directory).lock)


class Archive:
    """An archive as it was at the last checkpoint before it was opened, for reading. Not thread-safe."""

    def __init__(self, layout: Layout, catalog: Catalog) -> None:
        self.layout = layout
        self.catalog = catalog
        self.reader = MessageReader(form_of(layout).texts(), catalog)

    def message(self, digest: Digest) -> MessageStored:
        """Return where a message is. Raises ArchiveDamaged if its octets were lost."""
        message = self.catalog.message(digest)
        if message is None:
            raise ArchiveDamaged(f"message {digest.hex()} is not in the archive, or was lost")
        return message

    def head(self, digest: Digest) -> bytes:
        """Return about the first 64 KiB of a message with LF line ends, unchecked: enough to show its header."""
        return self.reader.head(self.message(digest))

    def octets(self, digest: Digest) -> Iterator[bytes]:
        """Yield the exact octets of a message in pieces. Raises ArchiveDamaged, at the end, if they are not exact."""
        return self.reader.octets(self.message(digest))

    def disk_usage(self) -> tuple[int, int]:
        """Return the octets of the archive's files without the catalog, and those of the catalog."""
        catalog = self.layout.catalog
        derived = {catalog.with_name(catalog.name + suffix) for suffix in ("", "-wal", "-shm")}
        kept = (path for path in self.layout.root.rglob("*") if path not in derived and path.is_file())
        return _octets(kept), _octets(derived)

    def close(self) -> None:
        """Release the catalog."""
        self.catalog.close()


def _octets(paths: Iterable[Path]) -> int:
    """Return the octets of files; of one that has several names once."""
    sizes: dict[tuple[int, int], int] = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


@contextmanager
def open_for_reading(root: Path, tell: Tell) -> Iterator[Archive]:
    """Open the archive at ``root``; also while another process writes to it.

    Raises ArchiveMissing, FormatTooNew, ArchiveDamaged, StorageFailed.
    """
    layout = Layout(root)
    layout.read_settings()
    archive = Archive(layout, _readable_catalog(layout, tell))
    try:
        yield archive
    except CatalogUnusable:
        with suppress(ArchiveLocked, StorageFailed):
            _distrust_catalog(layout, tell)
        raise
    finally:
        archive.close()


def _distrust_catalog(layout: Layout, tell: Tell) -> None:
    lock = Lock(layout.lock, "repair", SystemClock())
    try:
        Recovery(layout, tell).set_catalog_aside()
    finally:
        lock.release()


def _readable_catalog(layout: Layout, tell: Tell, strange: list[str] | None = None) -> Catalog:
    """Return the catalog, mended as far as need be; ``strange`` gets what no crash explains."""
    catalog = None
    try:
        catalog = sqlite.open_existing(layout.catalog)
        if _is_clean(layout, catalog):
            return catalog
    except (CatalogUnusable, FileNotFoundError, StorageFailed):
        pass
    try:
        lock = Lock(layout.lock, "repair", SystemClock())
    except ArchiveLocked:
        if catalog is None:
            raise
        return catalog
    except StorageFailed:
        return _catalog_in_memory(layout)
    try:
        recovery = Recovery(layout, tell)
        repaired = recovery.run()
        if strange is not None:
            strange.extend(recovery.strange)
    except ArchiveDamaged as error:
        if catalog is None:
            raise
        tell(f"the archive is damaged ({error}); what is shown is what the catalog knows")
        return catalog
    finally:
        lock.release()
    if catalog is not None:
        catalog.close()
    return repaired


def _catalog_in_memory(layout: Layout) -> Catalog:
    """Return a catalog for an archive that may only be read, such as one on a snapshot or a disc."""
    catalog = sqlite.begin(None)
    replay = log.Replay(layout.journal, frames.decompress)
    facts = list(replay)
    catalog.apply(facts, replay.position)
    catalog.complete()
    return catalog


@contextmanager
def open_for_rehearsal(root: Path, tell: Tell) -> Iterator[tuple[Catalog, Callable[[Digest], Iterator[bytes]]]]:
    """Lend the catalog of the archive at ``root``, or an empty one if there is none, and what reads its messages.

    Nothing is made.

    Raises FormatTooNew, ArchiveDamaged, StorageFailed.
    """
    try:
        with open_for_reading(root, tell) as archive:
            yield archive.catalog, archive.octets
    except ArchiveMissing:
        yield sqlite.create(None), lambda _digest: iter(())


@contextmanager
def open_for_writing(
    root: Path, command: str, clock: Clock, tell: Tell, *, make: Kind | None = None
) -> Iterator["Writer"]:
    """Open the archive at ``root`` as its only writer; if it is missing make one of the kind ``make``.

    Raises ArchiveMissing, ArchiveLocked, FormatTooNew, ArchiveDamaged, StorageFailed, UsageError.
    """
    from mailarchive.archive.writer import Writer  # noqa: PLC0415 - see above

    layout = Layout(root)
    try:
        layout.read_settings()
    except ArchiveMissing:
        if make is None:
            raise
        layouts.claim(root)
    lock = Lock(layout.lock, command, clock)
    try:
        _make_if_missing(root, make or Kind(), clock)
        catalog = _current_catalog(layout, tell)
        writer = Writer(layout, catalog, form_of(layout).store(catalog, clock, tell), clock)
        try:
            yield writer
        finally:
            writer.close()
    except CatalogUnusable:
        Recovery(layout, tell).set_catalog_aside()
        raise
    finally:
        lock.release()


def make(root: Path, kind: Kind, clock: Clock) -> None:
    """Make an empty archive at ``root``. Raises UsageError if there is one, or anything else; StorageFailed."""
    with suppress(ArchiveMissing):
        Layout(root).read_settings()
        raise UsageError(f"there is an archive at {root} already", hint="name a new directory, or use that one")
    with open_for_writing(root, "init", clock, _ignore, make=kind):
        pass


def _ignore(_text: str) -> None:
    """Listen to nobody."""


def _make_if_missing(root: Path, kind: Kind, clock: Clock) -> None:
    try:
        Layout(root).read_settings()
    except ArchiveMissing:
        layouts.make(root, kind, clock)


def _is_clean(layout: Layout, catalog: Catalog) -> bool:
    """Return whether journal, catalog, and files agree, so that nothing needs to be done."""
    return log.ends_at(layout.journal, catalog.position()) and form_of(layout).is_clean(catalog)


def _current_catalog(layout: Layout, tell: Tell) -> Catalog:
    try:
        catalog = sqlite.open_existing(layout.catalog)
        if _is_clean(layout, catalog):
            return catalog
        catalog.close()
    except CatalogUnusable:
        pass
    return Recovery(layout, tell).run()


def check(root: Path, tell: Tell, advance: "Advance", *, quick: bool) -> "Findings":
    """Check the archive at ``root``, also while another process writes to it.

    What a crash left is mended first, as on each open. Raises ArchiveMissing, FormatTooNew, StorageFailed.
    """
    from mailarchive.archive.checking import Checker  # noqa: PLC0415 - see above

    layout = Layout(root)
    layout.read_settings()
    catalog: Catalog | None = None
    strange: list[str] = []
    try:
        catalog = _readable_catalog(layout, tell, strange)
    except ArchiveDamaged as error:
        tell(str(error))
    try:
        found = Checker(layout, catalog, advance).run(quick=quick)
        found.damage[:0] = strange
        return found
    finally:
        if catalog is not None:
            catalog.close()


def repair(root: Path, clock: Clock, tell: Tell) -> tuple[list[MessageStored], int]:
    """Read every message and record as lost those that are damaged, so that the next pull fetches them again.

    Nothing is removed. Return the damaged messages, and how many were lost before. Raises what ``open_for_writing``
    raises.
    """
    from mailarchive.archive.checking import read_blocks  # noqa: PLC0415 - see above

    with open_for_writing(root, "repair", clock, tell) as writer:
        run = writer.begin("repair")
        with writer.catalog() as catalog:
            lost = catalog.totals().lost
            with read_blocks(Layout(root), catalog) as results:
                found = sorted(results, key=lambda result: result.number)
        damaged = [message for result in found for message in result.damaged]
        for message in damaged:
            writer.lost(message.digest, f"damaged in block {message.block}")
        writer.end(run, ExitCode.PARTIAL if damaged else ExitCode.COMPLETE, (), {"failed": len(damaged)}, {})
    return damaged, lost


def rebuild(root: Path, tell: Tell) -> tuple[Catalog, int]:
    """Make the catalog anew from the journal; return it, and how many lines the journal has.

    The old one stays until the new one is whole.
    Raises ArchiveMissing, ArchiveLocked, ArchiveDamaged, StorageFailed.
    """
    layout = Layout(root)
    layout.read_settings()
    lock = Lock(layout.lock, "rebuild", SystemClock())
    try:
        replay = Recovery(layout, tell).replace_catalog()
        catalog = Recovery(layout, tell).run()
        form_of(layout).renew(catalog, tell)
        return catalog, replay.lines
    finally:
        lock.release()
