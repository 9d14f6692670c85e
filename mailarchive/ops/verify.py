"""Check that everything in the archive is what was written."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from mailarchive.archive.archive import check
from mailarchive.ops.events import Notice, Observer, Progress


@dataclass(slots=True)
class VerifyReport:
    """What was checked and what is damaged: sentences, empty when all is whole."""

    quick: bool
    journal_lines: int = 0
    checkpoints: int = 0
    blocks: int = 0
    messages: int = 0
    octets: int = 0
    damaged_messages: int = 0
    damage: list[str] = field(default_factory=list)
    seconds: float = 0.0


def verify(directory: Path, *, quick: bool, observer: Observer) -> VerifyReport:
    """Check the journal chain, the blocks, every message's SHA-256, and the catalog against the journal.

    ``quick`` checks structure only: chain, files, sizes, and locations. Raises ArchiveMissing, FormatTooNew.
    """
    started = time.monotonic()
    done = 0

    def advance(octets: int, total: int) -> None:
        nonlocal done
        done += octets
        observer(Progress(done, total))

    found = check(directory, lambda text: observer(Notice(text)), advance, quick=quick)
    return VerifyReport(
        quick,
        found.lines,
        found.checkpoints,
        found.blocks,
        found.messages,
        found.octets,
        found.damaged_messages,
        found.damage,
        round(time.monotonic() - started, 3),
    )
