"""The command as a process: exit codes, streams, and what it does without an archive or a server."""

import json
import os
import platform
import pty
import shutil
import signal
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from mailarchive import __version__
from mailarchive.cli.main import VERBS
from tests.system.conftest import Program


def test_the_version_needs_nothing_heavy(program: Program) -> None:
    first, second = program("--version").stdout.splitlines()
    assert first == f"mailarchive {__version__}"
    assert second.startswith(f"Python {platform.python_version()} ")
    assert f"; typer {version('typer')}; " in second + "; "
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


def test_the_manual_page_has_every_command_and_option_and_is_sound(program: Program) -> None:
    page = program("manual").stdout
    for verb in VERBS:
        assert f".SS mailarchive {verb}" in page
    assert "\\-\\-max\\-download SIZE" in page
    assert ".B 21\n" in page
    if groff := shutil.which("groff"):
        done = subprocess.run(
            [groff, "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""


@pytest.mark.parametrize(("words", "offered"), [("rest", "restore"), ("pull --paran", "--paranoid")])
def test_bash_completes_commands_and_options(program: Program, words: str, offered: str) -> None:
    script = program("completion", "bash").stdout
    ask = f"COMP_WORDS=(mailarchive {words}); COMP_CWORD={words.count(' ') + 1}; _mailarchive_completion mailarchive"
    shim = program.home / "mailarchive"
    shim.write_text(f'#!/bin/sh\nexec {" ".join(program.command)} "$@"\n')
    shim.chmod(0o755)
    env = {**program.env, "PATH": f"{program.home}:{program.env['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}; echo ${{COMPREPLY[@]}}"], env=env, capture_output=True, text=True, check=True
    )
    assert offered in done.stdout.split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_too(program: Program, shell: str) -> None:
    assert "_MAILARCHIVE_COMPLETE" in program("completion", shell).stdout


@pytest.mark.parametrize("arguments", [(), ("account",)])
def test_without_a_verb_the_help_is_shown(program: Program, arguments: tuple[str, ...]) -> None:
    done = program(*arguments, code=2)
    assert done.stdout.startswith("Usage: mailarchive")
    assert done.stderr == ""
