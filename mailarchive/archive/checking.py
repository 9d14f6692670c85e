"""Check an archive against its own journal: the chain, the blocks, every message, and the catalog."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mailarchive.archive.layout import Layout
from mailarchive.archive.messages import MessageReader
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog, CatalogUnusable
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BlockPacked, Fact, MessageStored, Position
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


class Checker:
    """Checks the archive at ``layout``; ``catalog`` is the one it has, or None if that cannot be used."""

    def __init__(self, layout: Layout, catalog: Catalog | None, advance: Advance) -> None:
        self.findings = Findings()
        self._layout = layout
        self._catalog = catalog
        self._advance = advance

    def run(self, *, quick: bool) -> Findings:
        """Check everything; ``quick`` leaves out the content of the blocks. Raises StorageFailed."""
        replayed = self._check_journal()
        truth = replayed or self._catalog
        if truth is not None:
            self._check_sizes(truth)
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
            if position is not None:
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
            if damaged:
                self.findings.damaged_messages += len(damaged)
                self.findings.damage.append(
                    f"block {number}: {len(damaged)} of {len(messages)} messages are damaged: "
                    + ", ".join(message.digest.hex()[:16] for message in damaged)
                )

    def _packed_since(self, number: int) -> BlockPacked | None:
        """Return where a block is that a writer has packed since the journal was read."""
        return self._catalog.block(number) if self._catalog else None


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
