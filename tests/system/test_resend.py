"""``restore smtp://`` as a process: what the command line takes, what it says, exit codes."""

import pytest

from tests.servers.smtp import SmtpServer
from tests.system.conftest import Program, Site

TO = "new@example.org"


@pytest.fixture
def pulled(site: Site) -> Program:
    """The demo's mail, in an archive; the program knows no password any more."""
    site.program("pull", site.url, "--quiet")
    return Program(site.program.home)


def test_all_is_sent_once_without_a_password_for_nobody(pulled: Program) -> None:
    with SmtpServer() as server:
        command = ("restore", f"smtp://127.0.0.1:{server.port}", "--to", TO, "--mailbox", "Sent")
        rehearsed = pulled.json(*command, "--dry-run")
        assert (rehearsed["dry_run"], server.taken) == (True, [])
        count = rehearsed["totals"]["to_send"]
        report = pulled.json(*command, "--from", "old@example.org", "--resent")
        assert (report["totals"]["sent"], len(server.taken)) == (count, count)
        assert {(taken.sender, taken.recipients) for taken in server.taken} == {("old@example.org", (TO,))}
        assert all(b"Resent-From: <old@example.org>\r\n" in taken.octets[:200] for taken in server.taken)
        done = pulled(*command)
        assert f"0 sent (0 B), {count} restored before; 1 mailbox; in " in done.stdout
        assert "flags, dates of receipt and mailboxes do not" in done.stderr
        assert len(server.taken) == count


@pytest.mark.parametrize(
    "arguments",
    [
        ("--into", "Old"),
        ("--map", "a=b"),
        ("--again",),
        ("--fix-for-target",),
        ("--connections", "2"),
        ("--compress", "always"),
        ("--compress", "never"),
        ("--verify",),
    ],
)
def test_what_has_no_meaning_by_smtp_is_an_error(pulled: Program, arguments: tuple[str, ...]) -> None:
    done = pulled("restore", "smtp://127.0.0.1:1", "--to", TO, *arguments, code=2)
    assert f"{arguments[0]} cannot be used with smtp://" in done.stderr
    assert "hint: " in done.stderr


def test_it_must_be_said_whom_to_send_to_and_only_then(pulled: Program) -> None:
    done = pulled("restore", "lmtp://127.0.0.1:1", code=2)
    assert "lmtp:// needs an address to send to" in done.stderr
    assert "hint: give --to" in done.stderr
    done = pulled("restore", "smtp://127.0.0.1:1", "--to", "nobody", code=2)
    assert "--to 'nobody' is not an address" in done.stderr
    done = pulled("restore", "imap://me@127.0.0.1:1", "--to", TO, code=2)
    assert "--to cannot be used with imap://" in done.stderr
    assert "hint: " in done.stderr
