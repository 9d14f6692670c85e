"""A pull that others watch: a log, metrics, and a monitor that is pinged."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.servers.smtp import SECRET, SmtpServer
from tests.system.conftest import Program


class Monitor(ThreadingHTTPServer):
    """Keeps what it is told, and answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        self.told: list[tuple[str, str]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/ping/secret-id"


class Told(BaseHTTPRequestHandler):
    server: Monitor

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.told.append((self.path.removeprefix("/ping/secret-id"), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with Monitor() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    account = LoopbackAccount()
    account.append("INBOX", b"Subject: one\r\n\r\nbody\r\n")
    with LoopbackServer(account) as server:
        yield server


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path, {"MAILARCHIVE_PASSWORD": "secret"})


def url_of(server: LoopbackServer) -> str:
    return f"imap://user@127.0.0.1:{server.port}"


def test_a_monitor_is_told_of_the_beginning_and_the_end(
    program: Program, server: LoopbackServer, monitor: Monitor
) -> None:
    program("pull", url_of(server), "--ping", monitor.url)
    assert monitor.told == [("/start", ""), ("", "exit code 0")]
    monitor.told.clear()
    program.environment.update(MAILARCHIVE_PASSWORD="wrong", MAILARCHIVE_PING=monitor.url)
    program("pull", code=12)
    assert monitor.told == [("/start", ""), ("/fail", "exit code 12")]


def test_an_error_of_the_archive_is_told_too(program: Program, server: LoopbackServer, monitor: Monitor) -> None:
    program.archive.write_text("in the way")
    program("pull", url_of(server), "--ping", monitor.url, code=2)
    assert monitor.told[0] == ("/start", "")
    assert monitor.told[1][0] == "/fail"


def test_a_monitor_that_is_not_there_changes_nothing(
    program: Program, server: LoopbackServer, monitor: Monitor
) -> None:
    monitor.status = 500
    done = program("pull", url_of(server), "--ping", monitor.url)
    assert "127.0.0.1 did not take word of how the run went: status 500" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = program("pull", "--ping", f"http://127.0.0.1:{port}/secret-id")
    assert "could not be told how the run went" in done.stderr
    assert "secret-id" not in done.stderr + done.stdout


@pytest.mark.parametrize("url", ["http://example.org/id", "ftp://x", "id", "https://[", "https://x:port/"])
def test_only_https_is_pinged(program: Program, server: LoopbackServer, url: str) -> None:
    done = program("pull", url_of(server), "--ping", url, code=2)
    assert "is not an https URL" in done.stderr
    assert not program.archive.exists()


def test_metrics_are_written(program: Program, server: LoopbackServer, tmp_path: Path) -> None:
    file = tmp_path / "mail.prom"
    program("pull", url_of(server), "--metrics", str(file))
    text = file.read_text()
    account = f"user@127.0.0.1:{server.port}"
    labels = f'account="{account}",name="{account}",archive="{program.archive}"'
    assert f"mailarchive_messages{{{labels}}} 1\n" in text
    assert "mailarchive_run_exit_code" in text
    again = tmp_path / "again.prom"
    program("status", "--metrics", str(again))
    assert f"mailarchive_messages{{{labels}}} 1\n" in again.read_text()
    done = program("pull", "--metrics", str(tmp_path / "none" / "mail.prom"), code=2)
    assert "there is no directory" in done.stderr
    done = program("pull", "--metrics", "/dev/full", code=15)
    assert "the metrics are not written" in done.stderr
    assert "complete" in done.stdout


def test_a_run_that_waits_before_it_begins_can_be_ended(program: Program, server: LoopbackServer) -> None:
    command = [*program.command, "pull", url_of(server), "--random-delay", "900w"]
    with subprocess.Popen(command, env=program.env, cwd=program.home, stderr=subprocess.DEVNULL) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert not program.archive.exists()


def test_a_log_has_what_is_said_and_the_summary(program: Program, server: LoopbackServer, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "pull.log"
    assert program("pull", url_of(server), "--quiet", "--log-file", str(log)).stdout == ""
    (line,) = log.read_text().splitlines()
    assert line.partition(" ")[2].startswith(f"user@127.0.0.1:{server.port}: complete: 1 new")
    program.environment["MAILARCHIVE_PASSWORD"] = "wrong-password"
    done = program("pull", "--log-file", str(log), "--log-format", "json", code=12)
    told = [json.loads(line) for line in log.read_text().splitlines()[1:]]
    assert [json.loads(line) for line in done.stderr.splitlines()] == told[: len(done.stderr.splitlines())]
    assert "refused to log user in" in told[0]["message"]
    assert "app password" in told[1]["hint"]
    assert "wrong-password" not in log.read_text()


def test_a_log_that_cannot_be_is_said(program: Program, server: LoopbackServer, tmp_path: Path) -> None:
    assert "the log" in program("pull", url_of(server), "--log-file", str(tmp_path), code=15).stderr
    done = program("pull", url_of(server), "--log-file", "/dev/full")
    assert done.stderr.count("the log /dev/full cannot be written") == 1
    assert "Traceback" not in done.stderr


def test_a_configuration_that_is_named_must_be_there(program: Program, tmp_path: Path) -> None:
    done = program("pull", "--config", str(tmp_path / "none.toml"), code=2)
    assert "there is no configuration at" in done.stderr


@pytest.fixture
def smtp(program: Program, tmp_path: Path) -> Iterator[SmtpServer]:
    """Return a server that mail is sent over, by the configuration."""
    with SmtpServer(auth_require_tls=False) as server:
        (tmp_path / "config.toml").write_text(
            f'[notify]\nsmtp = "smtp://me@127.0.0.1:{server.port}"\nfrom = "box@example.org"\n'
            'password.environment = "SMTP_PASSWORD"\n'
        )
        program.environment.update(MAILARCHIVE_CONFIG=str(tmp_path / "config.toml"), SMTP_PASSWORD=SECRET)
        yield server


NOTIFY = "--notify", "mailto:you@example.org"


def test_a_run_that_is_not_complete_is_told_by_mail(program: Program, server: LoopbackServer, smtp: SmtpServer) -> None:
    program("pull", url_of(server), *NOTIFY)
    assert smtp.taken == []
    program.environment["MAILARCHIVE_PASSWORD"] = "wrong"
    done = program("pull", *NOTIFY, code=12)
    (taken,) = smtp.taken
    assert (taken.sender, taken.recipients) == ("box@example.org", ("you@example.org",))
    assert b"1 of 1 accounts not complete (exit code 12)" in taken.octets
    assert b"refused to log user in" in taken.octets
    assert SECRET not in done.stdout + done.stderr + taken.octets.decode()
    program("pull", code=12)
    assert len(smtp.taken) == 1


def test_the_configuration_may_say_whom_to_tell(program: Program, server: LoopbackServer, smtp: SmtpServer) -> None:
    file = Path(program.environment["MAILARCHIVE_CONFIG"])
    file.write_text(file.read_text() + 'to = "me@example.org"\n')
    program.environment["MAILARCHIVE_PASSWORD"] = ""
    program("pull", url_of(server), code=12)
    assert smtp.taken[0].recipients == ("me@example.org",)


def test_that_nobody_could_be_told_is_said(program: Program, server: LoopbackServer, smtp: SmtpServer) -> None:
    program.environment.update(MAILARCHIVE_PASSWORD="wrong", SMTP_PASSWORD="wrong-too")
    done = program("pull", url_of(server), *NOTIFY, code=12)
    assert "you@example.org could not be told" in done.stderr
    assert "wrong-too" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--notify", "you@example.org"), "is no address"),
        (("--notify", "mailto:you"), "is no address"),
        (NOTIFY, "does not say over which server to send mail"),
    ],
)
def test_what_cannot_be_told_is_refused_before_anything_is_pulled(
    program: Program, server: LoopbackServer, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in program("pull", url_of(server), *arguments, code=2).stderr
    assert not program.archive.exists()
