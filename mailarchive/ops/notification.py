"""The mail that tells somebody that a run was not complete; pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from mailarchive.ops.report import AccountReport, PullReport

_MOST_FAILURES = 10


def notification(
    reports: Sequence[PullReport], exit_code: int, *, host: str, sender: str, to: str, now: datetime
) -> bytes:
    """Return a mail (RFC 5322, with the field of RFC 3834) about runs of which at least one was not complete."""
    mail = EmailMessage(policy=SMTP)
    accounts = [account for report in reports for account in report.accounts]
    bad = sum(account.status != "complete" for account in accounts)
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = f"mailarchive on {_line(host)}: {_how_many(bad, len(accounts))} (exit code {exit_code})"
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = make_msgid("mailarchive", sender.rpartition("@")[2] or None)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(_text(reports, exit_code)) + "\n")
    return mail.as_bytes()


def _how_many(bad: int, accounts: int) -> str:
    return f"{bad} of {accounts} accounts not complete" if bad else "the run was not complete"


def _text(reports: Sequence[PullReport], exit_code: int) -> Iterator[str]:
    yield f"A pull ended with exit code {exit_code}."
    for report in reports:
        yield ""
        yield f"Archive {_line(report.archive)}"
        if report.error:
            yield f"  {_line(report.error)}"
        for account in report.accounts:
            yield from _account(account)
    yield ""
    yield "What had arrived is safe; the next run goes on where this one stopped."


def _account(account: AccountReport) -> Iterator[str]:
    new = sum(box.new for box in account.mailboxes)
    failed = sum(box.failed for box in account.mailboxes)
    yield f"  {_line(account.called)}: {account.status}, {new} new, {failed} failed"
    for sentence in filter(None, (account.error, account.hint, *account.warnings)):
        yield f"    {_line(sentence)}"
    for failure in account.failures[:_MOST_FAILURES]:
        yield f"    {_line(failure.mailbox)}: {_line(failure.reason)}"


def _line(text: str) -> str:
    """Return text that anybody may have written as one line without control characters."""
    return "".join(char if char.isprintable() else "?" for char in text)
