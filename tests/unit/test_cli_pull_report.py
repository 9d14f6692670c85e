"""What a pull did is told in sentences and in numbers that are sums."""

from datetime import date

import pytest

from mailarchive.cli.pull_report import as_object, print_problems, print_summary
from mailarchive.ops.report import AccountReport, Failure, MailboxReport, PullReport


def _report() -> PullReport:
    account = AccountReport(
        "me@host",
        "imap",
        status="partial",
        exit_code=3,
        downloaded_messages=3,
        downloaded_bytes=2048,
        stored_messages=2,
        stored_bytes=1024,
        seconds=1.23456,
        to_fetch_messages=4,
        to_fetch_bytes=4096,
        mailboxes=[
            MailboxReport("INBOX", listed=6, new=3, known=1, failed=1, excluded=1, gone=2, flags_changed=1),
            MailboxReport("Sent", listed=4, known=4, unchanged=True),
        ],
        failures=[Failure("INBOX", "17", "server said \x1b[31mNO", 2)],
        warnings=["the mailbox Old vanished"],
    )
    return PullReport("/archive", status="partial", exit_code=3, accounts=[account])


def test_the_json_object_has_the_documented_keys_in_order() -> None:
    value = as_object(_report(), 143)
    assert list(value) == ["status", "exit_code", "archive", "accounts", "dry_run"]
    assert value["exit_code"] == 143
    accounts = value["accounts"]
    assert isinstance(accounts, list)
    (account,) = accounts
    documented = [
        "account",
        "protocol",
        "status",
        "listed",
        "new",
        "known",
        "linked",
        "failed",
        "excluded",
        "gone",
        "flags_changed",
        "downloaded_messages",
        "downloaded_bytes",
        "stored_messages",
        "stored_bytes",
        "seconds",
        "mailboxes",
        "failures",
    ]
    assert list(account)[: len(documented)] == documented
    assert list(account["mailboxes"][0]) == (
        ["mailbox", "listed", "new", "known", "linked", "failed", "excluded", "gone", "flags_changed", "unchanged"]
    )
    assert account["failures"] == [{"mailbox": "INBOX", "uid": "17", "reason": "server said \x1b[31mNO", "tries": 2}]
    assert account["seconds"] == 1.235


def test_an_accounts_numbers_are_sums_over_its_mailboxes() -> None:
    accounts = as_object(_report(), 3)["accounts"]
    assert isinstance(accounts, list)
    (account,) = accounts
    for name in ("listed", "new", "known", "linked", "failed", "excluded", "gone", "flags_changed"):
        assert account[name] == sum(mailbox[name] for mailbox in account["mailboxes"])
    assert account["listed"] == account["new"] + account["known"] + account["failed"] + account["excluded"]


def test_a_summary_is_one_line_an_account(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(_report(), verbose=False)
    assert capsys.readouterr().out == (
        "me@host: partial: 3 new, 5 known, 1 failed, 1 excluded, 2 gone, 1 reflagged in 2 mailboxes; "
        "3 messages downloaded (2.0 KiB) in 1.2 s\n"
    )


def test_a_verbose_summary_has_a_line_a_mailbox(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(_report(), verbose=True)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  INBOX: 3 new, 1 known, 6 listed, 1 failed, 1 excluded, 2 gone, 1 flags changed",
        "  Sent: unchanged",
    ]


def test_a_dry_run_says_what_would_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    report = _report()
    report.dry_run = True
    print_summary(report, verbose=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "me@host: 4 messages to fetch, 4.0 KiB, in 2 mailboxes; nothing was changed"
    assert [line.partition(":")[0] for line in lines[1:]] == ["  INBOX"]


def test_problems_go_to_standard_error_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    report = _report()
    report.accounts[0].error = "the server ended the connection"
    report.accounts[0].hint = "run it again"
    print_problems(report)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "mailarchive: me@host: the mailbox Old vanished",
        "mailarchive: me@host: INBOX: message 17 failed (2 tries): server said \\x1b[31mNO",
        "mailarchive: me@host: the server ended the connection",
        "  hint: run it again",
    ]


def test_what_a_limit_keeps_is_told_with_the_day_when_it_will_have_come(capsys: pytest.CaptureFixture[str]) -> None:
    report = _report()
    account = report.accounts[0]
    account.mailboxes[0].failed += 12_000
    account.mailboxes[0].listed += 12_000
    account.left_messages, account.left_bytes = 12_000, 5_200_000_000
    account.max_download, account.done_by = 2_000_000_000, date(2024, 3, 2)
    account.failures.append(Failure("INBOX", "18", "it has 3 octets", 0))
    print_summary(report, verbose=False)
    print_problems(report)
    captured = capsys.readouterr()
    assert ", 1 failed, " in captured.out
    assert captured.out.endswith(
        " in 1.2 s; left: 12,000 messages, 5.2 GB: 3 days at 2.0 GB a day (until 2024-03-02)\n"
    )
    assert "INBOX: message 18 was not asked for: it has 3 octets" in captured.err
    accounts = as_object(report, 3)["accounts"]
    assert isinstance(accounts, list)
    assert [accounts[0][name] for name in ("max_download", "left_messages", "left_bytes", "done_by")] == [
        2_000_000_000,
        12_000,
        5_200_000_000,
        "2024-03-02",
    ]


def test_a_long_list_of_failures_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    report = _report()
    report.accounts[0].failures *= 30
    print_problems(report)
    assert "me@host: and 10 more failed messages; --json lists all" in capsys.readouterr().err


def test_notes_follow_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    report = _report()
    report.accounts[0].notes = ["a \x1b[31mnote"]
    print_summary(report, verbose=False)
    assert capsys.readouterr().out.splitlines()[1:] == ["  note: a \\x1b[31mnote"]
