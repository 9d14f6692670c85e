"""Accounts of a configuration: pulled by one command into their archives, whatever one of them does."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mailarchive.archive.lock import Lock
from mailarchive.clock import SystemClock
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.system.conftest import Program, keep_secret


def account(name: str, *subjects: str) -> LoopbackAccount:
    found = LoopbackAccount()
    found.user, found.password = name, f"secret of {name}"
    found.create("Spam")
    for subject in subjects:
        found.append("INBOX", f"Subject: {subject}\r\n\r\nbody\r\n".encode())
        found.append("Spam", f"Subject: spam for {subject}\r\n\r\nbody\r\n".encode())
    return found


@pytest.fixture
def servers() -> Iterator[dict[str, LoopbackServer]]:
    with ExitStack() as stack:
        accounts = account("one", "a", "b"), account("two", "c"), account("three", "d")
        yield {one.user: stack.enter_context(LoopbackServer(one)) for one in accounts}


@pytest.fixture
def program(tmp_path: Path, servers: dict[str, LoopbackServer]) -> Program:
    """Return a command whose configuration has all three accounts, two in one archive and one in another."""
    lines = [f'[archives]\nmain = "{tmp_path}/main"\nother = "{tmp_path}/other"\n']
    for name, server in servers.items():
        keep_secret(tmp_path / f"{name}.secret", f"secret of {name}\n")
        archive = "other" if name == "three" else "main"
        lines.append(
            f'[accounts.{name}]\nuser = "{name}"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "plain"\n'
            f'archive = "{archive}"\nexclude = ["Spam"]\npassword.file = "{name}.secret"\n'
        )
    file = tmp_path / "config.toml"
    file.write_text("".join(lines))
    return Program(tmp_path, {"MAILARCHIVE_CONFIG": str(file), "MAILARCHIVE_ARCHIVE": ""})


def change(program: Program, old: str, new: str) -> None:
    file = Path(program.environment["MAILARCHIVE_CONFIG"])
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def new(value: dict[str, object]) -> dict[str, dict[str, int]]:
    """Return how many messages were new, by archive and account."""
    return {
        Path(archive["archive"]).name: {one["account"].partition("@")[0]: one["new"] for one in archive["accounts"]}
        for archive in value["archives"]  # type: ignore[attr-defined]  # JSON
    }


def test_all_accounts_are_pulled_into_their_archives(program: Program) -> None:
    value = program.json("pull")
    assert (value["status"], value["exit_code"]) == ("complete", 0)
    assert new(value) == {"main": {"one": 2, "two": 1}, "other": {"three": 1}}
    assert new(program.json("pull")) == {"main": {"one": 0, "two": 0}, "other": {"three": 0}}
    assert program("pull").stdout.splitlines()[-1] == "3 accounts, 3 complete: 0 new, 0 B downloaded"
    # Other commands look into the first archive.
    assert "two@" in program("mailboxes").stdout
    assert "three@" not in program("mailboxes").stdout


def test_some_are_named_and_an_archive_chooses_those_that_go_there(program: Program) -> None:
    assert [one["new"] for one in program.json("pull", "two")["accounts"]] == [1]
    value = program.json("pull", "--archive", str(program.home / "main"))
    assert {one["account"].partition("@")[0]: one["new"] for one in value["accounts"]} == {"one": 2, "two": 0}
    assert not (program.home / "other").exists()
    done = program("pull", "--archive", str(program.home / "third"), code=2)
    assert f"no account of the configuration goes into {program.home}/third" in done.stderr
    assert "leave out --archive" in done.stderr


def test_what_the_command_line_says_comes_first(program: Program) -> None:
    value = program.json("pull", "one", "--mailbox", "Spam", "--exclude", "Nothing")
    assert [box["mailbox"] for box in value["accounts"][0]["mailboxes"] if box["new"]] == ["Spam"]


def test_an_account_that_fails_stops_no_other(program: Program) -> None:
    (program.home / "one.secret").write_text("wrong\n")
    value = program.json("pull", code=12)
    statuses = [one["status"] for archive in value["archives"] for one in archive["accounts"]]
    assert statuses == ["failed", "complete", "complete"]
    assert value["status"] == "partial"
    (program.home / "two.secret").unlink()
    done = program("pull", code=12)
    assert "two.secret cannot be read" in done.stderr
    assert "secret of" not in done.stderr + done.stdout


def test_an_archive_that_is_locked_stops_no_other(program: Program) -> None:
    program("pull", "--quiet")
    lock = Lock(program.home / "main" / "lock", "pull", SystemClock())
    try:
        value = program.json("pull", code=11)
    finally:
        lock.release()
    assert [archive["status"] for archive in value["archives"]] == ["failed", "complete"]
    assert "is being written by" in value["archives"][0]["error"]


def test_a_mistake_in_the_configuration_is_said_before_anything_is_done(program: Program) -> None:
    change(program, "exclude", "exlude")
    done = program("pull", code=2)
    assert "config.toml, line 10: accounts.one.exlude is not known" in done.stderr
    assert "did you mean exclude?" in done.stderr
    assert not (program.home / "main").exists()


@pytest.mark.parametrize(
    ("password", "environment"),
    [
        ('password.command = "echo secret of $MAILARCHIVE_ACCOUNT | cut -d@ -f1"', {}),
        ('password.environment = "PW_ONE"', {"PW_ONE": "secret of one"}),
        ('password.systemd = "one.secret"', {"CREDENTIALS_DIRECTORY": "."}),
    ],
)
def test_a_password_comes_from_where_the_configuration_says(
    program: Program, password: str, environment: dict[str, str]
) -> None:
    change(program, 'password.file = "one.secret"', password)
    program.environment.update(environment)
    assert program.json("pull", "one")["accounts"][0]["new"] == 2


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ('password.environment = "PW_ONE"', "the environment variable PW_ONE holds no password"),
        ('password.systemd = "one"', "the systemd credential one is only there in a service"),
        ("password.keyring = true", "the system keyring"),
        ("password.prompt = true", "is asked for at a terminal, and there is none"),
    ],
)
def test_a_password_that_is_not_there_is_told(program: Program, password: str, sentence: str) -> None:
    change(program, 'password.file = "one.secret"', password)
    assert sentence in program("pull", "one", code=12).stderr


def test_a_password_command_that_takes_its_time_holds_up_no_other_account(program: Program) -> None:
    """It ends only when the mail of the others is there, in the same archive and in another one."""
    waiting = "for tail in main other; do until grep -q placed $tail/journal/tail.jsonl; do sleep 0.1; done; done"
    change(program, 'password.file = "one.secret"', f"password.command = '{waiting}; cat one.secret'")
    assert new(program.json("pull")) == {"main": {"one": 2, "two": 1}, "other": {"three": 1}}


def test_an_archive_that_is_locked_is_waited_for_if_that_is_wanted(program: Program) -> None:
    program("pull", "one", "--quiet")
    lock = Lock(program.home / "main" / "lock", "pull", SystemClock())
    release = threading.Timer(2, lock.release)
    release.start()
    try:
        assert program.json("pull", "one", "--wait-lock", "1m")["status"] == "complete"
    finally:
        release.join()
    assert "--wait-lock 'long' is not a span of time" in program("pull", "--wait-lock", "long", code=2).stderr
