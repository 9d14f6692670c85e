"""Say what a restore would do: log in, look at everything, change nothing."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from mailarchive.archive.archive import open_for_reading
from mailarchive.archive.messages import MessageReader
from mailarchive.clock import Clock, Stop
from mailarchive.errors import ArchiveDamaged, MailboxUnavailable
from mailarchive.mail.mending import Flaw
from mailarchive.model import KEEPS_ALL, Digest, ListedMailbox, Permanent
from mailarchive.ops.advice import provider_for
from mailarchive.ops.copies import Original
from mailarchive.ops.events import Notice, Observer, Progress
from mailarchive.ops.letters import NO_NUL, as_mended, split, too_large
from mailarchive.ops.matching import numbers
from mailarchive.ops.options import Around
from mailarchive.ops.outgoing_mail import Evidence, body_of, flaws_of
from mailarchive.ops.restore_common import Notes, warn
from mailarchive.ops.restore_options import RestoreOptions, RestoreTarget
from mailarchive.ops.restore_report import RestoredMailbox, RestoreReport
from mailarchive.ops.restore_scope import Scope, scope_of, target_number
from mailarchive.ops.routes import Route, copies_between, routes
from mailarchive.ops.standing import Standing
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import Abilities, AccountTarget


def rehearse(
    directory: Path, target: RestoreTarget, options: RestoreOptions, *, observer: Observer, clock: Clock, stop: Stop
) -> RestoreReport:
    """Report what ``restore`` would make, send, copy and skip, and what the target will refuse and why.

    Mailboxes are opened by SELECT, which alone tells what flags they keep; nothing else is done to them.
    Raises ArchiveError, SourceError, UsageError.
    """
    report = RestoreReport(str(directory), target.account.name, dry_run=True)
    started = clock.monotonic()
    with open_for_reading(directory, lambda text: observer(Notice(text))) as archive:
        scope = scope_of(archive.catalog, target.account, options)
        warn(report.warnings, scope.warnings, observer)
        line = target.connect()
        try:
            abilities, listed = line.do(lambda one: (one.abilities(), one.mailboxes()))
            number = target_number(archive.catalog, target.account)
            planned = routes(archive.catalog, scope, abilities, listed, options, number)
            rehearsal = _Rehearsal(
                archive.reader, planned, abilities, options, report, scope, Around(observer, clock, stop)
            )
            for place in range(len(planned)):
                if not stop.is_set():
                    report.mailboxes.append(line.do(partial(rehearsal.one, place)))
        finally:
            line.close()
    report.notes += [*_remarks(report, target, abilities, options)]
    report.seconds = round(clock.monotonic() - started, 3)
    report.conclude(signum=stop.signum)
    return report


class _Rehearsal:
    """Looks at one mailbox of the target after the other."""

    def __init__(
        self,
        reader: MessageReader,
        planned: Sequence[Route],
        abilities: Abilities,
        options: RestoreOptions,
        report: RestoreReport,
        scope: Scope,
        around: Around,
    ) -> None:
        self._reader = reader
        self._planned = planned
        self._abilities = abilities
        self._options = options
        self._report = report
        self._notes = Notes(report, scope.name)
        self._around = around
        self._copies = copies_between(planned, abilities)
        self._standings = [self._recalled(place, route) for place, route in enumerate(planned)]
        self._copied: set[tuple[int, Digest]] = set()
        self._done = 0
        self._total = sum(item.message.size for one in self._standings for item in one.pending.values())

    def _recalled(self, place: int, route: Route) -> Standing:
        standing = Standing(place, route.report(), route.wanted, route.have, self._copies)
        standing.recall(route.remembered)
        standing.offer_all()
        return standing

    def one(self, place: int, target: AccountTarget) -> RestoredMailbox:
        """Return what would be done for one mailbox."""
        route, standing = self._planned[place], self._standings[place]
        destination, report = route.destination, standing.report
        report.made = destination.listed is None
        if route.changed_note:
            self._notes.note(route.changed_note)
        if (why := route.why_not(again=self._options.again)) is not None:
            report.made, report.error, report.hint, report.left = False, *why, len(standing.pending)
            return report
        if route.lost_note:
            self._notes.note(route.lost_note)
        permanent = KEEPS_ALL
        if route.label is None and route.must_be_opened(standing, again=self._options.again):
            try:
                permanent = self._look(target, route, standing)
            except MailboxUnavailable as error:
                report.error, report.hint = str(error), error.hint
        self._predict(route, standing, permanent)
        return report

    def _look(self, target: AccountTarget, route: Route, standing: Standing) -> Permanent:
        """See which of the pending messages are there; return which flags the mailbox keeps."""
        opened = target.open(ListedMailbox(route.destination.name))
        if standing.uidvalidity is not None and opened.cursor.uidvalidity != standing.uidvalidity:
            standing.recall(None)
        uids = numbers(opened.uids()) if opened.cursor.messages else []
        again = self._options.again
        standing.note_removed(standing.gone(uids, again=again and not self._options.always), again=again)
        if standing.pending and uids:
            landed, _octets = standing.match(opened, uids, Evidence(self._reader), always=self._options.always)
            standing.landed(landed)
        return opened.permanent

    def _predict(self, route: Route, standing: Standing, permanent: Permanent) -> None:
        """Count what would be sent and copied, and note what will be refused and which flags will be lost."""
        report = standing.report
        for item in standing.pending.values():
            if self._around.stop.is_set():
                return
            if route.label is not None or self._is_copied(standing.place, item):
                report.to_copy += 1
                report.to_copy_bytes += item.message.size if route.label is None else 0
                continue
            refusal = self._refusal(item)
            if refusal is None:
                self._count(report, item, item.message.size, permanent)
                self._copies.landed(Original(standing.place, None, 0, item.flags, item.date), item.message.digest)
            elif not refusal[0]:
                report.damaged += 1
            elif self._options.fix and refusal[1]:
                report.mended += 1
                self._count(report, item, as_mended(self._reader, item.message, refusal[1]).size, permanent)
                self._notes.refused(report.mailbox, item, *refusal, mended=True)
            else:
                report.refused += 1
                self._notes.refused(report.mailbox, item, *refusal)
            self._done += item.message.size
            self._around.observer(Progress(self._done, self._total))

    def _count(self, report: RestoredMailbox, item: Wanted, size: int, permanent: Permanent) -> None:
        """Count a message that would be sent as ``size`` octets."""
        report.to_send += 1
        report.to_send_bytes += size
        self._notes.dropped(split(item.flags, permanent, self._abilities)[1])

    def _is_copied(self, place: int, item: Wanted) -> bool:
        """Return whether another mailbox has the message by then, as it should be here; it is copied once."""
        digest = item.message.digest
        if self._copies.is_for(place, digest) or (place, digest) in self._copied:
            return False
        is_there = self._copies.original(place, digest, item.flags, item.date) is not None
        if is_there:
            self._copied.add((place, digest))
        return is_there

    def _refusal(self, item: Wanted) -> tuple[str, frozenset[Flaw]] | None:
        """Return why a message will be refused, with an empty reason if it is damaged; None if it may well be taken."""
        if reason := too_large(item, self._abilities):
            return reason, frozenset()
        if self._abilities.takes_nul:
            return None
        try:
            _body, has_nul = body_of(self._reader, item.message)
        except ArchiveDamaged as error:
            self._notes.note(str(error))
            return "", frozenset()
        if has_nul:
            return NO_NUL, flaws_of(self._reader, item.message)
        return None


def _remarks(
    report: RestoreReport, target: RestoreTarget, abilities: Abilities, options: RestoreOptions
) -> Iterator[str]:
    """Yield what is to be known about room and daily limits."""
    octets = report.total("to_send_bytes")
    placed = octets + report.total("to_copy_bytes")
    if abilities.room is not None and placed > abilities.room:
        yield f"the target has room for {abilities.room} octets, and {placed} are to be put there; not all is taken"
    provider = provider_for(target.account)
    a_day = options.max_upload or (provider.upload if provider else None)
    if a_day and octets > a_day:
        days = -(-octets // a_day)
        whose = "--max-upload lets" if options.max_upload else f"{provider.name if provider else ''} lets"
        more = "" if options.max_upload else f" (stay below that with --max-upload {a_day // 1_000_000}MB)"
        yield f"{whose} {a_day} octets a day be sent: this takes {days} days{more}"
