"""Check an archive against its own journal: the chain, the blocks, every message, and the catalog."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mailarchive.archive.crew import Crew, Work, helpers_for
from mailarchive.archive.forms import form_of
from mailarchive.archive.layout import Layout
from mailarchive.archive.messages import MessageReader
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import ArchiveMade, BlockPacked, Fact, MessageStored, Position
from mailarchive.journal import log
from mailarchive.store import frames

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


class Checker:
    """Checks the archive at ``layout``; ``catalog`` is the one it has, or None if that cannot be used.

    While another process writes to the archive, what is read first is older than what is read last.
    """

    def __init__(self, layout: Layout, catalog: Catalog | None, advance: Advance) -> None:
        self.findings = Findings()
        self._layout = layout
        self._catalog = catalog
        self._advance = advance
        self._files = form_of(layout).check(self._packed_since)
        self._archive_id: str | None = None
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
            if self._archive_id != self._layout.read_settings().get("id"):
                self.findings.damage.append(f"{self._layout.settings} does not have the id that the journal has")
            replayed.close()
        return self.findings

    def _check_against(self, truth: Catalog, results: list[BlockResult] | None) -> None:
        """Compare the files, and what was found when they were read (None: they were not), with the ``truth``."""
        self.findings.blocks = len(truth.blocks())
        self.findings.damage += self._files.files(truth)
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
        reader = MessageReader(form_of(self._layout).texts(cached=1), truth)
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
                self._files.note(facts)
                self._archive_id = next((fact.id for fact in facts if isinstance(fact, ArchiveMade)), self._archive_id)
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

    def _check_blocks(self, truth: Catalog, results: Iterable[BlockResult]) -> None:
        """Take notice of what was found when every message was read."""
        for found in results:
            damaged = found.damaged
            if damaged and (frame := self._packed_since(found.number)):
                reader = MessageReader(form_of(self._layout).texts(), truth)
                damaged = [message for message in damaged if not reader.is_whole(message, frame)]
            self.findings.messages += found.messages
            self.findings.octets += found.octets
            whole = [message for message in truth.messages_in(found.number) if message not in damaged]
            self.findings.damage += self._files.around(truth, found.number, whole)
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


def check_block(reader: MessageReader, catalog: Catalog, number: int) -> BlockResult:
    """Read every message of a block."""
    messages = catalog.messages_in(number)
    return BlockResult(number, len(messages), sum(message.size for message in messages), reader.damaged(messages))


@contextmanager
def block_checker(layout: Layout, catalog: Path) -> Iterator[Work[BlockResult]]:
    """Lend what checks a block, with a catalog and a reader of its own: for any process."""
    with closing(sqlite.open_existing(catalog)) as known:
        yield partial(check_block, MessageReader(form_of(layout).texts(cached=1), known), known)


@contextmanager
def read_blocks(layout: Layout, catalog: Catalog) -> Iterator[Iterator[BlockResult]]:
    """Begin to read every message, on as many cores as there are; lend the results, in any order."""
    path, numbers = catalog.path(), catalog.blocks()
    if path is None:
        reader = MessageReader(form_of(layout).texts(cached=1), catalog)
        yield (check_block(reader, catalog, number) for number in numbers)
        return
    helpers = helpers_for(catalog.totals().unique_bytes)
    with Crew(block_checker, (layout, path), numbers, helpers) as crew:
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
