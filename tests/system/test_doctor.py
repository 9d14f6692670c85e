"""`doctor` says at which step something fails, and what to do."""

import fcntl
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailarchive.config import Endpoint
from mailarchive.configuration import AccountEntry, OAuth
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.doctor import habits
from mailarchive.ops.permissions import of_account
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


@pytest.fixture
def configured(tmp_path: Path, program: Program) -> Iterator[Path]:
    """A configuration with an account whose password is in a file of mode 0600; yields its folder."""
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o700)
    (folder / "secret").write_text("secret\n")
    (folder / "secret").chmod(0o600)
    with LoopbackServer(LoopbackAccount()) as server:
        (folder / "config.toml").write_text(
            f'[archives]\nmain = "{program.archive}"\n'
            f'[accounts.me]\nhost = "127.0.0.1"\nport = {server.port}\ntls = "plain"\nuser = "user"\n'
            'password.file = "secret"\n'
        )
        program.environment["MAILARCHIVE_CONFIG"] = str(folder / "config.toml")
        yield folder


def test_secrets_that_only_their_owner_can_get_at_are_fine(configured: Path, program: Program) -> None:
    value = program.json("doctor")
    assert levels(value)["password file"] == "fine"
    assert [one["level"] for one in value["configuration"]] == ["fine"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_password_that_others_can_read_is_a_problem(configured: Path, program: Program, mode: int) -> None:
    (configured / "secret").chmod(mode)
    found = findings(program.json("doctor", code=3))
    assert found["password file"]["level"] == "problem"
    assert found["password file"]["hint"] == f"chmod 600 {configured / 'secret'}"
    given = program.json("doctor", "me", "--password-file", str(configured / "secret"), code=3)
    assert levels(given)["password file"] == "problem"


def test_a_folder_in_which_others_can_replace_the_configuration_is_a_problem(
    configured: Path, program: Program
) -> None:
    configured.chmod(0o777)
    value = program.json("doctor", code=3)
    assert [(one["level"], one["hint"]) for one in value["configuration"]] == [("problem", f"chmod go-w {configured}")]
    assert "!! configuration: others can write" in program("doctor", "--quiet", code=3).stdout


def test_a_configuration_that_others_can_write_to_is_refused_with_what_to_do(
    configured: Path, program: Program
) -> None:
    (configured / "config.toml").chmod(0o622)
    assert f"chmod go-w {configured / 'config.toml'}" in program("doctor", code=2).stderr


def test_an_archive_that_others_can_write_to_is_a_warning(configured: Path, program: Program) -> None:
    program("pull", "--quiet")
    program.archive.chmod(0o770)
    found = findings(program.json("doctor"))
    assert found["permissions"]["level"] == "warning"
    assert "others can write" in found["permissions"]["sentence"]


@pytest.mark.parametrize(
    ("file", "folder", "expected"),
    [
        (0o600, 0o700, [("fine", "")]),
        (0o640, 0o700, [("problem", "chmod 600 {file}")]),
        (0o600, 0o755, [("fine", ""), ("warning", "chmod 700 {folder}")]),
        (0o600, 0o770, [("fine", ""), ("problem", "chmod go-w {folder}")]),
    ],
)
def test_tokens_and_their_folder_are_looked_at(
    tmp_path: Path, file: int, folder: int, expected: list[tuple[str, str]]
) -> None:
    tokens = tmp_path / "tokens" / "me.json"
    tokens.parent.mkdir()
    tokens.write_text("{}")
    tokens.chmod(file)
    tokens.parent.chmod(folder)
    entry = AccountEntry("me", Endpoint("imap", "me", "localhost", 993, "tls"), tmp_path, oauth=OAuth("x", tokens))
    hints = [(level, hint.format(file=tokens, folder=tokens.parent)) for level, hint in expected]
    assert [(one.level, one.hint) for one in of_account(entry)] == hints


def test_ctrl_c_ends_it_at_once(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = program.start("doctor", f"imap://me@127.0.0.1:{silent.getsockname()[1]}", "--insecure-plaintext")
        connection, _peer = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _said, words = process.communicate(timeout=20)
    assert (process.returncode, words) == (130, "")
