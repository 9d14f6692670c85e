"""``restore smtp://`` as a process: what the command line takes, what it says, exit codes."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import SupportsIndex

import pytest

from mailarchive.cli import resending
from mailarchive.cli.main import main
from tests.servers.certificates import make_certificate
from tests.servers.smtp import SECRET, SmtpServer
from tests.servers.still_clock import StillClock
from tests.system.conftest import Program, Site

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

TO = "new@example.org"


WRONG = "m0use-trap"


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


def octets_of(program: Program, *arguments: str) -> list[bytes]:
    """Return the messages that are sent, in their order."""
    with SmtpServer() as server:
        program("restore", f"smtp://127.0.0.1:{server.port}", "--to", TO, "--mailbox", "Sent", *arguments)
        return [taken.octets for taken in server.taken]


def test_who_sends_it_on_stands_before_octets_that_stay_as_they_are(pulled: Program) -> None:
    plain = octets_of(pulled)
    resent = octets_of(pulled, "--resent", "--from", "old@example.org", "--always")
    assert len(plain) == len(resent) > 1
    for before, after in zip(plain, resent, strict=True):
        assert after.endswith(before)
        block = after.removesuffix(before)
        lines = block.split(b"\r\n")
        assert [line.partition(b": ")[0] for line in lines] == [
            b"Resent-Date",
            b"Resent-From",
            b"Resent-To",
            b"Resent-Message-ID",
            b"",
        ]
        assert lines[1:3] == [b"Resent-From: <old@example.org>", b"Resent-To: <new@example.org>"]


Run = Callable[..., int]


@pytest.fixture
def run(pulled: Program, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, StillClock]:
    """What runs the command in this process, and the clock on which its waits take no time."""
    clock = StillClock()
    monkeypatch.setattr(resending, "SystemClock", lambda: clock)
    monkeypatch.setenv("MAILARCHIVE_ARCHIVE", str(pulled.archive))

    def running(url: str, *arguments: str) -> int:
        return main(["restore", url, "--to", TO, *arguments])

    return running, clock


@pytest.mark.parametrize(("arguments", "wait"), [(("--rate", "30"), 2.0), (("--rate", "600"), 0.1), ((), None)])
def test_a_message_waits_for_its_turn(
    run: tuple[Run, StillClock], arguments: tuple[str, ...], wait: float | None
) -> None:
    """On this machine there is no rate unless one is asked for."""
    running, clock = run
    with SmtpServer() as server:
        assert running(f"smtp://127.0.0.1:{server.port}", "--mailbox", "Sent", *arguments) == 0
        waits = [] if wait is None else [wait] * (len(server.taken) - 1)
        assert len(server.taken) > 1
        assert clock.sleeps == pytest.approx(waits)


def test_elsewhere_there_is_a_rate_unless_it_is_lmtp(
    run: tuple[Run, StillClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, clock = run
    monkeypatch.setattr(resending, "is_loopback", lambda _host: False)
    with SmtpServer() as server:
        assert running(f"smtp://127.0.0.1:{server.port}", "--mailbox", "Sent") == 0
        assert clock.sleeps == pytest.approx([1.0] * (len(server.taken) - 1))


def test_a_server_that_cannot_be_reached_is_tried_some_times(
    run: tuple[Run, StillClock], capsys: pytest.CaptureFixture[str]
) -> None:
    running, clock = run
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for arguments in ((), ("--dry-run",)):
        assert running(f"smtp://127.0.0.1:{port}", *arguments) == 20
        said = capsys.readouterr().err
        assert f"127.0.0.1:{port} cannot be reached" in said
        assert "hint: " in said
    assert clock.sleeps


def fails(program: Program, code: int, sentence: str, *arguments: str) -> None:
    """See that sending fails in words, with each way of telling, and says no password."""
    for more in ((), ("--dry-run",), ("--verbose",), ("--json",)):
        done = program("restore", *arguments, "--to", TO, *more, code=code)
        assert sentence in done.stderr
        assert "hint: " in done.stderr
        said = done.stdout + done.stderr
        assert not any(secret in said for secret in (SECRET, WRONG))
        assert more == ("--verbose",) or "Traceback" not in said
        if more == ("--json",):
            assert sentence in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("excluded", [(), ("PLAIN",)])
def test_a_wrong_password_is_told_as_that(pulled: Program, excluded: tuple[str, ...]) -> None:
    program = Program(pulled.home, {"MAILARCHIVE_PASSWORD": WRONG})
    with SmtpServer(auth_exclude_mechanism=excluded) as server:
        fails(program, 12, "refused to log me in: 535", f"smtp://me@127.0.0.1:{server.port}")
        assert server.logins[0][1:] == (b"me", WRONG.encode())
        assert server.taken == []


def test_a_server_that_wants_a_log_in_and_a_user_without_password_are_told(pulled: Program) -> None:
    with SmtpServer(auth_required=True) as server:
        url = f"smtp://127.0.0.1:{server.port}"
        done = pulled("restore", url, "--to", TO, code=12)
        assert "wants another log-in: 530" in done.stderr
        assert pulled("restore", url.replace("//", "//me@"), "--to", TO, code=12).stderr
        assert (server.logins, server.taken) == ([], [])


def test_without_tls_that_can_be_trusted_nothing_is_said(pulled: Program, tmp_path: Path) -> None:
    program = Program(pulled.home, {"MAILARCHIVE_PASSWORD": SECRET})
    certificate = make_certificate(tmp_path)
    with SmtpServer(context=certificate.server_context(), tls=True) as server:
        fails(program, 20, "cannot be trusted", f"smtps://me@127.0.0.1:{server.port}")
        trusted = ("--ca-file", str(certificate.ca), "--mailbox", "Sent")
        program("restore", f"smtps://me@127.0.0.1:{server.port}", "--to", TO, *trusted)
        assert len(server.logins) == 1
    with SmtpServer() as server:
        fails(program, 20, "does not offer STARTTLS", f"smtp://me@127.0.0.1:{server.port}", "--starttls")
        assert (server.logins, server.taken) == ([], [])


class Always(list[str]):
    """An answer that is given whenever one is asked for."""

    def pop(self, place: SupportsIndex = 0) -> str:
        return self[place]


@pytest.mark.parametrize(
    ("hook", "answer", "code"),
    [
        ("MAIL", "550 5.7.1 not you", 21),
        ("RCPT", "550 5.1.1 nobody of that name", 21),
        ("RCPT", "552 5.2.2 mailbox full", 21),
        ("RCPT", "450 4.2.0 greylisted", 3),
        ("DATA", "451 4.3.0 later", 3),
        ("DATA", "554 5.7.1 looks like spam", 3),
    ],
)
def test_a_server_that_takes_nothing_is_told_by_the_exit_code(
    pulled: Program, hook: str, answer: str, code: int
) -> None:
    with SmtpServer() as server:
        server.answers[hook] = Always([answer])
        done = pulled("restore", f"smtp://127.0.0.1:{server.port}", "--to", TO, "--mailbox", "Sent", code=code)
        assert answer in done.stderr
        assert "Traceback" not in done.stderr
        assert ": failed: 0 sent" in done.stdout
        assert server.taken == []


def test_what_was_not_taken_for_now_is_named_with_what_to_do(pulled: Program) -> None:
    with SmtpServer() as server:
        server.answers["DATA"] = ["451 4.3.0 later"]
        command = ("restore", f"smtp://127.0.0.1:{server.port}", "--to", TO, "--mailbox", "Sent")
        done = pulled(*command, code=3)
        assert "Sent was not taken for now: " in done.stderr
        assert "hint: the same command tries them again" in done.stderr
        assert "1 left" in done.stdout
        assert "1 sent" in pulled(*command).stdout


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
    assert "lmtp:// needs one address to send to" in done.stderr
    assert "hint: give --to" in done.stderr
    done = pulled("restore", "smtp://127.0.0.1:1", "--to", TO, "--to", "other@example.org", code=2)
    assert "smtp:// needs one address" in done.stderr
    done = pulled("restore", "smtp://127.0.0.1:1", "--to", "nobody", code=2)
    assert "--to 'nobody' is not an address" in done.stderr
    done = pulled("restore", "imap://me@127.0.0.1:1", "--to", TO, code=2)
    assert "--to cannot be used with imap://" in done.stderr
    assert "hint: " in done.stderr
