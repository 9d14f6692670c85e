"""A pull that fetches nothing and writes nothing: what would be fetched, in messages and octets."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from mailarchive.archive.archive import Catalog
from mailarchive.archive.sightings import Sightings
from mailarchive.errors import ExitCode, MailboxUnavailable, SourceError
from mailarchive.model import Cursor, Digest, ListedMailbox, MessageFacts, RemoteUid
from mailarchive.ops import plan as plans
from mailarchive.ops.advice import hint_for, provider_for, remark
from mailarchive.ops.budget import rehearsed, too_large
from mailarchive.ops.labels import Labels
from mailarchive.ops.linking import Linker, Place, Read
from mailarchive.ops.look import Look, look
from mailarchive.ops.mailbox_pull import WINDOW
from mailarchive.ops.options import Around, PullAccount, PullOptions
from mailarchive.ops.report import AccountReport, Failure, MailboxReport
from mailarchive.ops.survey import survey, unread
from mailarchive.records import KnownMailbox
from mailarchive.sources.base import OpenMailbox, Source


def rehearse(catalog: Catalog, read: Read, target: PullAccount, options: PullOptions, around: Around) -> AccountReport:
    """Return the report that a pull would give, as far as it can be known: ``new`` counts what would be fetched."""
    rehearsal = _Rehearsal(catalog, read, target, options, around)
    report = rehearsal.report
    started = around.clock.monotonic()
    try:
        source = target.connect()
        try:
            rehearsal.run(source)
        finally:
            source.close()
    except SourceError as error:
        report.status = "partial" if error.exit_code == ExitCode.PARTIAL else "failed"
        report.exit_code, report.error, report.hint = error.exit_code, str(error), hint_for(error, rehearsal.provider)
    report.seconds = round(around.clock.monotonic() - started, 3)
    return report


class _Unrecorded:
    """Records nothing; every new mailbox has the number 0."""

    def new_mailbox_number(self) -> int:
        return 0

    def mailbox(self, number: int, account: str, listed: ListedMailbox, uidvalidity: int | None) -> None:
        pass

    def mailbox_vanished(self, number: int) -> None:
        pass

    def place(self, mailbox: int, uidvalidity: int, facts: MessageFacts, digest: Digest, by: str) -> None:
        pass

    def gone(self, mailbox: int, uidvalidity: int, uids: Sequence[RemoteUid]) -> None:
        pass

    def flags(self, mailbox: int, uidvalidity: int, uid: RemoteUid, flags: frozenset[str]) -> None:
        pass

    def cursor(self, mailbox: int, cursor: Cursor, since: str | None, excluded: int) -> None:
        pass


class _Rehearsal:
    """One account, looked at with the same eyes as by a pull."""

    def __init__(self, catalog: Catalog, read: Read, target: PullAccount, options: PullOptions, around: Around) -> None:
        self.report = AccountReport(target.account.name, target.account.protocol, name=target.name)
        self._catalog = catalog
        self.provider = provider_for(target.account)
        self._options = options
        self._around = around
        self._budget = rehearsed(catalog, target.account.name, options.max_download, around.clock.now())
        self._labels: Labels | None = None
        self._counted: set[str] = set()
        """Account-wide ids of what would be fetched."""
        sightings = Sightings(catalog)
        self._linker = Linker(target.account.name, lambda: nullcontext(sightings), read)

    def _lend(self) -> AbstractContextManager[Catalog]:
        return nullcontext(self._catalog)

    def run(self, source: Source) -> None:
        """Look at every mailbox. Raises SourceError."""
        report = self.report
        found = survey(self._lend, source, report.account, self._options, self._around.clock.now())
        report.mailboxes.extend(found.reports)
        report.failures.extend(found.failures)
        report.notes.extend(found.notes)
        report.mailboxes.extend(
            MailboxReport(str(box.name), gone=self._catalog.present(box.number)) for box in found.vanished
        )
        if found.views:
            self._labels = Labels(found.views, report.account, _Unrecorded(), self._lend, self._options)
            self._labels.survey(found.listed, found.known)
        for mailbox in found.to_open:
            if self._around.stop.is_set():
                report.status, report.exit_code = "partial", ExitCode.PARTIAL
                return
            known = found.known_as(mailbox)
            try:
                report.mailboxes.append(self._count(source, mailbox, known))
            except MailboxUnavailable as error:
                report.mailboxes.append(unread(mailbox, known, self._lend))
                report.failures.append(Failure(str(mailbox.name), "", str(error), 1))
        if self._labels is not None:
            name = self._labels.source.name
            is_unchanged = all(box.name != name for box in found.to_open)
            self._labels.conclude(report, self.provider, is_unchanged=is_unchanged)
        report.max_download = self._budget.limit
        report.left_messages, report.left_bytes = self._budget.left_messages, self._budget.left_bytes
        report.done_by = self._budget.done_by(self._around.clock.now().date())
        if report.failures or report.warnings:
            report.status, report.exit_code = "partial", ExitCode.PARTIAL

    def _count(self, source: Source, mailbox: ListedMailbox, known: KnownMailbox | None) -> MailboxReport:
        opened = source.open(mailbox)
        labels = self._labels if self._labels and self._labels.source.name == mailbox.name else None
        now = self._around.clock.now()
        found = look(self._lend, opened, mailbox, known, self._options, now, labelled=labels is not None)
        if source.shows != "everything":
            found.plan.gone.clear()
        remark(found, self.provider, self.report)
        plan = found.plan
        counts = MailboxReport(
            str(mailbox.name),
            plan.listed,
            known=plan.known + len(plan.returned),
            failed=len(plan.waiting),
            gone=len(plan.gone),
            flags_changed=len(found.flags),
        )
        if labels is not None:
            labels.begin(found)
            for facts in found.returned:
                labels.arriving(facts)
        for start in range(0, len(plan.fresh), WINDOW):
            self._count_new(opened, found, plan.fresh[start : start + WINDOW], counts, labels)
        return counts

    def _count_new(
        self,
        opened: OpenMailbox,
        found: Look,
        window: list[RemoteUid],
        counts: MailboxReport,
        labels: Labels | None,
    ) -> None:
        facts = list(opened.facts(window))
        wanted = [item for item in facts if not plans.is_too_old(item, self._options.since)]
        number = found.known.number if found.known else 0
        place = Place((number, found.cursor.uidvalidity), frozenset(found.plan.gone))
        if labels is not None:
            for item in wanted:
                labels.arriving(item)
        to_fetch = wanted
        if not self._options.paranoid:
            to_fetch = self._linker.sort(opened, place, wanted).fresh
            self._linker.release(place.here, to_fetch)
            to_fetch = [item for item in to_fetch if item.account_id is None or item.account_id not in self._counted]
            self._counted.update(item.account_id for item in to_fetch if item.account_id is not None)
        counts.listed -= len(window) - len(facts)
        counts.excluded += len(facts) - len(wanted)
        counts.new += len(wanted)
        counts.linked += len(wanted) - len(to_fetch)
        admitted = self._budget.admit(to_fetch)
        to_fetch = admitted.now + admitted.later
        counts.new -= len(admitted.never)
        counts.failed += len(admitted.never)
        self.report.failures.extend(
            Failure(counts.mailbox, str(item.uid), too_large(item), 0) for item in admitted.never
        )
        self.report.to_fetch_messages += len(to_fetch)
        self.report.to_fetch_bytes += sum(item.size or 0 for item in to_fetch)
