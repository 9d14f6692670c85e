"""What a pull did, as sentences and as the JSON object."""

from collections.abc import Sequence
from dataclasses import asdict

from mailarchive.cli.render import clean, count, decimal_size, plural, seconds, size
from mailarchive.cli.terminal import out, say
from mailarchive.ops.report import AccountReport, Failure, MailboxReport, PullReport

TOTALS = ("listed", "new", "known", "linked", "failed", "excluded", "gone", "flags_changed")
_SHOWN_FAILURES = 20


def total(account: AccountReport, name: str) -> int:
    """Return the sum of a count over the account's mailboxes."""
    return sum(int(getattr(mailbox, name)) for mailbox in account.mailboxes)


def as_object(report: PullReport, code: int) -> dict[str, object]:
    """Return the report for ``--json``; ``code`` is the exit code of the process."""
    return {
        "status": report.status,
        "exit_code": int(code),
        "archive": report.archive,
        "accounts": [_account_object(account) for account in report.accounts],
        "dry_run": report.dry_run,
        **({"error": report.error, "hint": report.hint} if report.error else {}),
    }


def exit_code(reports: Sequence[PullReport]) -> int:
    """Return that of the worst archive."""
    return max(report.exit_code for report in reports)


def as_one_object(reports: Sequence[PullReport], code: int) -> dict[str, object]:
    """Return the report of one archive, or of several with what came of all."""
    if len(reports) == 1:
        return as_object(reports[0], code)
    archives = [as_object(report, report.exit_code) for report in reports]
    statuses = {report.status for report in reports}
    status = next(iter(statuses)) if len(statuses) == 1 else "partial"
    return {"status": status, "exit_code": int(code), "archives": archives}


def _account_object(account: AccountReport) -> dict[str, object]:
    return {
        "account": account.account,
        "protocol": account.protocol,
        "status": account.status,
        **{name: total(account, name) for name in TOTALS},
        "downloaded_messages": account.downloaded_messages,
        "downloaded_bytes": account.downloaded_bytes,
        "stored_messages": account.stored_messages,
        "stored_bytes": account.stored_bytes,
        "seconds": round(account.seconds, 3),
        "mailboxes": [asdict(mailbox) for mailbox in account.mailboxes],
        "failures": [asdict(failure) for failure in account.failures],
        "exit_code": account.exit_code,
        "error": account.error,
        "hint": account.hint,
        "warnings": account.warnings,
        "notes": account.notes,
        "to_fetch_messages": account.to_fetch_messages,
        "to_fetch_bytes": account.to_fetch_bytes,
        "max_download": account.max_download,
        "left_messages": account.left_messages,
        "left_bytes": account.left_bytes,
        "done_by": account.done_by.isoformat() if account.done_by else None,
        "name": account.name,
    }


def print_problems(report: PullReport) -> None:
    """Say on standard error what went wrong in each account."""
    if report.error:
        say(f"mailarchive: {clean(report.error)}")
        say(f"  hint: {clean(report.hint)}")
    for account in report.accounts:
        name = clean(account.called)
        for sentence in account.warnings:
            say(f"mailarchive: {name}: {clean(sentence)}")
        for failure in account.failures[:_SHOWN_FAILURES]:
            say(f"mailarchive: {name}: {clean(failure.mailbox)}: {_what_failed(failure)}: {clean(failure.reason)}")
        if (more := len(account.failures) - _SHOWN_FAILURES) > 0:
            say(f"mailarchive: {name}: and {plural(more, 'more failed message')}; --json lists all")
        if account.error:
            say(f"mailarchive: {name}: {clean(account.error)}")
            if account.hint:
                say(f"  hint: {clean(account.hint)}")


def _what_failed(failure: Failure) -> str:
    if not failure.uid:
        return "failed"
    how = f"failed ({plural(failure.tries, 'try')})" if failure.tries else "was not asked for"
    return f"message {clean(failure.uid)} {how}"


def print_summary(report: PullReport, *, verbose: bool) -> None:
    """Print one line an account; with ``verbose`` or in a dry run also one a mailbox where something is new."""
    for account in report.accounts:
        out(summary(account, dry_run=report.dry_run))
        for sentence in account.notes:
            out(f"  note: {clean(sentence)}")
        for mailbox in account.mailboxes:
            if verbose or (report.dry_run and mailbox.new):
                out(f"  {clean(mailbox.mailbox)}: {_mailbox_line(mailbox)}")


def summary(account: AccountReport, *, dry_run: bool) -> str:
    """Return one line about an account."""
    name = clean(account.called)
    told = size if account.max_download is None else decimal_size
    if dry_run:
        return (
            f"{name}: {plural(account.to_fetch_messages, 'message')} to fetch, {told(account.to_fetch_bytes)}, "
            f"in {plural(len(account.mailboxes), 'mailbox')}; nothing was changed{_today(account)}{_left(account)}"
        )
    parts = [f"{count(total(account, 'new'))} new", f"{count(total(account, 'known'))} known"]
    for key in ("linked", "failed", "excluded", "gone", "flags_changed"):
        word = "reflagged" if key == "flags_changed" else key
        number = total(account, key) - (account.left_messages if key == "failed" else 0)
        if number:
            parts.append(f"{count(number)} {word}")
    return (
        f"{name}: {account.status}: {', '.join(parts)} in {plural(len(account.mailboxes), 'mailbox')}; "
        f"{plural(account.downloaded_messages, 'message')} downloaded ({told(account.downloaded_bytes)}) "
        f"in {seconds(account.seconds)}{_left(account)}"
    )


def total_line(reports: Sequence[PullReport]) -> str:
    """Return one line about all accounts of all archives."""
    accounts = [account for report in reports for account in report.accounts]
    complete = sum(account.status == "complete" for account in accounts)
    new, failed = (sum(total(account, name) for account in accounts) for name in ("new", "failed"))
    downloaded = size(sum(account.downloaded_bytes for account in accounts))
    bad = f", {count(failed)} failed" if failed else ""
    return f"{plural(len(accounts), 'account')}, {complete} complete: {count(new)} new{bad}, {downloaded} downloaded"


def _today(account: AccountReport) -> str:
    """Return how much of what is to be fetched ``--max-download`` lets come today."""
    if account.max_download is None:
        return ""
    messages = account.to_fetch_messages - account.left_messages
    octets = account.to_fetch_bytes - account.left_bytes
    return f"; today may come: {plural(messages, 'message')}, {decimal_size(max(0, octets))}"


def _left(account: AccountReport) -> str:
    """Return what ``--max-download`` keeps for other days, and how long that will take."""
    if not account.left_messages or not account.max_download or not account.done_by:
        return ""
    days = max(1, -(-account.left_bytes // account.max_download))
    return (
        f"; left: {plural(account.left_messages, 'message')}, {decimal_size(account.left_bytes)}: "
        f"{plural(days, 'day')} at {decimal_size(account.max_download)} a day (until {account.done_by})"
    )


def _mailbox_line(mailbox: MailboxReport) -> str:
    if mailbox.unchanged:
        return "unchanged"
    return ", ".join(
        f"{count(int(getattr(mailbox, name)))} {name.replace('_', ' ')}"
        for name in ("new", "known", "listed", *TOTALS[3:])
        if name in {"new", "known"} or getattr(mailbox, name)
    )
