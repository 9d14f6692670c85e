"""``pull`` of a maildrop as a process: numbers, exit codes, passwords and tokens, an end by a signal."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.maildrops import letter
from tests.servers.certificates import make_certificate
from tests.servers.scripted_pop3 import Pop3Server
from tests.system.conftest import Program

COUNT = 12


@pytest.fixture
def server() -> Iterator[Pop3Server]:
    with Pop3Server() as server:
        server.deliver(*map(letter, range(COUNT)))
        yield server


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path, {"MAILARCHIVE_PASSWORD": "secret"})


def test_a_maildrop_is_pulled_shown_and_exported(server: Pop3Server, program: Program) -> None:
    url = f"pop://user@127.0.0.1:{server.port}"
    dry = program.json("pull", url, "--dry-run")["accounts"][0]
    assert (dry["to_fetch_messages"], server.counts["RETR"], server.counts["QUIT"]) == (COUNT, 0, 0)
    account = program.json("pull", url)["accounts"][0]
    assert (account["account"], account["protocol"]) == (f"pop3:user@127.0.0.1:{server.port}", "pop3")
    assert (account["status"], account["new"], account["downloaded_messages"]) == ("complete", COUNT, COUNT)
    again = program.json("pull", account["account"])["accounts"][0]
    assert (again["known"], again["new"]) == (COUNT, 0)
    assert program.json("pull")["accounts"][0]["known"] == COUNT
    assert server.counts["RETR"] == COUNT
    [box] = program.rows("mailboxes")
    assert (box["mailbox"], box["messages"], box["gone"]) == ("INBOX", COUNT, 0)
    program("verify")
    program("export", str(program.home / "out"), "--format", "eml")
    exported = sorted(path.read_bytes() for path in (program.home / "out").rglob("*.eml"))
    assert exported == sorted(map(letter, range(COUNT)))


def test_what_goes_wrong_has_its_exit_code(server: Pop3Server, program: Program) -> None:
    url = f"pop3://user@127.0.0.1:{server.port}"
    assert "wrong user name" in program("pull", url.replace("user@", "other@"), code=12).stderr
    server.refused = {3: b"-ERR \x1b[31mbroken"}
    failed = program("pull", url, code=3)
    assert "message 00000004 failed" in failed.stderr
    assert "broken" in failed.stderr
    assert "\x1b" not in failed.stderr
    assert "host name" in program("pull", "pop3s://me@a..b", code=2).stderr
    assert "no file" in program("pull", "pop3s://me@host", "--ca-file", "nowhere", code=2).stderr
    assert "--auth" in program("pull", url, "--auth", "magic", code=2).stderr


def test_the_rules_of_encryption_are_those_of_imap(program: Program, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with Pop3Server(context=certificate.server_context(), capabilities=("USER", "STLS", "UIDL")) as server:
        server.deliver(letter(1))
        url = f"pop3://user@localhost:{server.port}"
        assert program.json("pull", url, "--starttls", "--ca-file", str(certificate.ca))["status"] == "complete"
        assert server.counts["STLS"] == 1
        program("pull", url, "--starttls", code=20)
        assert server.logins == 1


def test_a_token_logs_in(server: Pop3Server, program: Program) -> None:
    server.capabilities = ("SASL XOAUTH2", "UIDL", "TOP")
    server.password = "t0ken"
    url = f"pop3://user@127.0.0.1:{server.port}"
    program("pull", url, "--auth", "xoauth2", "--password-command", "echo t0ken")
    refused = program("pull", url, "--auth", "xoauth2", "--password-command", "echo old", code=12)
    assert "access token" in refused.stderr


def test_gmail_is_asked_until_nothing_is_new(server: Pop3Server, program: Program) -> None:
    server.capabilities = ("USER", "UIDL", "TOP", "X-GOOGLE-RICO")
    server.part = 5
    account = program.json("pull", f"pop3://user@127.0.0.1:{server.port}")["accounts"][0]
    assert (account["listed"], account["new"], account["status"]) == (COUNT, COUNT, "complete")
    recent = program.json("pull", f"pop3://recent:user@127.0.0.1:{server.port}")["accounts"][0]
    assert (recent["account"], recent["known"], recent["new"]) == (account["account"], 5, 0)
    assert set(server.retrieved.values()) == {1}


def test_ctrl_c_keeps_what_came_and_says_no_quit_over_what_did_not(server: Pop3Server, program: Program) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def pause(sent: int) -> None:
        if sent == 4:
            reached.set()
            go_on.wait(60)
        if sent > 4:
            threading.Event().wait(0.1)

    server.capabilities = None
    server.before_retr = pause
    url = f"pop3://user@127.0.0.1:{server.port}"
    process = program.start("pull", url, "--quiet")
    assert reached.wait(60)
    process.send_signal(signal.SIGINT)
    go_on.set()
    process.communicate(timeout=60)
    assert process.returncode == 130
    server.before_retr = lambda _sent: None
    account = program.json("pull", url)["accounts"][0]
    assert account["known"] >= 4
    assert account["known"] + account["new"] == COUNT
    assert server.counts["QUIT"] <= server.logins
