"""What happened to messages and mailboxes, run by run: new, gone, moved, renamed, numbered anew, vanished."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from mailarchive.archive.archive import Archive, open_for_reading
from mailarchive.model import Digest
from mailarchive.ops.browse import RunRow, head_fields, ignore_text, run_row
from mailarchive.ops.changes import Changes, MailboxChange, Mailboxes, compare
from mailarchive.records import PlacementRecord

__all__ = ["MailboxChange", "MessageChange", "RunHistory", "history"]

Tell = Callable[[str], None]
"""Is told each repair in a sentence."""
MessageEvent = Literal["moved", "new", "gone"]


@dataclass(frozen=True, slots=True)
class MessageChange:
    """``was`` is the mailbox that a moved message left; ``linked`` says that it was recognised, not downloaded."""

    event: MessageEvent
    account: str
    mailbox: str
    was: str | None
    uid: str
    digest: Digest
    size: int
    linked: bool
    subject: str


@dataclass(frozen=True, slots=True)
class RunHistory:
    """One run and what it found; ``left_out`` is how many more messages changed than are told."""

    run: RunRow
    mailboxes: tuple[MailboxChange, ...]
    messages: tuple[MessageChange, ...]
    left_out: int


def history(
    directory: Path, last: int | None = None, most: int | None = None, tell: Tell = ignore_text
) -> Iterator[RunHistory]:
    """Yield the ``last`` runs (None: all), oldest first, each with up to ``most`` messages. Raises ArchiveError."""
    with open_for_reading(directory, tell) as archive:
        runs = [run_row(run) for run in archive.catalog.runs()]
        shown = runs if last is None else runs[max(0, len(runs) - last) :]
        if not shown:
            return
        past = _Past(archive, shown[0].number - 1)
        for run in shown:
            changes = past.of(run.number)
            told = tuple(islice(past.told(changes), most))
            total = len(changes.moved) + len(changes.new) + len(changes.gone)
            yield RunHistory(run, tuple(changes.mailboxes), told, total - len(told))


class _Past:
    """Goes through the runs from ``first`` on, one after the other."""

    def __init__(self, archive: Archive, first: int) -> None:
        catalog = archive.catalog
        self._archive = archive
        self._accounts = {box.number: box.account for box in catalog.mailboxes()}
        self._states = catalog.mailbox_states()
        self._boxes = Mailboxes(
            self._accounts, {}, {state.mailbox: state for state in self._states if state.run < first}
        )
        self._begun = _ByRun(catalog.begun(first), lambda record: record.run)
        self._ended = _ByRun(catalog.ended(first), lambda record: record.gone_run or 0)
        self._changes = Changes()
        self._next = first

    def of(self, run: int) -> Changes:
        """Return what ``run`` changed; each run may be asked for once, in order."""
        while self._next <= run:
            before = self._boxes.after
            after = {**before, **{state.mailbox: state for state in self._states if state.run == self._next}}
            self._boxes = Mailboxes(self._accounts, before, after)
            first = set(self._accounts.values()) - {self._accounts[number] for number in before}
            begun, ended = self._begun.of(self._next), self._ended.of(self._next)
            self._changes = compare(self._boxes, begun, ended, self._changes, first=first)
            self._next += 1
        return self._changes

    def told(self, changes: Changes) -> Iterator[MessageChange]:
        """Yield what the last run that was asked for did to messages, with their subjects."""
        for gone, new in changes.moved:
            yield self._message("moved", new, self._boxes.name(gone.mailbox))
        for record in changes.new:
            yield self._message("new", record)
        for record in changes.gone:
            yield self._message("gone", record)

    def _message(self, event: MessageEvent, record: PlacementRecord, was: str | None = None) -> MessageChange:
        return MessageChange(
            event,
            self._accounts[record.mailbox],
            self._boxes.name(record.mailbox),
            was,
            str(record.uid),
            record.digest,
            record.size,
            record.by is not None and event != "gone",
            head_fields(self._archive, record.digest, ("subject",)).get("subject", ""),
        )


class _ByRun:
    """Placements in the order of their runs, handed out a run at a time."""

    def __init__(self, records: Iterator[PlacementRecord], run_of: Callable[[PlacementRecord], int]) -> None:
        self._records = records
        self._run_of = run_of
        self._waiting = next(records, None)

    def of(self, run: int) -> list[PlacementRecord]:
        """Return those of ``run``; those of runs before it are passed over."""
        found = []
        while self._waiting is not None and self._run_of(self._waiting) <= run:
            if self._run_of(self._waiting) == run:
                found.append(self._waiting)
            self._waiting = next(self._records, None)
        return found
