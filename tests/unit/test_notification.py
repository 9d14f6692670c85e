"""The mail about a run that was not complete is sound, whatever servers said."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

from mailarchive.ops.notification import notification
from mailarchive.ops.report import AccountReport, Failure, MailboxReport, PullReport

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def mail_of(*accounts: AccountReport, error: str = "") -> bytes:
    report = PullReport("/srv/mail", error=error, accounts=list(accounts))
    return notification([report], 12, host="ho\nst", sender="me@example.org", to="you@example.org", now=NOON)


def test_it_says_what_happened_to_each_account() -> None:
    good = AccountReport("good@x", "imap", mailboxes=[MailboxReport("INBOX", new=3)])
    bad = AccountReport("bad@x", "imap", "failed", 12, "refused:\r\nBcc: everybody", "make an app password")
    bad.failures += [Failure("INBOX", "7", "no\x1b[2J", 1)] * 30
    octets = mail_of(good, bad)
    mail = message_from_bytes(octets, policy=default)
    assert mail["Subject"] == "mailarchive on ho?st: 1 of 2 accounts not complete (exit code 12)"
    assert (mail["From"], mail["To"], mail["Auto-Submitted"]) == ("me@example.org", "you@example.org", "auto-generated")
    assert mail["Date"].datetime == NOON
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail["Bcc"] is None
    text = mail.get_content()
    assert "good@x: complete, 3 new, 0 failed" in text
    assert "refused:??Bcc: everybody" in text
    assert "make an app password" in text
    assert text.count("no?[2J") == 10
    assert "\x1b" not in text
    assert octets.count(b"\n") == octets.count(b"\r\n")


def test_an_error_of_the_archive_is_told() -> None:
    text = message_from_bytes(mail_of(error="the disk is full"), policy=default).get_content()
    assert "the disk is full" in text
