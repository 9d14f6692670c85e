"""`status` says how old each account's last complete run is, whatever other accounts did in the same run."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.system.conftest import Program


@pytest.fixture
def servers() -> Iterator[list[LoopbackServer]]:
    with ExitStack() as stack:
        accounts = [LoopbackAccount(), LoopbackAccount()]
        for account in accounts:
            account.append("INBOX", b"Subject: one\r\n\r\nbody\r\n")
        yield [stack.enter_context(LoopbackServer(account)) for account in accounts]


@pytest.fixture
def program(tmp_path: Path, servers: list[LoopbackServer]) -> Program:
    """Return a command whose configuration has the accounts good and bad, in one archive; the bad one is locked out."""
    text = f'[archives]\nmain = "{tmp_path}/main"\n'
    for name, server in zip(("good", "bad"), servers, strict=True):
        text += (
            f'[accounts.{name}]\nuser = "user"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "plain"\n'
            f'password.environment = "{name.upper()}"\n'
        )
    (tmp_path / "config.toml").write_text(text)
    environment = {"MAILARCHIVE_CONFIG": str(tmp_path / "config.toml"), "MAILARCHIVE_ARCHIVE": ""}
    return Program(tmp_path, {**environment, "GOOD": "secret", "BAD": "wrong"})


def test_before_the_first_pull_all_are_stale(program: Program) -> None:
    done = program("status", code=3)
    assert done.stdout.count("there is no archive at") == 2
    assert program("status", "--nagios", code=2).stdout.startswith("MAILARCHIVE CRITICAL - good: there is no archive")


def test_an_account_is_complete_although_another_failed_in_the_same_run(program: Program) -> None:
    program("pull", "--quiet", code=12)
    good, bad = program.rows("status", code=3)
    assert (good["name"], good["stale"], good["messages"]) == ("good", False, 1)
    assert good["complete"] == good["last"]
    assert (bad["name"], bad["stale"], bad["why"]) == ("bad", True, "no pull has been complete yet")
    assert program("status", "good").stdout.endswith("What is deleted at the server stays in the archive.\n")
    assert "good" not in program("status", "--quiet", code=3).stdout
    line = program("status", "--nagios", code=2).stdout
    assert line.startswith("MAILARCHIVE CRITICAL - bad: no pull has been complete yet | accounts=2 stale=1 failed=0")
    program.environment["BAD"] = "secret"
    program("pull", "--quiet")
    assert [one["stale"] for one in program.rows("status")] == [False, False]
    line = program("status", "--nagios").stdout
    assert re.fullmatch(r"MAILARCHIVE OK - 2 accounts complete \| accounts=2 stale=0 failed=0 oldest=\d+s\n", line)


def test_the_rebuilt_catalog_knows_it_too(program: Program) -> None:
    program("pull", "--quiet", code=12)
    before = program.rows("status", code=3)
    program("rebuild")
    assert program.rows("status", code=3) == before


def test_accounts_that_only_an_archive_knows_are_told_as_well(
    program: Program, servers: list[LoopbackServer], tmp_path: Path
) -> None:
    program.environment.update(MAILARCHIVE_CONFIG=str(tmp_path / "none.toml"), MAILARCHIVE_PASSWORD="secret")
    assert "there is no account yet" in program("status", code=2).stderr
    program("pull", f"imap://user@127.0.0.1:{servers[0].port}", "--quiet")
    (one,) = program.rows("status")
    assert one["name"] == f"user@127.0.0.1:{servers[0].port}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--stale", "soon"), "--stale 'soon' is not a span of time"),
        (("nobody",), "there is no account 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_said(program: Program, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in program("status", *arguments, code=2).stderr
    assert program("status", "--nagios", *arguments, code=3).stdout.startswith(f"MAILARCHIVE UNKNOWN - {sentence}")


def test_a_damaged_archive_is_told_with_its_exit_code(program: Program, tmp_path: Path) -> None:
    program("pull", "--quiet", code=12)
    (tmp_path / "main" / "archive.toml").write_text("format = 99\nid = 'x'\n")
    done = program("status", code=14)
    assert "has format 99" in done.stderr
    assert program("status", "--nagios", code=2).stdout.startswith("MAILARCHIVE CRITICAL - good: ")
