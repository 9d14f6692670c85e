"""`doctor` says at which step something fails, and what to do."""

import fcntl
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailarchive.config import Endpoint
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.doctor import habits
from tests.servers.dovecot import Dovecot
from tests.system.conftest import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path, {"MAILARCHIVE_PASSWORD": "secret"})


def findings(value: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return what was found about the one account, by what it is about."""
    (account,) = value["accounts"]
    return {one["what"]: one for one in account["findings"]}


def levels(value: dict[str, Any]) -> dict[str, str]:
    return {what: one["level"] for what, one in findings(value).items()}


def url_of(server: LoopbackServer) -> str:
    return f"imap://{server.account.user}@127.0.0.1:{server.port}"


def test_all_steps_are_taken_and_the_archive_is_looked_at(program: Program) -> None:
    account = LoopbackAccount()
    account.append("INBOX", b"Subject: one\r\n\r\nbody\r\n")
    with LoopbackServer(account) as server:
        first = program.json("doctor", url_of(server))
        assert levels(first)["archive"] == "note"
        program("pull", url_of(server), "--quiet")
        value = program.json("doctor")
        assert account["INBOX"].messages[1].flags == frozenset()
    assert levels(value) == {
        "DNS": "fine",
        "connection": "fine",
        "TLS": "warning",
        "greeting": "fine",
        "log-in": "fine",
        "mailboxes": "fine",
        "message": "fine",
        "permissions": "fine",
        "room": "fine",
        "lock": "fine",
        "last run": "fine",
    }
    assert "IMAP4REV1" in findings(value)["greeting"]["sentence"]


def test_what_is_wrong_with_an_archive_is_said(program: Program) -> None:
    with LoopbackServer(LoopbackAccount()) as server:
        program("pull", url_of(server), "--quiet")
        program.archive.chmod(0o755)
        with (program.archive / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = findings(program.json("doctor"))
    assert found["permissions"]["hint"] == f"chmod 700 {program.archive}"
    assert found["lock"]["level"] == "note"
    assert "is being written by process" in found["lock"]["sentence"]


def test_a_wrong_password_is_a_problem_of_the_server_and_the_archive_is_looked_at_all_the_same(
    program: Program,
) -> None:
    program.environment["MAILARCHIVE_PASSWORD"] = "wrong"
    with LoopbackServer(LoopbackAccount()) as server:
        value = program.json("doctor", url_of(server), code=3)
        done = program("doctor", url_of(server), "--quiet", code=3)
    assert levels(value)["greeting"] == "fine"
    assert "refused to log" in findings(value)["server"]["sentence"]
    assert "app password" in findings(value)["server"]["hint"]
    assert levels(value)["room"] == "fine"
    assert "!! server:" in done.stdout
    assert "ok" not in done.stdout
    assert "wrong" not in done.stdout + done.stderr


def test_a_closed_port_and_an_unknown_host_are_told_apart(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    value = program.json("doctor", f"imap://demo@127.0.0.1:{port}", code=3)
    assert (levels(value)["DNS"], "connection" in levels(value)) == ("fine", False)
    assert "Connection refused" in findings(value)["server"]["sentence"]
    value = program.json("doctor", "imaps://demo@nowhere.invalid", code=3)
    assert "nowhere.invalid cannot be resolved" in findings(value)["server"]["sentence"]


def test_without_a_password_nothing_is_tried(program: Program) -> None:
    program.environment["MAILARCHIVE_PASSWORD"] = ""
    assert levels(program.json("doctor", "imap://demo@127.0.0.1:1", code=3)) == {"password": "problem"}


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_the_certificate_of_a_real_server_is_shown(
    program: Program, start_dovecot: Callable[..., Dovecot], protocol: str
) -> None:
    server = start_dovecot(pop3=True)
    program.environment["MAILARCHIVE_PASSWORD"] = server.password
    port = server.port if protocol == "imap" else server.ports.pop3
    url = f"{protocol}://{server.user}@localhost:{port}"
    value = program.json("doctor", url, "--starttls", "--ca-file", str(server.ca_file))
    sentence = findings(value)["TLS"]["sentence"]
    assert "certificate for localhost" in sentence
    assert "TLSv1" in sentence
    untrusted = program.json("doctor", url, "--starttls", code=3)
    assert "cannot be trusted" in findings(untrusted)["server"]["sentence"]


def test_habits_of_the_provider_are_told() -> None:
    notes = [
        one.sentence for one in habits(Endpoint("imap", "me", "imap.gmail.com", 993, "tls")) if one.what == "Gmail"
    ]
    assert any("2.5 GB be downloaded a day" in note for note in notes)
    assert not list(habits(Endpoint("imap", "me", "imap.example.org", 993, "tls")))
