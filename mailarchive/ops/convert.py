"""Make an archive anew in another layout, or an empty one."""

from dataclasses import dataclass
from pathlib import Path

from mailarchive.archive.archive import Kind, make
from mailarchive.archive.converting import convert as convert_archive
from mailarchive.archive.layout import HIGHEST_LEVEL, LEVEL
from mailarchive.clock import Clock
from mailarchive.errors import ArchiveDamaged
from mailarchive.ops.events import Notice, Observer, Progress
from mailarchive.ops.verify import verify

__all__ = ["HIGHEST_LEVEL", "LEVEL", "ConvertReport", "Kind", "convert", "make"]


@dataclass(frozen=True, slots=True)
class ConvertReport:
    """How many messages the new archive has, of how many octets, each compared with its digest."""

    messages: int
    octets: int


def convert(source: Path, destination: Path, kind: Kind, observer: Observer, clock: Clock) -> ConvertReport:
    """Make an archive of a ``kind`` at ``destination`` with all that ``source`` has, and read it back.

    Raises UsageError, ArchiveMissing, ArchiveDamaged, StorageFailed.
    """
    done = 0

    def advance(octets: int, total: int) -> None:
        nonlocal done
        done += octets
        observer(Progress(done, total))

    convert_archive(source, destination, kind, clock, lambda text: observer(Notice(text)), advance)
    found = verify(destination, quick=False, observer=observer)
    if found.damage:
        raise ArchiveDamaged(f"{destination}: {'; '.join(found.damage)}")
    return ConvertReport(found.messages, found.octets)
