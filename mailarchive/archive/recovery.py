"""Make an archive whole after a crash: cut what is torn, replay what the catalog lacks, settle half-packed blocks.

Only to be called by the holder of the lock. Nothing that a fact refers to is ever removed; octets without a fact
are copied to ``aside/`` before they are cut, unless they are the one entry or line that a crash explains.
"""

import os
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from mailarchive.archive.layout import Layout
from mailarchive.archive.messages import MessageReader
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.errors import ArchiveDamaged, StorageFailed
from mailarchive.facts import BlockPacked, Checkpoint, Fact, Lost, MessageStored, Part, Position
from mailarchive.files import make_directory, remove, replace_durably, storage, sync_directory
from mailarchive.journal import log
from mailarchive.journal.lines import to_line
from mailarchive.mail import mboxrd
from mailarchive.store import frames
from mailarchive.store.blocks import plain_blocks, plain_path
from mailarchive.store.reader import PackedBlocks
from mailarchive.store.segments import pack, segment_path, segments, surplus, torn_block

Tell = Callable[[str], None]
BATCH = 20_000


def _begins(path: Path, offset: int, wanted: bytes) -> bool:
    """Return whether ``path`` goes on at ``offset`` like ``wanted``, as far as it goes (zeros: a power failure)."""
    with path.open("rb") as file:
        file.seek(offset)
        found = file.read(len(wanted)).rstrip(b"\0")
    return wanted.startswith(found)


def _remove_catalog(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        remove(path.with_name(path.name + suffix))


def is_clean(layout: Layout, catalog: Catalog) -> bool:
    """Return whether journal, catalog, and files agree in position and size, so that nothing needs to be done."""
    if not log.ends_at(layout.journal, catalog.position()):
        return False
    if {number: size for number, size in segments(layout.mail).items() if size} != catalog.segment_ends():
        return False
    plain = plain_blocks(layout.mail)
    newest = catalog.newest_block()
    if any(number < newest or catalog.block(number) for number in plain):
        return False
    if newest not in plain and not catalog.block(newest) and catalog.block_end(newest):
        return False
    return all(plain_path(layout.mail, number).stat().st_size == catalog.block_end(number) for number in plain)


@dataclass(slots=True)
class Recovery:
    """One run of it over one archive."""

    layout: Layout
    tell: Tell
    facts: list[Fact] = field(default_factory=list)
    """What was found out about blocks, to be recorded."""
    strange: list[str] = field(default_factory=list)
    """What was put right although no crash explains it, in sentences."""
    packed: list[int] = field(default_factory=list)
    """Blocks whose frame is whole and recorded: their plain files can go."""

    def run(self) -> Catalog:
        """Return a catalog that reflects the whole, mended journal. Raises ArchiveDamaged, StorageFailed."""
        self._remove_temporary_files()
        catalog, replay, late = self._replay()
        position = self._mend_tail(replay, self._whole(catalog, late))
        journal = log.Log(self.layout.journal, position, frames.compress)
        try:
            catalog.apply((), position)
            self._checkpoint(journal, catalog, [fact for _, fact in late])
            self._settle_blocks(catalog)
            journal.append(*self.facts)
            self._checkpoint(journal, catalog, self.facts)
        finally:
            journal.close()
        for number in self.packed:
            remove(plain_path(self.layout.mail, number))
        return catalog

    def _checkpoint(self, journal: log.Log, catalog: Catalog, facts: list[Fact]) -> None:
        if not journal.news:
            return
        for number in plain_blocks(self.layout.mail):
            path = plain_path(self.layout.mail, number)
            with storage(path), path.open("rb") as file:
                os.fsync(file.fileno())
        catalog.apply(facts, journal.checkpoint())

    def _remove_temporary_files(self) -> None:
        for directory in (self.layout.root, self.layout.mail, self.layout.journal, self.layout.partial):
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
        reader = MessageReader(PackedBlocks(self.layout.mail), catalog)
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

    def _settle_blocks(self, catalog: Catalog) -> None:
        ends = catalog.segment_ends()
        sizes = segments(self.layout.mail)
        plain = plain_blocks(self.layout.mail)
        for segment, size in sizes.items():
            if size > ends.get(segment, 0):
                self._settle_surplus(catalog, segment, ends.get(segment, 0), set(plain))
        adopted = {fact.block for fact in self.facts if isinstance(fact, BlockPacked)}
        for number in sorted({*catalog.blocks(), *plain} - adopted):
            frame = catalog.block(number)
            if frame and number in plain:
                self._settle_both(frame)
            elif frame and sizes.get(frame.segment, 0) >= frame.end:
                continue
            elif number in plain:
                self._settle_plain(catalog, number)
            else:
                where = segment_path(self.layout.mail, frame.segment) if frame else plain_path(self.layout.mail, number)
                self._lose(catalog.messages_in(number), where)

    def _settle_both(self, frame: BlockPacked) -> None:
        """Of a packed block whose plain file is still there keep the frame if it is whole, else pack it again."""
        if not self._is_whole_frame(frame):
            self.tell(f"block {frame.block} was not packed whole, and is packed again")
            segment = max(segments(self.layout.mail), default=1)
            frame = pack(self.layout.mail, frame.block, segment, segments(self.layout.mail).get(segment, 0))
            self.facts.append(frame)
        self.packed.append(frame.block)

    def _is_whole_frame(self, frame: BlockPacked) -> bool:
        try:
            with segment_path(self.layout.mail, frame.segment).open("rb") as file:
                file.seek(frame.offset)
                return sum(map(len, frames.stream_frame(file, frame.length))) == frame.size
        except (ArchiveDamaged, FileNotFoundError):
            return False

    def _settle_plain(self, catalog: Catalog, number: int) -> None:
        """Make a plain block as long as the journal says; what it lacks is lost."""
        path = plain_path(self.layout.mail, number)
        end, size = catalog.block_end(number), path.stat().st_size
        if size > end:
            if not self._begins_an_entry(path, end):
                self.strange.append(f"{path} had {size - end} octets at its end that are no message")
            self._cut(path, end)
        elif size < end:
            messages = catalog.messages_in(number)
            self._lose([message for message in messages if message.offset + message.length > size], path)
            self._cut(path, max((m.offset + m.length for m in messages if m.offset + m.length <= size), default=0))

    @staticmethod
    def _begins_an_entry(path: Path, offset: int) -> bool:
        """Return whether what stands there may be what a crash left of an entry."""
        return _begins(path, offset, mboxrd.ENTRY)

    def _begins_a_frame(self, path: Path, offset: int, plain: set[int]) -> bool:
        """Return whether what stands there may be what a crash left of packing one of the ``plain`` blocks."""
        sizes = {number: plain_path(self.layout.mail, number).stat().st_size for number in plain}
        return any(_begins(path, offset, frames.block_header(number, size)) for number, size in sizes.items())

    def _settle_surplus(self, catalog: Catalog, segment: int, end: int, plain: set[int]) -> None:
        """Record anew the whole frames after ``end`` whose plain file is gone; cut the rest."""
        reader = MessageReader(PackedBlocks(self.layout.mail), catalog)
        for frame in surplus(self.layout.mail, segment, end):
            known = catalog.messages_in(frame.block)
            if frame.block in plain or catalog.block(frame.block) or not known:
                break
            if not all(reader.is_whole(message, frame) for message in known):
                break
            self.tell(f"block {frame.block} was found packed in segment {segment}, and recorded")
            self.facts.append(frame)
            end = frame.end
        path = segment_path(self.layout.mail, segment)
        if path.stat().st_size > end:
            if torn_block(self.layout.mail, segment, end) in plain:
                self._truncate(path, end)
            else:
                if not self._begins_a_frame(path, end, plain):
                    size = path.stat().st_size
                    self.strange.append(f"{path} had {size - end} octets at its end that no fact explains")
                self._cut(path, end, always_aside=True)

    def _lose(self, messages: list[MessageStored], path: Path) -> None:
        if messages:
            self.tell(
                f"{path} is shorter than it was, and {len(messages)} messages are lost with its end; "
                "the next pull fetches again those that the server still has"
            )
        self.facts.extend(Lost(message.digest, f"{path.name} was cut", cut=True) for message in messages)

    def _cut(self, path: Path, end: int, *, always_aside: bool = False) -> None:
        with path.open("rb") as file:
            file.seek(end)
            rest = file.read()
        if not rest:
            return
        if always_aside or rest.count(b"\nFrom MAILER-DAEMON ") > 0:
            self._aside(path.name, rest)
        self.tell(f"the last write was cut short: {len(rest)} octets without a fact were cut from the end of {path}")
        self._truncate(path, end)

    def _truncate(self, path: Path, end: int) -> None:
        with storage(path):
            os.truncate(path, end)

    def _aside(self, name: str, octets: bytes) -> None:
        make_directory(self.layout.aside)
        free = next(n for n in count(1) if not (self.layout.aside / f"{n:04d}-{name}").exists())
        path = self.layout.aside / f"{free:04d}-{name}"
        replace_durably(path, octets)
        self.tell(f"{len(octets)} octets were kept in {path}")
