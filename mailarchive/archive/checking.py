"""Check an archive against its own journal: the chain, the blocks, every message, and the catalog."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from mailarchive.archive.crew import Crew, Work, helpers_for
from mailarchive.archive.layout import Layout
from mailarchive.archive.messages import MessageReader
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import ArchiveMade, BlockPacked, Fact, MessageStored, Placed, Position
from mailarchive.journal import log
from mailarchive.store import frames
from mailarchive.store.blocks import plain_path
from mailarchive.store.reader import PackedBlocks
from mailarchive.store.segments import segment_path, segments

Advance = Callable[[int, int], None]
"""Is told how many octets of messages have been checked since the last call, and how many there are in all."""

BATCH = 20_000


@dataclass(frozen=True, slots=True)
class BlockResult:
    """A block's number, how many messages it has, of how many octets, and those of them that are damaged."""

    number: int
    messages: int
    octets: int
    damaged: list[MessageStored]


@dataclass(slots=True)
class Findings:
    """What was looked at, and what is wrong, in sentences."""

    lines: int = 0
    checkpoints: int = 0
    blocks: int = 0
    messages: int = 0
    octets: int = 0
    damaged_messages: int = 0
    damage: list[str] = field(default_factory=list)


class _Written:
    """What the journal says of the archive itself, and of the entries of blocks that are still plain."""

    def __init__(self) -> None:
        self.archive_id: str | None = None
        self.dates: dict[int, dict[int, datetime | None]] = {}
        """INTERNALDATE with which the entry at an offset of a block was written."""
        self._last: MessageStored | None = None

    def note(self, facts: Iterable[Fact]) -> None:
        """Take notice of facts, in order."""
        last = self._last
        for fact in facts:
            if isinstance(fact, MessageStored):
                last = fact
                continue
            if isinstance(fact, Placed):
                if last is not None and fact.digest == last.digest:
                    self.dates.setdefault(last.block, {})[last.offset] = fact.date
            elif isinstance(fact, BlockPacked):
                self.dates.pop(fact.block, None)
            elif isinstance(fact, ArchiveMade):
                self.archive_id = fact.id
            last = None
        self._last = last


class Checker:
    """Checks the archive at ``layout``; ``catalog`` is the one it has, or None if that cannot be used.

    While another process writes to the archive, what is read first is older than what is read last.
    """

    def __init__(self, layout: Layout, catalog: Catalog | None, advance: Advance) -> None:
        self.findings = Findings()
        self._layout = layout
        self._catalog = catalog
        self._advance = advance
        self._written = _Written()
        self._agrees = False
        """Whether the archive's catalog holds what the journal says."""

    def run(self, *, quick: bool) -> Findings:
        """Check everything; ``quick`` leaves out the content of the blocks. Raises StorageFailed."""
        position, expected = self._fingerprint()
        with ExitStack() as stack:
            results: Iterator[BlockResult] | None = None
            if not quick and self._catalog is not None:
                with suppress(CatalogUnusable):
                    results = stack.enter_context(read_blocks(self._layout, self._catalog))
            replayed = self._check_journal(position, expected)
            truth = replayed or self._catalog
            if truth is not None:
                self._check_against(truth, None if quick else self._read(truth, results))
        if replayed is not None:
            if self._written.archive_id != self._layout.read_settings().get("id"):
                self.findings.damage.append(f"{self._layout.settings} does not have the id that the journal has")
            replayed.close()
        return self.findings

    def _check_against(self, truth: Catalog, results: list[BlockResult] | None) -> None:
        """Compare the files, and what was found when they were read (None: they were not), with the ``truth``."""
        self._check_sizes(truth)
        self._check_block_headers(truth)
        totals = truth.totals()
        if results is None:
            self.findings.messages, self.findings.octets = totals.unique - totals.lost, totals.unique_bytes
        else:
            self._check_blocks(truth, results)
        if totals.lost:
            self.findings.damage.append(f"{totals.lost} messages were lost before, and were not fetched again yet")
            self.findings.messages += totals.lost
            self.findings.damaged_messages += totals.lost

    def _read(self, truth: Catalog, results: Iterator[BlockResult] | None) -> list[BlockResult]:
        """Return the ``results`` of reading by the archive's catalog if that is right, else read by the ``truth``."""
        if results is not None and (truth is self._catalog or self._agrees):
            try:
                return self._watch(truth, results)
            except CatalogUnusable as error:
                if truth is self._catalog:
                    raise
                self.findings.damage.append(f"{error}; make it anew with: mailarchive rebuild")
        reader = MessageReader(PackedBlocks(self._layout.mail, cached=1), truth)
        return self._watch(truth, (check_block(reader, truth, number) for number in truth.blocks()))

    def _watch(self, truth: Catalog, results: Iterator[BlockResult]) -> list[BlockResult]:
        """Tell of each result that it is there, and return them by number."""
        total, found = truth.totals().unique_bytes, []
        for result in results:
            self._advance(result.octets, total)
            found.append(result)
        return sorted(found, key=lambda result: result.number)

    def _check_journal(self, position: Position | None, expected: dict[str, str]) -> Catalog | None:
        """Replay the journal into a catalog of its own, compare the archive's with it, and return it."""
        replay = log.Replay(self._layout.journal, frames.decompress)
        replayed = sqlite.begin(None)
        try:
            for facts in _until(replay, position.checkpoints if position else None):
                replayed.apply(facts, replay.position)
                self._written.note(facts)
            replayed.complete()
            if position is not None:
                _must_reach(replay, position)
                self._compare(replayed.fingerprint()[1], expected)
            log.Replay(self._layout.journal, frames.decompress, replay.position).check()
        except ArchiveDamaged as error:
            self.findings.damage.append(str(error))
            replayed.close()
            return None
        finally:
            self.findings.lines, self.findings.checkpoints = replay.lines, replay.position.checkpoints
        return replayed

    def _fingerprint(self) -> tuple[Position | None, dict[str, str]]:
        """Return what the archive's catalog holds; if it cannot be read it is damage, and of no more use."""
        if self._catalog is None:
            return None, {}
        try:
            return self._catalog.fingerprint()
        except CatalogUnusable as error:
            self.findings.damage.append(f"{error}; make it anew with: mailarchive rebuild")
            self._catalog = None
            return None, {}

    def _compare(self, journal: dict[str, str], catalog: dict[str, str]) -> None:
        differing = [table for table in journal if journal[table] != catalog[table]]
        self._agrees = not differing
        if differing:
            self.findings.damage.append(
                f"the catalog differs from the journal in {', '.join(differing)}; "
                "make it anew with: mailarchive rebuild"
            )

    def _check_sizes(self, truth: Catalog) -> None:
        """Compare what files there are, and how long they are, with what the journal says."""
        sizes = segments(self._layout.mail)
        for segment, end in truth.segment_ends().items():
            if sizes.get(segment, 0) < end:
                path = segment_path(self._layout.mail, segment)
                self.findings.damage.append(f"{path} has {sizes.get(segment, 0)} octets; it must have {end}")
        for number in truth.blocks():
            self.findings.blocks += 1
            path = plain_path(self._layout.mail, number)
            size, end = _size(path), truth.block_end(number)
            if truth.block(number) is None and size < end and not self._packed_since(number):
                self.findings.damage.append(f"{path} has {size} octets; it must have {end}")

    def _check_block_headers(self, truth: Catalog) -> None:
        """Look at what stands before each packed block, by which segments can be read without a journal."""
        for number in truth.blocks():
            frame = truth.block(number)
            path = segment_path(self._layout.mail, frame.segment) if frame else None
            if frame is None or path is None or _size(path) < frame.end or not truth.block_end(number):
                continue
            wanted = frames.block_header(number, frame.size)
            with path.open("rb") as file:
                file.seek(max(0, frame.offset - len(wanted)))
                if file.read(len(wanted)) != wanted:
                    self.findings.damage.append(f"{path} is damaged before block {number}, outside of its messages")

    def _check_frames(self, truth: Catalog, number: int, messages: Sequence[MessageStored]) -> None:
        """Look at what stands around the messages of a plain block; in a packed one zstd's checksum covers it."""
        dates = self._written.dates.get(number, {})
        reader = MessageReader(PackedBlocks(self._layout.mail), truth)
        known = [message for message in messages if message.offset in dates]
        try:
            damaged = [message for message in known if not reader.is_framed(message, dates[message.offset])]
        except (ArchiveDamaged, FileNotFoundError):
            if self._packed_since(number):
                return
            raise
        if damaged:
            self.findings.damage.append(
                f"block {number}: the separators of {len(damaged)} messages are damaged, the messages are not"
            )

    def _check_blocks(self, truth: Catalog, results: Iterable[BlockResult]) -> None:
        """Take notice of what was found when every message was read."""
        for found in results:
            damaged = found.damaged
            if damaged and (frame := self._packed_since(found.number)):
                reader = MessageReader(PackedBlocks(self._layout.mail), truth)
                damaged = [message for message in damaged if not reader.is_whole(message, frame)]
            self.findings.messages += found.messages
            self.findings.octets += found.octets
            if not truth.block(found.number):
                whole = [message for message in truth.messages_in(found.number) if message not in damaged]
                self._check_frames(truth, found.number, whole)
            if damaged:
                self.findings.damaged_messages += len(damaged)
                self.findings.damage.append(
                    f"block {found.number}: {len(damaged)} of {found.messages} messages are damaged: "
                    + ", ".join(message.digest.hex()[:16] for message in damaged)
                )

    def _packed_since(self, number: int) -> BlockPacked | None:
        """Return where a block is that a writer has packed since the journal was read."""
        return self._catalog.block(number) if self._catalog else None


def _must_reach(replay: log.Replay, position: Position) -> None:
    if replay.position.checkpoints < position.checkpoints:
        raise ArchiveDamaged("the journal is damaged in its last line: a checkpoint that was there is none any more")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def check_block(reader: MessageReader, catalog: Catalog, number: int) -> BlockResult:
    """Read every message of a block."""
    messages = catalog.messages_in(number)
    return BlockResult(number, len(messages), sum(message.size for message in messages), reader.damaged(messages))


@contextmanager
def block_checker(mail: Path, catalog: Path) -> Iterator[Work[BlockResult]]:
    """Lend what checks a block, with a catalog and a reader of its own: for any process."""
    with closing(sqlite.open_existing(catalog)) as known:
        yield partial(check_block, MessageReader(PackedBlocks(mail, cached=1), known), known)


@contextmanager
def read_blocks(layout: Layout, catalog: Catalog) -> Iterator[Iterator[BlockResult]]:
    """Begin to read every message, on as many cores as there are; lend the results, in any order."""
    path, numbers = catalog.path(), catalog.blocks()
    if path is None:
        reader = MessageReader(PackedBlocks(layout.mail, cached=1), catalog)
        yield (check_block(reader, catalog, number) for number in numbers)
        return
    helpers = helpers_for(sum(segments(layout.mail).values()))
    with Crew(block_checker, (layout.mail, path), numbers, helpers) as crew:
        yield crew.results()


def _until(replay: log.Replay, checkpoints: int | None) -> Iterator[list[Fact]]:
    """Yield the facts in batches up to a checkpoint, or all of them if that is None."""
    batch: list[Fact] = []
    for fact in replay:
        batch.append(fact)
        reached = checkpoints is not None and replay.position.checkpoints >= checkpoints
        if len(batch) >= BATCH or reached:
            yield batch
            batch = []
        if reached:
            return
    yield batch
