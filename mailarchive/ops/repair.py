"""Give up damaged octets, so that the next pull fetches those messages again."""

from dataclasses import dataclass
from pathlib import Path

from mailarchive.archive import archive
from mailarchive.clock import Clock
from mailarchive.model import Digest
from mailarchive.ops.events import Notice, Observer


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The messages that are damaged, and their octets; how many were recorded as lost by an earlier repair."""

    damaged: tuple[Digest, ...]
    octets: int
    lost_before: int


def repair(directory: Path, observer: Observer, clock: Clock) -> RepairReport:
    """Record as lost every message whose octets are damaged; what is whole stays as it is, and nothing is removed.

    Raises ArchiveMissing, ArchiveLocked, ArchiveDamaged (the journal itself is damaged), StorageFailed.
    """
    damaged, lost_before = archive.repair(directory, clock, lambda text: observer(Notice(text)))
    return RepairReport(
        tuple(message.digest for message in damaged), sum(message.size for message in damaged), lost_before
    )
