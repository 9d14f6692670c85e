"""Send messages of the archive on to an address, by SMTP or LMTP: each once, as far as those can say so.

Nobody can ask such a server what it has. So it is written down that a message is about to be sent, and when the server
has taken it. What a run left between the two (it died, or the connection was lost behind the last octet) is sent again
by the next one: it may arrive twice, and never not at all.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mailarchive.archive.archive import Catalog, open_for_writing
from mailarchive.archive.messages import MessageReader
from mailarchive.archive.restoring import Landed, RestoreLog
from mailarchive.archive.writer import Writer
from mailarchive.clock import Clock, Stop
from mailarchive.errors import (
    ArchiveDamaged,
    ConnectionLost,
    Doubtful,
    ExitCode,
    MessageRefused,
    ProtocolViolation,
    SourceError,
    Stalled,
    TargetRefused,
    Throttled,
    UsageError,
)
from mailarchive.mail.resent import resent
from mailarchive.model import Account, Digest
from mailarchive.ops.events import MailboxPlanned, MessagesDone, Notice, Observer
from mailarchive.ops.options import Around
from mailarchive.ops.outgoing_mail import body_of
from mailarchive.ops.restore_common import Notes, warn
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import RestoredMailbox, RestoreReport
from mailarchive.ops.restore_scope import Scope, scope_of
from mailarchive.ops.routes import distinct
from mailarchive.ops.uploads import Uploads, uploads_of
from mailarchive.ops.wanted import Wanted, missing, wanted_of
from mailarchive.records import SENDING
from mailarchive.targets.accounts import Line
from mailarchive.targets.smtp import SmtpTarget

_TRIES = 3
"""So often a message is tried that is not taken for now; so many in a row, or in doubt, end the run."""
_PASSING = (Throttled, ConnectionLost, Stalled, ProtocolViolation)
"""What may be about one message, as some servers hang up on what they do not like: those behind it are tried too."""
_FIRST_PAUSE = 30.0
_SECURED = 50
"""After so many messages what was sent survives the death of the machine."""
_AGAIN = "the same command tries them again"
LOST_ON_THE_WAY = "only the messages go this way: flags, dates of receipt and mailboxes do not"


class ResendTarget(NamedTuple):
    """Where to send to: connections, the addressee, and how. ``rate`` is messages a minute, None: as fast as can be."""

    account: Account
    connect: Callable[[], Line[SmtpTarget]]
    recipient: str
    is_resent: bool = False
    rate: int | None = None
    waits: bool = False


def resend(
    directory: Path, target: ResendTarget, options: RestoreOptions, *, observer: Observer, clock: Clock, stop: Stop
) -> RestoreReport:
    """Send each selected message to ``target``, the oldest first, and write down in the archive that it was taken.

    Raises ArchiveError, and UsageError if nothing is selected. A SourceError that ends the run is told by the report.
    """
    report = RestoreReport(str(directory), target.account.name)
    with open_for_writing(directory, "restore", clock, lambda text: observer(Notice(text))) as writer:
        with writer.catalog() as catalog:
            scope = scope_of(catalog, target.account, options)
            wanted = wanted_from(catalog, scope, options)
        warn(report.warnings, (*scope.warnings, LOST_ON_THE_WAY), observer)
        run = writer.begin("restore")
        try:
            _Resending(writer, target, options, Around(observer, clock, stop), report, scope).run(wanted)
        finally:
            sent = {"restore_sent": report.total("sent")} if report.total("sent") else {}
            writer.end(run, report.exit_code, (), sent, {})
    return report


def block_before(target: ResendTarget, sender: str, moment: datetime) -> bytes:
    """Return the fields that say who sends a message on, if they are wanted, each time with another identifier."""
    if not target.is_resent:
        return b""
    return resent(sender, target.recipient, moment, f"<{uuid.uuid4().hex}@{sender.rpartition('@')[2]}>")


def wanted_from(catalog: Catalog, scope: Scope, options: RestoreOptions) -> list[Wanted]:
    """Return each selected message once, the oldest first. Raises UsageError if there is none."""
    found = distinct(wanted_of(catalog, scope.boxes, options.selection, scope.past))
    if not found:
        raise UsageError("no message in the archive matches: nothing is sent", hint="see: mailarchive list")
    return found


def compared(
    catalog: Catalog, target_number: int | None, target: ResendTarget, wanted: Sequence[Wanted], options: RestoreOptions
) -> tuple[dict[int, Wanted], RestoredMailbox, Counter[Digest]]:
    """Return what was not sent before, by place, the counts of what was, and how often it is in doubt of what."""
    boxes = [] if target_number is None else catalog.target_mailboxes(target_number)
    have = [one for box in boxes for one in catalog.restored(box.box)]
    sent = () if options.always else [one.digest for one in have if one.how != SENDING]
    pending, known = missing(wanted, Counter(sent))
    counts = RestoredMailbox(target.recipient, wanted=len(wanted), known=known)
    counts.damaged = len(wanted) - known - len(pending)
    return pending, counts, Counter(one.digest for one in have if one.how == SENDING)


class _Resending:
    """One run."""

    def __init__(
        self,
        writer: Writer,
        target: ResendTarget,
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
        self._name = scope.name
        self._notes = Notes(report, scope.name)
        self._log = RestoreLog(writer)
        self._box = RestoredMailbox(target.recipient)
        self._number = self._log.target(target.account)
        self._doubts: Counter[Digest] = Counter()
        self._uploads = Uploads()
        self._to = 0
        self._late = self._failed_in_a_row = 0
        self._last: float | None = None

    def run(self, wanted: list[Wanted]) -> None:
        """Send what was not sent before, and sum up. Raises ArchiveError; a SourceError goes into the report."""
        started = self._around.clock.monotonic()
        pending = self._compare(wanted)
        self._report.mailboxes.append(self._box)
        self._announce(pending.values())
        error: SourceError | None = None
        try:
            if pending:
                self._send_all(pending)
        except SourceError as failure:
            error = failure
        finally:
            self._box.left = len(pending)
            self._report.seconds = round(self._around.clock.monotonic() - started, 3)
            self._conclude(error)

    def _announce(self, pending: Collection[Wanted]) -> None:
        octets = sum(item.message.size for item in pending)
        name = self._target.recipient
        self._around.observer(MailboxPlanned(self._report.target, name, len(pending), octets))

    def _compare(self, wanted: list[Wanted]) -> dict[int, Wanted]:
        with self._writer.catalog() as catalog:
            self._uploads = uploads_of(catalog, self._number, self._options.max_upload, self._around.clock.now())
            pending, self._box, self._doubts = compared(catalog, self._number, self._target, wanted, self._options)
        self._to = self._log.mailbox(self._number, b"", None, None, None)
        return pending

    def _send_all(self, pending: dict[int, Wanted]) -> None:
        """Send ``pending``, and take out of it what is settled. Raises ArchiveError, SourceError."""
        line = self._target.connect()
        try:
            with self._writer.reading() as reader:
                for place, item in list(pending.items()):
                    if self._around.stop.is_set() or not self._uploads.admit(item.message.size):
                        break
                    if self._one(line, reader, item):
                        del pending[place]
            line.part(SmtpTarget.leave)
        finally:
            line.close()

    def _one(self, line: Line[SmtpTarget], reader: MessageReader, item: Wanted) -> bool:
        """Send one message, if it is whole and may go now; return whether it is settled."""
        try:
            body, _has_nul = body_of(reader, item.message)
        except ArchiveDamaged as error:
            self._uploads.release(item.message.size)
            self._notes.note(str(error))
            self._box.damaged += 1
            return True
        self._pace()
        return not self._around.stop.is_set() and self._sent(line, item, body.chunks)

    def _sent(self, line: Line[SmtpTarget], item: Wanted, chunks: Callable[[], Iterable[bytes]]) -> bool:
        """Send one message and write down what became of it; return whether it is settled."""
        digest = item.message.digest
        is_new = not self._doubts[digest]
        if is_new:
            self._log.sending(self._to, digest)
        try:
            self._try(line, item.message.size, chunks)
        except Doubtful as error:
            line.drop()
            self._notes.note(f"message {digest.hex()[:12]} may arrive twice, as it is sent again: {error}")
            self._failed(_too_doubtful(error))
            return False
        except SourceError as error:
            if is_new:  # else the doubt is that of an earlier run
                self._log.not_taken(self._to, digest)
            self._uploads.release(item.message.size)
            return self._refused(item, error)
        self._taken(item)
        return True

    def _refused(self, item: Wanted, error: SourceError) -> bool:
        """Note that a message was not taken; return whether that is settled. Raises ``error`` if the run is to end."""
        if isinstance(error, MessageRefused):
            self._notes.refused(self._target.recipient, item, str(error))
            self._box.refused += 1
            return True
        if not isinstance(error, _PASSING):
            raise error
        name = f"message {item.message.digest.hex()[:12]} of {self._name(item.source)}"
        self._notes.note(f"{name} was not taken for now: {error}")
        self._late += 1
        self._failed(error, is_last=isinstance(error, Throttled) and not error.connected)
        return False

    def _failed(self, error: SourceError, *, is_last: bool = False) -> None:
        """Count a message that is not known to be taken; raise ``error`` if there were enough with none between."""
        self._failed_in_a_row += 1
        if is_last or self._failed_in_a_row >= _TRIES:
            raise error

    def _try(self, line: Line[SmtpTarget], size: int, chunks: Callable[[], Iterable[bytes]]) -> None:
        """Send a message; where the server asks for patience, and we have it, up to three times."""
        for tries in range(_TRIES):
            try:
                line.do(lambda smtp: smtp.send(size, chunks, self._before(smtp)))
            except Throttled as error:
                if not self._target.waits or tries + 1 == _TRIES or self._around.stop.is_set():
                    raise
                pause = _FIRST_PAUSE * 2**tries if error.seconds is None else error.seconds
                self._around.clock.sleep(pause, self._around.stop)
            else:
                return

    def _before(self, smtp: SmtpTarget) -> bytes:
        return block_before(self._target, smtp.sender, self._around.clock.now())

    def _pace(self) -> None:
        """Wait until the next message may be sent."""
        clock, rate = self._around.clock, self._target.rate
        if rate is not None and self._last is not None:
            wait = self._last + 60 / rate - clock.monotonic()
            if wait > 0:
                clock.sleep(wait, self._around.stop)
        self._last = clock.monotonic()

    def _taken(self, item: Wanted) -> None:
        self._log.restored(self._to, [Landed(item.message.digest)])
        if self._doubts[item.message.digest]:
            name = item.message.digest.hex()[:12]
            self._notes.note(f"message {name} may be there twice: an earlier run had begun to send it")
        self._box.sent += 1
        self._box.sent_bytes += item.message.size
        self._failed_in_a_row = 0
        if self._box.sent % _SECURED == 0:
            self._writer.checkpoint()
        self._around.observer(MessagesDone(self._report.target, self._target.recipient, 1, item.message.size))

    def _conclude(self, error: SourceError | None) -> None:
        report, box = self._report, self._box
        code: int = ExitCode.COMPLETE
        if error is not None:
            report.error, report.hint = str(error), error.hint
            code = ExitCode.PARTIAL if isinstance(error, TargetRefused) and box.sent else error.exit_code
        elif self._late:
            report.error, report.hint = f"messages that were not taken for now: {self._late}", _AGAIN
        report.conclude(code, self._around.stop.signum)
        if self._uploads.is_spent:
            report.wait_for_tomorrow()


def _too_doubtful(error: Doubtful) -> Doubtful:
    return Doubtful(
        f"the run ends, as message after message may have arrived or not: {error}",
        hint=f"look at the other account whether they are there; {_AGAIN}",
    )
