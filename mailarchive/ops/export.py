"""Write messages out of the archive as files that any mail program reads."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
from mailarchive.targets.registry import Format, Lines, Write, lines_of, open_target

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
"""Where what comes from a mailbox, by its number, goes, and where if it is gone from there."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to bring out, for any process: ``lines`` makes those that go before a message of a mailbox of these names."""

    form: Format
    destination: Path | Write
    homes: _Homes
    names: Mapping[int, tuple[str, ...]]
    lines: Lines | None

    @property
    def in_one(self) -> bool:
        """Whether all goes into one mbox."""
        return self.form == "one-mbox" or not isinstance(self.destination, Path)

    def before(self, mailbox: int, flags: tuple[str, ...], labels: tuple[str, ...]) -> bytes:
        """Return the lines that go before a message."""
        return self.lines(self.names[mailbox], flags, labels) if self.lines else b""

    def length(self, mailbox: int, flags: tuple[str, ...], labels: tuple[str, ...]) -> int:
        """Return the octets of these lines."""
        return len(self.before(mailbox, flags, labels))


@dataclass(slots=True)
class _Brought:
    """What came out of a block; ``damaged`` in sentences, ``told`` for the target that puts all together."""

    messages: int = 0
    octets: int = 0
    skipped: int = 0
    looked_at: int = 0
    damaged: list[str] = field(default_factory=list)
    told: Any = None


def export(
    directory: Path,
    destination: Path | Write,
    form: Format,
    selection: Selection,
    observer: Observer,
    *,
    marked: bool = False,
    limit: int | None = None,
) -> ExportReport:
    """Write the selected messages to ``destination``, a path, or what takes the octets of one mbox.

    ``marked`` puts header lines with flags and labels before each, in an mbox; ``limit`` takes the first ones only, by
    account, mailbox and uid. A damaged message is named and left
    out; the others are written. Raises UsageError if ``destination`` cannot take them, StorageFailed, and
    ArchiveDamaged at the end if any message was damaged.
    """
    report = ExportReport()

    def tell(text: str) -> None:
        observer(Notice(text))

    with open_for_reading(directory, tell) as archive:
        for sentence in matchless(archive, selection):
            tell(sentence)
        boxes = selected(archive, selection)
        names = {box.number: box.name.parts for box in boxes}
        plan = _Plan(form, destination, {}, names, lines_of(form, marked=marked))
        with ship(archive, _choice(selection, limit, plan)) as shipment:
            plan = replace(plan, homes=_homes(boxes, shipment, in_one=plan.in_one))
            target = open_target(form, destination, tell)
            target.reserve(list(dict.fromkeys(plan.homes.values())))
            try:
                for digest in shipment.lost:
                    report.damaged += 1
                    tell(f"message {digest.hex()} is not in the archive, or was lost")
                with shipment.crew(_worker, plan, alone=not isinstance(destination, Path)) as crew:
                    _collect(crew.results(), target, shipment.octets, report, observer)
                report.files = target.close()
            except BaseException:
                target.abort()
                raise
    if report.damaged:
        where = f"are in {destination}" if isinstance(destination, Path) else "are written"
        raise ArchiveDamaged(
            f"{report.damaged} messages are damaged and were left out; the other {report.messages} {where}"
        )
    return report


def _choice(selection: Selection, limit: int | None, plan: _Plan) -> Choice:
    return Choice(
        tuple(plan.names),
        selection.gone,
        selection.since,
        selection.before,
        selection.moved,
        limit,
        plan.in_one,
        plan.length if plan.lines else None,
    )


def _homes(boxes: Iterable[KnownMailbox], shipment: Shipment, *, in_one: bool) -> _Homes:
    """Return the mailboxes that something comes from, in an order that is always the same, and where that goes."""
    if in_one:
        return dict.fromkeys(shipment.homes, Home("", (), 0, gone=False))
    return {
        (box.number, gone): Home(box.account, box.name.parts, box.number, gone, _keywords(shipment, box.number))
        for box in boxes
        for gone in (False, True)
        if (box.number, gone) in shipment.homes
    }


def _keywords(shipment: Shipment, number: int) -> tuple[str, ...]:
    """Return the keywords of a mailbox's messages; of those that differ in case only, one."""
    flags = sorted({flag for gone in (False, True) for flag in shipment.homes.get((number, gone), ())})
    return tuple({flag.lower(): flag for flag in flags if not flag.startswith("\\")}.values())


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
def _worker(dock: Dock, plan: _Plan) -> Iterator[Callable[[int], _Brought]]:
    """Lend what brings out the messages of a block: for any process."""
    target = open_target(plan.form, plan.destination)
    target.reserve(list(dict.fromkeys(plan.homes.values())))
    with dock.reader() as reader:
        yield partial(_bring_out, reader, target, plan)


def _bring_out(reader: OutgoingReader, target: Target, plan: _Plan, block: int) -> _Brought:
    brought = _Brought()
    try:
        for item in reader.of(block):
            _put(reader, target, plan, item, brought)
    finally:
        brought.told = target.told()
    return brought


def _put(reader: OutgoingReader, target: Target, plan: _Plan, item: Outgoing, brought: _Brought) -> None:
    message = item.message
    lines = plan.before(item.mailbox, item.flags, item.labels)
    place = Place(
        plan.homes[item.mailbox, item.gone],
        item.uid,
        message.digest,
        message.size,
        item.date,
        message.eol,
        message.final,
        item.at,
        message.length + len(lines),
        item.flags,
        lines,
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
