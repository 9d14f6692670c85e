"""Make the catalog anew from the journal."""

from dataclasses import dataclass
from pathlib import Path

from mailarchive.archive import archive
from mailarchive.ops.events import Notice, Observer


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What the new catalog holds."""

    journal_lines: int
    messages: int
    placements: int
    mailboxes: int


def rebuild(directory: Path, observer: Observer) -> RebuildReport:
    """Replay the whole journal into a new catalog and put it in place of the old one.

    Raises ArchiveMissing, ArchiveLocked, ArchiveDamaged (the chain is broken), StorageFailed.
    """
    catalog, lines = archive.rebuild(directory, lambda text: observer(Notice(text)))
    try:
        totals = catalog.totals()
        return RebuildReport(lines, totals.unique, totals.placements, len(catalog.mailboxes()))
    finally:
        catalog.close()
