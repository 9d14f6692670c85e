"""Make an archive whole after a crash: cut what is torn, replay what the catalog lacks, settle the store.

Only to be called by the holder of the lock. Nothing that a fact refers to is ever removed; octets without a fact
are copied to ``aside/`` before they are cut, unless they are the one line that a crash explains.
"""

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from mailarchive.archive.forms import Settling, form_of
from mailarchive.archive.layout import Layout
from mailarchive.archive.messages import MessageReader
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.errors import ArchiveDamaged, StorageFailed
from mailarchive.facts import Checkpoint, Fact, MessageStored, Part, Position
from mailarchive.files import make_directory, remove, replace_durably, storage, sync_directory
from mailarchive.journal import log
from mailarchive.journal.lines import to_line
from mailarchive.store import frames

Tell = Callable[[str], None]
BATCH = 20_000


def _remove_catalog(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        remove(path.with_name(path.name + suffix))


@dataclass(slots=True)
class Recovery:
    """One run of it over one archive."""

    layout: Layout
    tell: Tell
    strange: list[str] = field(default_factory=list)
    """What was put right although no crash explains it, in sentences."""

    def run(self) -> Catalog:
        """Return a catalog that reflects the whole, mended journal. Raises ArchiveDamaged, StorageFailed."""
        self._remove_temporary_files()
        catalog, replay, late = self._replay()
        position = self._mend_tail(replay, self._whole(catalog, late))
        journal = log.Log(self.layout.journal, position, frames.compress)
        settling = form_of(self.layout).settling(self.tell, self._aside)
        try:
            catalog.apply((), position)
            self._checkpoint(journal, catalog, settling, [fact for _, fact in late])
            settling.settle(catalog)
            journal.append(*settling.facts)
            self._checkpoint(journal, catalog, settling, settling.facts)
        finally:
            journal.close()
        settling.finish()
        self.strange += settling.strange
        return catalog

    @staticmethod
    def _checkpoint(journal: log.Log, catalog: Catalog, settling: Settling, facts: list[Fact]) -> None:
        if journal.news:
            settling.sync()
            catalog.apply(facts, journal.checkpoint())

    def _remove_temporary_files(self) -> None:
        for directory in (self.layout.root, self.layout.store, self.layout.journal, self.layout.partial):
            make_directory(directory)
            for pattern in ("*.tmp", "*.tmp-wal", "*.tmp-shm"):
                for path in directory.glob(pattern):
                    remove(path)

    def _replay(self) -> tuple[Catalog, log.Replay, list[tuple[int, Fact]]]:
        """Bring the catalog to the last checkpoint; return also the facts after it, with their offsets in the tail."""
        try:
            catalog: Catalog = sqlite.open_existing(self.layout.catalog)
            return catalog, *self._replay_into(catalog)
        except CatalogUnusable as error:
            why = str(error)
        except ArchiveDamaged:
            log.Replay(self.layout.journal, frames.decompress).check()
            why = "the catalog and the journal disagree"
        self.set_catalog_aside()
        self.replace_catalog()
        catalog = sqlite.open_existing(self.layout.catalog)
        replay, late = self._replay_into(catalog)
        if replay.position.checkpoints:
            self.tell(f"{why}; the catalog was made anew from the journal")
        return catalog, replay, late

    def _replay_into(self, catalog: Catalog) -> tuple[log.Replay, list[tuple[int, Fact]]]:
        replay = log.Replay(self.layout.journal, frames.decompress, catalog.position())
        late: list[tuple[int, Fact]] = []
        for fact in replay:
            if isinstance(fact, Checkpoint):
                if len(late) >= BATCH:
                    catalog.apply([fact for _, fact in late], replay.position)
                    late.clear()
                else:
                    late.append((replay.at, fact))
            else:
                late.append((replay.at, fact))
        settled = max((index for index, (_, fact) in enumerate(late) if isinstance(fact, Checkpoint)), default=-1) + 1
        catalog.apply([fact for _, fact in late[:settled]], replay.position)
        return replay, late[settled:]

    def replace_catalog(self) -> log.Replay:
        """Make the catalog anew beside the old one, and put it in the place of that when it is whole.

        Return how the journal was read.

        If the process dies before, the old one is there; between removing that and renaming the new one there is
        none, and the next open makes it. Raises ArchiveDamaged, StorageFailed.
        """
        path = self.layout.catalog
        new = path.with_name(path.name + ".tmp")
        _remove_catalog(new)
        try:
            with closing(sqlite.begin(new)) as catalog:
                replay, _late = self._replay_into(catalog)
                catalog.complete()
            _remove_catalog(path)
            with storage(path):
                new.replace(path)
                sync_directory(path.parent)
            return replay
        except BaseException:
            with suppress(StorageFailed):
                _remove_catalog(new)
            raise

    def set_catalog_aside(self) -> None:
        """Move the catalog out of the way, so that the next open makes it anew."""
        path = self.layout.catalog
        if path.exists():
            self._aside(path.name, path.read_bytes())
        _remove_catalog(path)

    def _whole(self, catalog: Catalog, late: list[tuple[int, Fact]]) -> int | None:
        """Drop from ``late`` everything from the first message on whose octets are not whole; return where it was."""
        reader = MessageReader(form_of(self.layout).texts(), catalog)
        for index, (at, fact) in enumerate(late):
            if isinstance(fact, MessageStored) and not reader.is_whole(fact):
                del late[index:]
                return at
        return None

    def _mend_tail(self, replay: log.Replay, bad: int | None) -> Position:
        """Cut what is torn or not whole from the tail; return the position of the last checkpoint."""
        journal, position = self.layout.journal, replay.position
        if replay.stale_tail:
            return log.begin_part(journal, Position(position.part - 1, 0, position.chain, position.checkpoints))
        end = replay.end if bad is None else bad
        path = log.tail_path(journal)
        rest = path.read_bytes()[end:]
        if rest:
            if rest.count(b"\n") > 1:
                self._aside(path.name, rest)
            lines = f"{len(rest)} octets" if bad is None else "facts whose message was not whole"
            self.tell(f"the last write was cut short: {lines} were cut from the end of the journal")
            log.truncate_tail(journal, end)
        if end == 0:
            replace_durably(path, to_line(Part(position.part, position.chain)))
        return position

    def _aside(self, name: str, octets: bytes) -> None:
        make_directory(self.layout.aside)
        free = next(n for n in count(1) if not (self.layout.aside / f"{n:04d}-{name}").exists())
        path = self.layout.aside / f"{free:04d}-{name}"
        replace_durably(path, octets)
        self.tell(f"{len(octets)} octets were kept in {path}")
