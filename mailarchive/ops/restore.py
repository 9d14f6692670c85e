"""Put the archive, a part of it, or its state at a past date into another account: everything exactly once."""

import threading
from collections import deque
from collections.abc import Callable
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
from mailarchive.ops.copies import Copies
from mailarchive.ops.events import MailboxPlanned, MessagesDone, Notice, Observer
from mailarchive.ops.label_restore import LabelRestore
from mailarchive.ops.mailbox_restore import MailboxRestore
from mailarchive.ops.naming import Destination
from mailarchive.ops.options import Around
from mailarchive.ops.restore_common import Common, Notes, warn
from mailarchive.ops.restore_options import RestoreOptions, RestoreTarget
from mailarchive.ops.restore_report import RestoreReport
from mailarchive.ops.restore_scope import Scope, scope_of
from mailarchive.ops.routes import routes
from mailarchive.ops.uploads import uploads_of
from mailarchive.ops.wanted import shared_digests
from mailarchive.ops.workers import Workers, worst
from mailarchive.targets.accounts import Abilities, AccountTarget, Line

MOST_CONNECTIONS = 4
WORTH_A_CONNECTION = 2
SETTLING = 3.0
"""Seconds in which a server ends what a client that died had sent whole."""


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
            is_broken_off = _is_broken_off(catalog)
        warn(report, scope.warnings, observer)
        run = writer.begin("restore")
        if is_broken_off:
            observer(Notice(f"the last restore was broken off; {SETTLING:.0f} s for the server to be done with it"))
            clock.sleep(SETTLING, stop)
        try:
            AccountRestore(writer, target, options, around, report, scope).run()
        finally:
            totals = {name: report.total(name) for name in ("sent", "copied", "there", "refused", "damaged", "left")}
            counts = {name: count for name, count in totals.items() if count}
            writer.end(run, report.exit_code, (), {f"restore_{name}": count for name, count in counts.items()}, {})
    return report


def _is_broken_off(catalog: Catalog) -> bool:
    """Return whether the last restore died: the server may still be at work on what it had sent."""
    runs = [run for run in catalog.runs() if run.command == "restore"]
    return bool(runs) and runs[-1].exit_code is None


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
        self._lock = threading.Lock()
        self._restores: list[MailboxRestore | LabelRestore] = []
        self._queue: deque[MailboxRestore | LabelRestore] = deque()
        self._deferring: deque[MailboxRestore | LabelRestore] = deque()
        self._at_work = 0
        self._is_surveyed = False
        self._destinations: list[Destination] = []

    def run(self) -> None:
        """Restore everything, and sum up. Raises ArchiveError."""
        started = self._around.clock.monotonic()
        self._workers.hire(self._first)
        try:
            self._workers.wait()
        finally:
            self._report.mailboxes = [one.conclude() for one in self._restores]
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
            uploads = uploads_of(catalog, number, self._options.max_upload, self._around.clock.now())
        self._report.notes += [route.destination.changed for route in planned if route.destination.changed]
        common = Common(
            log,
            number,
            abilities,
            Copies(shared_digests(route.wanted for route in planned if route.label is None)),
            uploads,
            self._options,
            Notes(self._report, scope.name),
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
                self._queue.append(one)
                self._around.observer(MailboxPlanned(self._report.target, *one.planned()))
        self._destinations = [route.destination for route in planned]
        self._is_surveyed = True

    @property
    def _all_mail(self) -> MailboxRestore:
        """The mailbox with all mail, which comes before those that show labels."""
        return next(one for one in self._restores if isinstance(one, MailboxRestore))

    def _done(self, mailbox: str, messages: int, octets: int) -> None:
        self._around.observer(MessagesDone(self._report.target, mailbox, messages, octets))

    # -- the workers -----------------------------------------------------------------------------------------------

    def _work(self, line: Line[AccountTarget]) -> None:
        """Send to mailboxes until all is sent, then copy between them."""
        with self._writer.reading() as reader:
            while not self._workers.is_stopping and (taken := self._take()) is not None:
                restore_, is_copying = taken
                try:
                    line.do(partial(self._restore, restore_, reader, line.progress, is_copying=is_copying))
                except MailboxUnavailable as error:
                    restore_.report.error = str(error)
                finally:
                    self._give_back(restore_, is_copying=is_copying)

    def _take(self) -> tuple[MailboxRestore | LabelRestore, bool] | None:
        """Take a mailbox to send to, or when nobody is sending any more one to copy to; hire if more are waiting."""
        with self._lock:
            if self._queue:
                self._at_work += 1
                taken = self._queue.popleft(), False
                waiting = len(self._queue)
            elif self._deferring and not self._at_work:
                taken = self._deferring.popleft(), True
                waiting = len(self._deferring)
            else:
                return None
        wants_more = self._options.connections is not None or self._workers.mostly_wait()
        if waiting >= WORTH_A_CONNECTION and wants_more:
            self._workers.hire(self._work)
        return taken

    def _give_back(self, restore_: MailboxRestore | LabelRestore, *, is_copying: bool) -> None:
        with self._lock:
            if is_copying:
                return
            self._at_work -= 1
            if restore_.is_deferring:
                self._deferring.append(restore_)

    def _restore(
        self,
        restore_: MailboxRestore | LabelRestore,
        reader: MessageReader,
        progress: Callable[[], None],
        target: AccountTarget,
        *,
        is_copying: bool,
    ) -> None:
        before = restore_.report.settled
        try:
            if is_copying:
                restore_.copy(target, reader, self._destinations)
            else:
                restore_.send(target, reader)
        finally:
            if restore_.report.settled > before:
                progress()

    # -- the end ---------------------------------------------------------------------------------------------------

    def _conclude(self) -> None:
        """Say how it ended."""
        report = self._report
        error = worst(self._workers.errors)
        left = report.total("left") or not self._is_surveyed
        if error is not None and left:
            report.error, report.hint = str(error), advice.hint_for(error, self._provider)
        codes = [ExitCode.COMPLETE]
        if left or report.total("refused") or any(one.error for one in report.mailboxes):
            codes.append(ExitCode.PARTIAL)
        if report.total("damaged"):
            codes.append(ExitCode.INTEGRITY)
        if error is not None and left:
            codes.append(error.exit_code)
        report.exit_code = max(codes)
        if report.exit_code:
            report.status = "partial" if any(one.settled for one in report.mailboxes) else "failed"
        if self._around.stop.signum:
            report.exit_code = 128 + self._around.stop.signum
