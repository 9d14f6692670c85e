"""Say what sending on would do: log in, read every message, send nothing."""

from collections.abc import Collection
from pathlib import Path

from mailarchive.archive.archive import open_for_reading
from mailarchive.archive.messages import MessageReader
from mailarchive.clock import Clock, Stop
from mailarchive.errors import ArchiveDamaged, MessageRefused
from mailarchive.ops.events import Notice, Observer, Progress
from mailarchive.ops.options import Around
from mailarchive.ops.outgoing_mail import body_of
from mailarchive.ops.resend import LOST_ON_THE_WAY, ResendTarget, block_before, compared, wanted_from
from mailarchive.ops.restore_common import Notes, warn
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import RestoredMailbox, RestoreReport
from mailarchive.ops.restore_scope import scope_of, target_number
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import Line
from mailarchive.targets.smtp import SmtpTarget


def rehearse_resend(
    directory: Path, target: ResendTarget, options: RestoreOptions, *, observer: Observer, clock: Clock, stop: Stop
) -> RestoreReport:
    """Log in, and report what ``resend`` would send, what is damaged, and what cannot be sent to this server and why.

    Raises ArchiveError, UsageError if nothing is selected, and SourceError.
    """
    report = RestoreReport(str(directory), target.account.name, dry_run=True)
    started = clock.monotonic()
    with open_for_reading(directory, lambda text: observer(Notice(text))) as archive:
        catalog = archive.catalog
        scope = scope_of(catalog, target.account, options)
        wanted = wanted_from(catalog, scope, options)
        warn(report.warnings, (*scope.warnings, LOST_ON_THE_WAY), observer)
        number = target_number(catalog, target.account)
        pending, box, _doubts = compared(catalog, number, target, wanted, options)
        report.mailboxes.append(box)
        rehearsal = _Rehearsal(archive.reader, target, box, Notes(report, scope.name), Around(observer, clock, stop))
        rehearsal.run(list(pending.values()))
    report.seconds = round(clock.monotonic() - started, 3)
    report.conclude(signum=stop.signum)
    return report


class _Rehearsal:
    """Looks at one message after the other."""

    def __init__(
        self, reader: MessageReader, target: ResendTarget, box: RestoredMailbox, notes: Notes, around: Around
    ) -> None:
        self._reader = reader
        self._target = target
        self._box = box
        self._notes = notes
        self._around = around

    def run(self, pending: Collection[Wanted]) -> None:
        """Count what of ``pending`` would be sent; when the run is stopped, the rest is left. Raises SourceError."""
        done, total = 0, sum(item.message.size for item in pending)
        line = self._target.connect()
        try:
            for item in pending:
                if self._around.stop.is_set():
                    self._box.left += 1
                    continue
                self._one(line, item)
                done += item.message.size
                self._around.observer(Progress(done, total))
            line.part(SmtpTarget.leave)
        finally:
            line.close()

    def _one(self, line: Line[SmtpTarget], item: Wanted) -> None:
        try:
            body, _has_nul = body_of(self._reader, item.message)
            line.do(lambda smtp: smtp.examine(item.message.size, body.chunks, self._before(smtp)))
        except ArchiveDamaged as error:
            self._notes.note(str(error))
            self._box.damaged += 1
        except MessageRefused as error:
            self._notes.refused(self._box.mailbox, item, str(error))
            self._box.refused += 1
        else:
            self._box.to_send += 1
            self._box.to_send_bytes += item.message.size

    def _before(self, smtp: SmtpTarget) -> bytes:
        return block_before(self._target, smtp.sender, self._around.clock.now())
