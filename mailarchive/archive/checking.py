"""Check an archive against its own journal: the chain, the blocks, every message, and the catalog."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mailarchive.archive.layout import Layout
from mailarchive.archive.messages import MessageReader
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import ArchiveMade, BlockPacked, Fact, MessageStored, Placed, Position
from mailarchive.journal import log
from mailarchive.store import frames
from mailarchive.store.blocks import plain_path
from mailarchive.store.segments import segment_path, segments

Advance = Callable[[int, int], None]
"""Is told how many octets of messages have been checked since the last call, and how many there are in all."""

BATCH = 20_000

BlockResult = tuple[int, list[MessageStored], list[MessageStored]]
"""A block's number, its messages, and those of them that are damaged."""


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

    def note(self, fact: Fact) -> None:
        """Take notice of a fact."""
        if isinstance(fact, Placed) and self._last is not None and fact.digest == self._last.digest:
            self.dates.setdefault(self._last.block, {})[self._last.offset] = fact.date
        elif isinstance(fact, BlockPacked):
            self.dates.pop(fact.block, None)
        elif isinstance(fact, ArchiveMade):
            self.archive_id = fact.id
        self._last = fact if isinstance(fact, MessageStored) else None


class Checker:
    """Checks the archive at ``layout``; ``catalog`` is the one it has, or None if that cannot be used."""

    def __init__(self, layout: Layout, catalog: Catalog | None, advance: Advance) -> None:
        self.findings = Findings()
        self._layout = layout
        self._catalog = catalog
        self._advance = advance
        self._written = _Written()

    def run(self, *, quick: bool) -> Findings:
        """Check everything; ``quick`` leaves out the content of the blocks. Raises StorageFailed."""
        replayed = self._check_journal()
        truth = replayed or self._catalog
        if truth is not None:
            self._check_sizes(truth)
            self._check_block_headers(truth)
            totals = truth.totals()
            if quick:
                self.findings.messages, self.findings.octets = totals.unique - totals.lost, totals.unique_bytes
            else:
                self._check_blocks(truth)
            lost = totals.lost
            if lost:
                self.findings.damage.append(f"{lost} messages were lost before, and were not fetched again yet")
                self.findings.messages += lost
                self.findings.damaged_messages += lost
        if replayed is not None:
            if self._written.archive_id != self._layout.read_settings().get("id"):
                self.findings.damage.append(f"{self._layout.settings} does not have the id that the journal has")
            replayed.close()
        return self.findings

    def _check_journal(self) -> Catalog | None:
        """Replay the journal into a catalog of its own, compare the archive's with it, and return it."""
        position, expected = self._fingerprint()
        replay = log.Replay(self._layout.journal, frames.decompress)
        replayed: Catalog = sqlite.create(None)
        try:
            for facts in _until(replay, position.checkpoints if position else None):
                replayed.apply(facts, replay.position)
                for fact in facts:
                    self._written.note(fact)
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
        reader = MessageReader(self._layout.mail, truth)
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

    def _check_blocks(self, truth: Catalog) -> None:
        """Read every message."""
        total = truth.totals().unique_bytes
        for number, messages, damaged in check_blocks(self._layout, truth):
            if damaged and (frame := self._packed_since(number)):
                reader = MessageReader(self._layout.mail, truth)
                damaged = [message for message in damaged if not reader.is_whole(message, frame)]
            octets = sum(message.size for message in messages)
            self.findings.messages += len(messages)
            self.findings.octets += octets
            self._advance(octets, total)
            if not truth.block(number):
                self._check_frames(truth, number, [message for message in messages if message not in damaged])
            if damaged:
                self.findings.damaged_messages += len(damaged)
                self.findings.damage.append(
                    f"block {number}: {len(damaged)} of {len(messages)} messages are damaged: "
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


def check_blocks(layout: Layout, catalog: Catalog) -> Iterator[BlockResult]:
    """Read every message, a block at a time, on as many cores as there are."""

    def check(number: int, messages: list[MessageStored]) -> BlockResult:
        reader = MessageReader(layout.mail, catalog)
        return number, messages, [message for message in messages if not reader.is_whole(message)]

    cores = os.cpu_count() or 1
    pending: deque[Future[BlockResult]] = deque()
    with ThreadPoolExecutor(cores, "verify") as pool:
        for number in catalog.blocks():
            pending.append(pool.submit(check, number, catalog.messages_in(number)))
            if len(pending) > 2 * cores:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


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
