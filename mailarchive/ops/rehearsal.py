"""A pull that fetches nothing and writes nothing: what would be fetched, in messages and octets."""

from contextlib import nullcontext

from mailarchive.archive.archive import Catalog
from mailarchive.errors import ExitCode, MailboxUnavailable, SourceError
from mailarchive.model import ListedMailbox
from mailarchive.ops import plan as plans
from mailarchive.ops.account_pull import mailbox_key
from mailarchive.ops.look import look
from mailarchive.ops.mailbox_pull import WINDOW
from mailarchive.ops.options import Around, PullAccount, PullOptions
from mailarchive.ops.report import AccountReport, Failure, MailboxReport
from mailarchive.records import KnownMailbox
from mailarchive.sources.base import Source


def rehearse(catalog: Catalog, target: PullAccount, options: PullOptions, around: Around) -> AccountReport:
    """Return the report that a pull would give, as far as it can be known: ``new`` counts what would be fetched."""
    report = AccountReport(target.account.name, target.account.protocol)
    started = around.clock.monotonic()
    try:
        source = target.connect()
        try:
            _survey(catalog, source, options, around, report)
        finally:
            source.close()
    except SourceError as error:
        report.status, report.exit_code, report.error, report.hint = "failed", error.exit_code, str(error), error.hint
    report.seconds = round(around.clock.monotonic() - started, 3)
    return report


def _survey(catalog: Catalog, source: Source, options: PullOptions, around: Around, report: AccountReport) -> None:
    known = {mailbox_key(box.name.raw): box for box in catalog.mailboxes(report.account)}
    for mailbox in source.mailboxes():
        if around.stop.is_set():
            report.status, report.exit_code = "partial", ExitCode.PARTIAL
            return
        name, messages = str(mailbox.name), (mailbox.cursor.messages if mailbox.cursor else None) or 0
        box = known.get(mailbox_key(mailbox.name.raw))
        if not plans.is_selected(name, options.mailboxes, options.exclude):
            report.mailboxes.append(MailboxReport(name, messages, excluded=messages))
            continue
        if box and plans.is_unchanged(box, mailbox, options.since):
            failed = len(catalog.failures(box.number, box.uidvalidity or 0))
            have = messages - failed - box.excluded
            report.mailboxes.append(
                MailboxReport(name, messages, known=have, failed=failed, excluded=box.excluded, unchanged=True)
            )
            continue
        try:
            report.mailboxes.append(_count(catalog, source, mailbox, box, options, around, report))
        except MailboxUnavailable as error:
            report.mailboxes.append(MailboxReport(name, messages, failed=messages))
            report.failures.append(Failure(name, "", str(error), 1))
            report.status, report.exit_code = "partial", ExitCode.PARTIAL


def _count(
    catalog: Catalog,
    source: Source,
    mailbox: ListedMailbox,
    known: KnownMailbox | None,
    options: PullOptions,
    around: Around,
    report: AccountReport,
) -> MailboxReport:
    opened = source.open(mailbox)
    found = look(lambda: nullcontext(catalog), opened, mailbox, known, options.since, around.clock.now())
    fresh, plan = found.plan.fresh, found.plan
    counts = MailboxReport(
        str(mailbox.name),
        plan.listed,
        known=plan.known + len(plan.returned),
        failed=len(plan.waiting),
        gone=len(plan.gone),
        flags_changed=len(found.flags),
    )
    for start in range(0, len(fresh), WINDOW):
        window = fresh[start : start + WINDOW]
        facts = list(opened.facts(window))
        wanted = [item for item in facts if not plans.is_too_old(item, options.since)]
        counts.listed -= len(window) - len(facts)
        counts.excluded += len(facts) - len(wanted)
        counts.new += len(wanted)
        report.to_fetch_messages += len(wanted)
        report.to_fetch_bytes += sum(item.size or 0 for item in wanted)
    return counts
