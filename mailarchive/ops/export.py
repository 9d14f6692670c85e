"""Write messages out of the archive as files that any mail program reads."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mailarchive.archive.archive import open_for_reading
from mailarchive.archive.outgoing import Choice, Dock, Outgoing, OutgoingReader, Shipment, ship
from mailarchive.errors import ArchiveDamaged
from mailarchive.ops.events import Notice, Observer, Progress
from mailarchive.ops.selection import Selection, matchless, selected
from mailarchive.records import KnownMailbox
from mailarchive.targets.base import Home, Place, Target
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


_Homes = Mapping[tuple[int, bool], Home]
"""The mailboxes by number, and whether it is the part of them that is gone."""


@dataclass(slots=True)
class _Brought:
    """What came out of a block; ``damaged`` in sentences, ``told`` for the target that puts all together."""

    messages: int = 0
    octets: int = 0
    skipped: int = 0
    looked_at: int = 0
    damaged: list[str] = field(default_factory=list)
    told: Any = None


def export(directory: Path, destination: Path, form: Format, selection: Selection, observer: Observer) -> ExportReport:
    """Write the selected messages below ``destination``, one mbox a mailbox or one ``.eml`` a message.

    A damaged message is named and left out; the others are written. Raises UsageError if ``destination`` cannot take
    them, StorageFailed, and ArchiveDamaged at the end if any message was damaged.
    """
    report = ExportReport()

    def tell(text: str) -> None:
        observer(Notice(text))

    with open_for_reading(directory, tell) as archive:
        for sentence in matchless(archive, selection):
            tell(sentence)
        boxes = selected(archive, selection)
        choice = Choice(tuple(box.number for box in boxes), selection.gone, selection.since, selection.before)
        with ship(archive, choice) as shipment:
            homes = _homes(boxes, shipment)
            target = open_target(form, destination, tell)
            target.reserve(list(homes.values()))
            try:
                for digest in shipment.lost:
                    report.damaged += 1
                    tell(f"message {digest.hex()} is not in the archive, or was lost")
                with shipment.crew(_worker, form, destination, homes) as crew:
                    _collect(crew.results(), target, shipment.octets, report, observer)
                report.files = target.close()
            except BaseException:
                target.abort()
                raise
    if report.damaged:
        raise ArchiveDamaged(
            f"{report.damaged} messages are damaged and were left out; the other {report.messages} are in {destination}"
        )
    return report


def _homes(boxes: Iterable[KnownMailbox], shipment: Shipment) -> _Homes:
    """Return the mailboxes that something comes from, in an order that is always the same."""
    return {
        (box.number, gone): Home(box.account, box.name.parts, box.number, gone)
        for box in boxes
        for gone in (False, True)
        if (box.number, gone) in shipment.homes
    }


def _collect(results: Iterable[_Brought], target: Target, total: int, report: ExportReport, observer: Observer) -> None:
    """Add up what the processes brought out."""
    done = 0
    for brought in results:
        target.learn(brought.told)
        report.messages += brought.messages
        report.octets += brought.octets
        report.skipped += brought.skipped
        report.damaged += len(brought.damaged)
        for sentence in brought.damaged:
            observer(Notice(sentence))
        done += brought.looked_at
        observer(Progress(done, total))


@contextmanager
def _worker(dock: Dock, form: Format, destination: Path, homes: _Homes) -> Iterator[Callable[[int], _Brought]]:
    """Lend what brings out the messages of a block: for any process."""
    target = open_target(form, destination)
    target.reserve(list(homes.values()))
    with dock.reader() as reader:
        yield partial(_bring_out, reader, target, homes)


def _bring_out(reader: OutgoingReader, target: Target, homes: _Homes, block: int) -> _Brought:
    brought = _Brought()
    try:
        for item in reader.of(block):
            _put(reader, target, homes[item.mailbox, item.gone], item, brought)
    finally:
        brought.told = target.told()
    return brought


def _put(reader: OutgoingReader, target: Target, home: Home, item: Outgoing, brought: _Brought) -> None:
    message = item.message
    place = Place(
        home,
        item.uid,
        message.digest,
        message.size,
        item.date,
        message.eol,
        message.final,
        item.at,
        message.length,
    )
    brought.looked_at += message.size
    if target.has(place):
        brought.skipped += 1
        return
    try:
        target.put(place, reader.octets(message))
    except ArchiveDamaged as error:
        brought.damaged.append(str(error))
        return
    brought.messages += 1
    brought.octets += message.size
