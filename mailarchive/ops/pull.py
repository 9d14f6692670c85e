"""Bring what is new at a source into the archive, and write down what changed or vanished."""

from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

from mailarchive.archive.archive import Kind, open_for_rehearsal, open_for_writing
from mailarchive.archive.writer import Writer
from mailarchive.clock import Clock, Stop
from mailarchive.errors import ArchiveDamaged, ExitCode
from mailarchive.ops.abreast import Lanes, side_by_side
from mailarchive.ops.account_pull import AccountPull
from mailarchive.ops.events import Notice, Observer
from mailarchive.ops.options import Around, PullAccount, PullOptions
from mailarchive.ops.report import AccountReport, MailboxReport, PullReport

__all__ = ["PullAccount", "PullOptions", "pull"]

COUNTS = ("listed", "new", "known", "linked", "failed", "excluded", "gone", "flags_changed")


def pull(
    directory: Path,
    accounts: Sequence[PullAccount],
    options: PullOptions,
    *,
    observer: Observer,
    clock: Clock,
    stop: Stop,
    lanes: Lanes | None = None,
) -> PullReport:
    """Pull ``accounts`` into the archive at ``directory``, which is made if it does not exist.

    They are pulled side by side, as many as ``lanes`` lets, which several archives may share.
    Setting ``stop`` ends the run after the messages in flight; the report then says "partial".
    A failing account never stops another. Raises ArchiveError and UsageError only.
    """
    report = PullReport(str(directory), dry_run=options.dry_run)
    around = Around(observer, clock, stop)

    def tell(text: str) -> None:
        observer(Notice(text))

    if options.dry_run:
        from mailarchive.ops.rehearsal import rehearse  # noqa: PLC0415 - start-up: only a dry run reads it

        with open_for_rehearsal(directory, tell) as (catalog, read):
            report.accounts.extend(rehearse(catalog, read, one, one.options or options, around) for one in accounts)
        _conclude(report, stop, len(accounts))
        return report
    try:
        with open_for_writing(directory, "pull", clock, tell, make=Kind()) as writer:
            return _pull_all(writer, accounts, options, around, lanes or Lanes(), report)
    except ArchiveDamaged as error:
        if not error.retryable:
            raise
        tell(str(error))
    with open_for_writing(directory, "pull", clock, tell) as writer:
        return _pull_all(writer, accounts, options, around, lanes or Lanes(), PullReport(str(directory)))


def _pull_all(
    writer: Writer,
    accounts: Sequence[PullAccount],
    options: PullOptions,
    around: Around,
    lanes: Lanes,
    report: PullReport,
) -> PullReport:
    run = writer.begin("pull")
    mailboxes: dict[str, dict[str, int]] = {}
    for account in side_by_side(accounts, partial(_pull_one, writer, options, around, lanes)):
        if account is not None:
            report.accounts.append(account.report)
            mailboxes |= {number: _counts(counted) for number, counted in account.counts.items() if _counts(counted)}
    _conclude(report, around.stop, len(accounts))
    reached = [account.account for account in report.accounts if account.status != "failed"]
    complete = [account.account for account in report.accounts if account.status == "complete"]
    writer.end(run, report.exit_code, reached, _totals(report.accounts), mailboxes, complete)
    return report


def _pull_one(
    writer: Writer, options: PullOptions, around: Around, lanes: Lanes, target: PullAccount
) -> AccountPull | None:
    """Pull one account when there is a lane for it; None if the run has been stopped before."""
    with lanes.of(target.host):
        if around.stop.is_set():
            return None
        account = AccountPull(writer, target, target.options or options, around)
        account.run()
        return account


def _counts(report: MailboxReport) -> dict[str, int]:
    return {name: getattr(report, name) for name in COUNTS if getattr(report, name)}


def _totals(accounts: Sequence[AccountReport]) -> dict[str, int]:
    totals = {
        name: sum(getattr(mailbox, name) for account in accounts for mailbox in account.mailboxes) for name in COUNTS
    }
    for item in fields(AccountReport):
        if item.name.startswith(("downloaded_", "stored_")):
            totals[item.name] = sum(getattr(account, item.name) for account in accounts)
    return {name: count for name, count in totals.items() if count}


def _conclude(report: PullReport, stop: Stop, wanted: int) -> None:
    """Give the run the exit code of the signal that ended it, or of its worst account; "failed" only if all failed."""
    statuses = {account.status for account in report.accounts}
    if statuses == {"failed"}:
        report.status = "failed"
    elif statuses - {"complete"}:
        report.status = "partial"
    codes = [account.exit_code for account in report.accounts if account.exit_code]
    report.exit_code = max(codes, default=ExitCode.COMPLETE)
    if len(report.accounts) < wanted:
        report.status, report.exit_code = "partial", ExitCode.PARTIAL
    if stop.signum:
        report.exit_code = 128 + stop.signum
