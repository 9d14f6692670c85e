"""Put the archive, a part of it, or its state at a past date into another account: everything exactly once."""

import math
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from mailarchive.archive.archive import Catalog, open_for_writing
from mailarchive.archive.messages import MessageReader
from mailarchive.archive.restoring import RestoreLog
from mailarchive.archive.writer import Writer
from mailarchive.clock import Clock, Stop
from mailarchive.errors import ExitCode, MailboxUnavailable
from mailarchive.model import ListedMailbox
from mailarchive.ops import advice
from mailarchive.ops.agenda import Agenda, Task
from mailarchive.ops.events import MailboxPlanned, MessagesDone, Notice, Observer
from mailarchive.ops.label_restore import LabelRestore
from mailarchive.ops.mailbox_copies import MailboxCopies, copies_of
from mailarchive.ops.mailbox_restore import MailboxRestore
from mailarchive.ops.options import Around
from mailarchive.ops.restore_common import SETTLING, Common, Notes, warn
from mailarchive.ops.restore_options import RestoreOptions, RestoreTarget
from mailarchive.ops.restore_report import RestoreReport
from mailarchive.ops.restore_scope import Scope, scope_of, target_number
from mailarchive.ops.routes import copies_between, routes
from mailarchive.ops.uploads import Uploads, uploads_of
from mailarchive.ops.workers import Workers, worst
from mailarchive.targets.accounts import Abilities, AccountTarget, Line

MOST_CONNECTIONS = 4
WORTH_A_CONNECTION = 2
UNHEARD = "restore_unheard"
"""Counts, in the journal, mailboxes for which messages may still have been on their way when the run ended."""
_SIGNALLED = 128


def restore(
    directory: Path, target: RestoreTarget, options: RestoreOptions, *, observer: Observer, clock: Clock, stop: Stop
) -> RestoreReport:
    """Restore what is selected to ``target``, and write down in the archive what that was given.

    Setting ``stop`` ends the run after the messages on their way; the report then says "partial". Raises ArchiveError,
    UsageError if nothing is selected.
    """
    around = Around(observer, clock, stop)
    report = RestoreReport(str(directory), target.account.name)
    with open_for_writing(directory, "restore", clock, lambda text: observer(Notice(text))) as writer:
        with writer.catalog() as catalog:
            scope = scope_of(catalog, target.account, options)
            is_known = target_number(catalog, target.account) is not None
            settling = _settling(catalog, clock.now()) if is_known else 0.0
        warn(report.warnings, scope.warnings, observer)
        run = writer.begin("restore")
        if settling > 0:
            seconds = math.ceil(settling)
            observer(Notice(f"the last restore was broken off; {seconds} s for the server to be done with it"))
            clock.sleep(settling, stop)
        try:
            AccountRestore(writer, target, options, around, report, scope).run()
        finally:
            totals = {name: report.total(name) for name in ("sent", "copied", "there", "refused", "damaged", "left")}
            counts = {name: count for name, count in totals.items() if count}
            journaled = {f"restore_{name}": count for name, count in counts.items()}
            writer.end(run, report.exit_code, (), journaled | ({UNHEARD: report.unheard} if report.unheard else {}), {})
    return report


def _settling(catalog: Catalog, now: datetime) -> float:
    """Return for how many seconds the server may still be at work on what the last restore had sent.

    Of one that died it is not known when that was; one that was stopped may have left something on its way.
    """
    last = next((run for run in reversed([*catalog.runs()]) if run.command == "restore"), None)
    if last is None or not (last.exit_code is None or last.exit_code > _SIGNALLED or last.totals.get(UNHEARD)):
        return 0.0
    return SETTLING if last.end is None else min(SETTLING, SETTLING - (now - last.end).total_seconds())


class AccountRestore:
    """One restore to an account with mailboxes."""

    def __init__(
        self,
        writer: Writer,
        target: RestoreTarget,
        options: RestoreOptions,
        around: Around,
        report: RestoreReport,
        scope: Scope,
    ) -> None:
        self._writer = writer
        self._target = target
        self._options = options
        self._around = around
        self._report = report
        self._scope = scope
        self._provider = advice.provider_for(target.account)
        connections = advice.connections(options.connections or MOST_CONNECTIONS, self._provider)
        self._workers: Workers[Line[AccountTarget]] = Workers(target.connect, connections, around.stop, around.clock)
        self._restores: list[MailboxRestore | LabelRestore] = []
        self._prepared: list[Task] = []
        phases = self._sending, self._copying, self._sending_rest, self._labelling
        self._agenda = Agenda(phases, lambda: self._workers.is_stopping)
        self._uploads = Uploads()
        self._notes = Notes(report, scope.name)
        self._is_surveyed = False
        self._copies: Callable[[], list[MailboxCopies]] = list

    def run(self) -> None:
        """Restore everything, and sum up. Raises ArchiveError."""
        started = self._around.clock.monotonic()
        self._workers.hire(self._first)
        try:
            self._workers.wait()
        finally:
            self._report.mailboxes = [one.conclude() for one in self._restores]
            self._report.unheard = sum(one.is_unheard for one in self._mailboxes)
            self._report.seconds = round(self._around.clock.monotonic() - started, 3)
            self._conclude()

    def _first(self, line: Line[AccountTarget]) -> None:
        abilities, listed = line.do(lambda target: (target.abilities(), target.mailboxes()))
        self._survey(abilities, listed)
        self._work(line)

    def _survey(self, abilities: Abilities, listed: list[ListedMailbox]) -> None:
        """Find out what goes where, and what of it the archive says is there already."""
        scope, log = self._scope, RestoreLog(self._writer)
        number = log.target(self._target.account)
        with self._writer.catalog() as catalog:
            planned = routes(catalog, scope, abilities, listed, self._options, number)
            self._uploads = uploads_of(catalog, number, self._options.max_upload, self._around.clock.now())
        self._report.notes += [route.changed_note for route in planned if route.changed_note]
        common = Common(
            log,
            number,
            abilities,
            copies_between(planned, abilities),
            self._uploads,
            self._options,
            self._notes,
            self._around,
            lambda: self._workers.is_stopping,
            self._done,
        )
        for place, route in enumerate(planned):
            one = (
                MailboxRestore(place, route, common)
                if route.label is None
                else LabelRestore(place, route, self._all_mail, common)
            )
            self._restores.append(one)
            if one.prepare():
                self._prepared.append(Task(one, one.send))
                self._around.observer(MailboxPlanned(self._report.target, *one.planned()))
        names = [route.destination.name for route in planned]
        self._copies = lambda: copies_of(self._mailboxes, names, common)
        self._is_surveyed = True

    @property
    def _mailboxes(self) -> list[MailboxRestore]:
        return [one for one in self._restores if isinstance(one, MailboxRestore)]

    @property
    def _all_mail(self) -> MailboxRestore:
        """The mailbox with all mail, which comes before those that show labels."""
        return self._mailboxes[0]

    def _done(self, mailbox: str, messages: int, octets: int) -> None:
        self._around.observer(MessagesDone(self._report.target, mailbox, messages, octets))

    # -- phases: each begins when the one before is done for all mailboxes ----------------------------------------

    def _sending(self) -> list[Task]:
        return self._prepared

    def _copying(self) -> list[Task]:
        return [Task(one, one.copy) for one in self._copies()]

    def _sending_rest(self) -> list[Task]:
        return [Task(one, one.send_rest) for one in self._mailboxes if one.is_unfinished]

    def _labelling(self) -> list[Task]:
        labels = (one for one in self._restores if isinstance(one, LabelRestore))
        return [Task(one, one.label) for one in labels if one.is_unfinished]

    # -- the workers -----------------------------------------------------------------------------------------------

    def _work(self, line: Line[AccountTarget]) -> None:
        """Do what is to be done, one task after the other, until nothing is left for anybody."""
        with self._writer.reading() as reader:
            while (task := self._agenda.take()) is not None:
                self._hire()
                is_done = False
                try:
                    line.do(partial(self._do, task, reader, line))
                    is_done = True
                except MailboxUnavailable as error:
                    task.owner.fail(error)
                    is_done = True
                finally:
                    self._agenda.give_back(task, is_done=is_done)

    @staticmethod
    def _do(task: Task, reader: MessageReader, line: Line[AccountTarget], target: AccountTarget) -> None:
        before = task.owner.settled
        try:
            task.work(target, reader)
        finally:
            if task.owner.settled > before:
                line.progress()

    def _hire(self) -> None:
        """Let another connection take part if more is to be done than those do that there are."""
        wants_more = self._options.connections is not None or self._workers.mostly_wait()
        if self._agenda.waiting >= WORTH_A_CONNECTION and wants_more:
            self._workers.hire(self._work)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _conclude(self) -> None:
        """Say how it ended."""
        report = self._report
        self._notes.conclude()
        error = worst(self._workers.errors)
        left = report.total("left") or not self._is_surveyed
        if error is not None and left:
            report.error, report.hint = str(error), advice.hint_for(error, self._provider)
        code = error.exit_code if error is not None and left else ExitCode.COMPLETE
        report.conclude(code, self._around.stop.signum, is_partial=not self._is_surveyed)
        if self._uploads.is_spent:
            report.wait_for_tomorrow()
