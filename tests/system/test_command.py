"""The command as a process: exit codes, streams, and what it does without an archive or a server."""

import json
import os
import pty
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from mailarchive import __version__
from tests.system.conftest import Program


def test_the_version_needs_nothing_heavy(program: Program) -> None:
    assert program("--version").stdout == f"mailarchive {__version__}\n"
    code = (
        "import sys; from mailarchive.cli.main import main; main(['--version']); "
        "heavy = {'imapclient', 'imaplib', 'rich', 'tqdm', 'zstandard', 'sqlite3', 'keyring', 'ssl', 'email'}; "
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    env = {name: value for name, value in program.env.items() if not name.startswith("COV")}
    done = subprocess.run([program.command[0], "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wrong_command_line_is_exit_code_2(program: Program) -> None:
    done = program("pull", "--connections", "none", code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("mailarchive: ")


@pytest.mark.parametrize("verb", ["mailboxes", "list", "stats", "log", "verify", "rebuild"])
def test_a_missing_archive_is_exit_code_10(program: Program, verb: str) -> None:
    done = program(verb, code=10)
    assert done.stdout == ""
    assert "hint: " in done.stderr
    assert not program.archive.exists()


def test_reading_one_message_of_a_missing_archive_is_exit_code_10(program: Program) -> None:
    program("show", "abcdef", code=10)
    program("export", "out", "--format", "eml", code=10)


def test_without_a_password_nothing_is_made_and_the_hint_names_the_ways(program: Program) -> None:
    done = program("pull", "imap://me@127.0.0.1:1", "--json", code=12)
    value = json.loads(done.stdout)
    assert (value["status"], value["exit_code"], value["archive"]) == ("failed", 12, str(program.archive))
    assert "--password-command" in value["hint"]
    assert not program.archive.exists()


def test_a_password_in_the_url_is_refused_and_not_repeated(program: Program) -> None:
    done = program("pull", "imaps://me:hunter2@host", "--json", "--verbose", code=2)
    assert "hunter2" not in done.stdout + done.stderr


def test_the_archive_is_looked_for_in_the_home_directory(tmp_path: Path) -> None:
    done = Program(tmp_path, {"MAILARCHIVE_ARCHIVE": ""})("stats", code=10)
    assert str(tmp_path / "mail-archive") in done.stderr


def test_a_reader_who_leaves_ends_it_quietly(program: Program) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as stream:
        done = subprocess.run(
            [*program.command, "--help"], env=program.env, stdout=stream, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_behind_standard_output_is_said(program: Program) -> None:
    with Path("/dev/full").open("wb") as stream:
        done = subprocess.run(
            [*program.command, "--version"], env=program.env, stdout=stream, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"mailarchive: standard output cannot be written: No space left on device\n"


def test_ctrl_c_at_the_password_prompt_is_exit_code_130(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"imap://me@127.0.0.1:{listener.getsockname()[1]}"
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(program.home)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # what runs the tests may ignore it
            os.execve(program.command[0], [*program.command, "pull", url], program.env)
        shown = b""
        while b"Password of me@" not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, b"\x03")
        _, status = os.waitpid(child, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert not program.archive.exists()
