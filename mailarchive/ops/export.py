"""Write messages out of the archive as files that any mail program reads."""

from dataclasses import dataclass
from pathlib import Path

from mailarchive.archive.archive import Archive, open_for_reading
from mailarchive.errors import ArchiveDamaged
from mailarchive.ops.events import Notice, Observer, Progress
from mailarchive.ops.selection import Selection, chosen, matchless
from mailarchive.records import KnownMailbox, PlacementRecord
from mailarchive.targets.base import Place, Target
from mailarchive.targets.registry import Format, open_target

__all__ = ["ExportReport", "Format", "export"]


@dataclass(slots=True)
class ExportReport:
    """What was written: messages and their octets; how many were there already, and how many are damaged."""

    messages: int = 0
    octets: int = 0
    skipped: int = 0
    damaged: int = 0
    files: int = 0


def export(directory: Path, destination: Path, form: Format, selection: Selection, observer: Observer) -> ExportReport:
    """Write the selected messages below ``destination``, one mbox a mailbox or one ``.eml`` a message.

    A damaged message is named and left out; the others are written. Raises UsageError if ``destination`` cannot take
    them, StorageFailed, and ArchiveDamaged at the end if any message was damaged.
    """
    report = ExportReport()
    with open_for_reading(directory, lambda text: observer(Notice(text))) as archive:
        for sentence in matchless(archive, selection):
            observer(Notice(sentence))
        total = sum(record.size for _, record in chosen(archive, selection))
        target = open_target(form, destination, lambda text: observer(Notice(text)))
        try:
            done = 0
            for box, record in chosen(archive, selection):
                _put(archive, target, box, record, report, observer)
                done += record.size
                observer(Progress(done, total))
            report.files = target.close()
        except BaseException:
            target.abort()
            raise
    if report.damaged:
        raise ArchiveDamaged(
            f"{report.damaged} messages are damaged and were left out; the other {report.messages} are in {destination}"
        )
    return report


def _put(
    archive: Archive,
    target: Target,
    box: KnownMailbox,
    record: PlacementRecord,
    report: ExportReport,
    observer: Observer,
) -> None:
    try:
        message = archive.message(record.digest)
        place = Place(
            box.account,
            box.name.parts,
            box.number,
            record.uid,
            record.digest,
            record.size,
            record.date,
            record.gone_at is not None,
            message.eol,
            message.final,
        )
        if target.has(place):
            report.skipped += 1
            return
        target.put(place, archive.octets(record.digest))
    except ArchiveDamaged as error:
        report.damaged += 1
        observer(Notice(str(error)))
        return
    report.messages += 1
    report.octets += record.size
