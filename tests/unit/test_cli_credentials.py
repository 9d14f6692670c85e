"""A password comes from the first place that the user named, and is never said."""

import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import pytest

from mailarchive.cli import credentials
from mailarchive.cli.credentials import Asked, PasswordOptions, password_for
from mailarchive.errors import AuthenticationFailed, UsageError


class OneEntry(keyring.backend.KeyringBackend):
    """A keyring that holds one password."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def get_password(self, service: str, username: str) -> str | None:
        return "from-keyring" if (service, username) == ("mailarchive", "me@host") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


class Broken(OneEntry):
    """A keyring whose desktop does not answer."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError("no desktop, secret-word")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start without any password."""
    monkeypatch.delenv("MAILARCHIVE_PASSWORD", raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    monkeypatch.setattr(sys, "stdin", None)
    yield
    keyring.set_keyring(before)


def test_the_command_comes_first_and_gives_its_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILARCHIVE_PASSWORD", "from-environment")
    options = PasswordOptions("printf 'pass word \\r\\nsecond\\n'", tmp_path / "absent")
    assert password_for("me@host", options) == "pass word "


def test_the_command_is_told_the_account() -> None:
    assert password_for("me@host", PasswordOptions('echo "$MAILARCHIVE_ACCOUNT"')) == "me@host"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [("exit 3", "failed with exit code 3"), ("true", "no password"), ("printf '\\377'", "not UTF-8")],
)
def test_a_command_without_password_is_a_usage_error(command: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        password_for("me@host", PasswordOptions(command))


def test_a_command_that_cannot_be_run_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot be run"):
        password_for("me@host", PasswordOptions("echo \0"))


def test_the_file_comes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAILARCHIVE_PASSWORD", "from-environment")
    file = tmp_path / "password"
    file.write_text("from-file\nmore\n", encoding="utf-8")
    file.chmod(0o600)
    assert password_for("me@host", PasswordOptions(file=file)) == "from-file"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o622])
def test_a_file_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "password"
    file.write_text("from-file", encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(UsageError, match="others can get at the password file") as caught:
        password_for("me@host", PasswordOptions(file=file))
    assert caught.value.hint.startswith(f"chmod 600 {file}")


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        password_for("me@host", PasswordOptions(file=tmp_path / "absent"))
    with pytest.raises(UsageError, match="home"):
        password_for("me@host", PasswordOptions(file=Path("~nobody-of-that-name/x")))


def test_the_environment_comes_before_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring.set_keyring(OneEntry())
    monkeypatch.setenv("MAILARCHIVE_PASSWORD", "from-environment")
    assert password_for("me@host", PasswordOptions()) == "from-environment"


def test_the_keyring_is_asked_for_the_account() -> None:
    keyring.set_keyring(OneEntry())
    assert password_for("me@host", PasswordOptions()) == "from-keyring"
    with pytest.raises(AuthenticationFailed):
        password_for("you@host", PasswordOptions())


def test_a_broken_keyring_is_reported_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    keyring.set_keyring(Broken())
    with pytest.raises(AuthenticationFailed):
        password_for("me@host", PasswordOptions())
    said = capsys.readouterr().err
    assert "the system keyring cannot be read (RuntimeError)" in said
    assert "secret-word" not in said


def test_without_any_way_the_hint_names_them_all() -> None:
    with pytest.raises(AuthenticationFailed, match="no password for me@host") as caught:
        password_for("me@host", PasswordOptions())
    assert caught.value.exit_code == 12
    for way in ("--password-command", "--password-file", "MAILARCHIVE_PASSWORD", "keyring", "terminal"):
        assert way in caught.value.hint


@pytest.mark.parametrize(("typed", "password"), [(b"typed\n", "typed"), (b"\n", None), (b"\x04", None)])
def test_a_terminal_is_asked(typed: bytes, password: str | None) -> None:
    ours, theirs = pty.openpty()
    child = os.fork()
    if child == 0:
        os.close(ours)
        os.setsid()
        os.close(os.open(os.ttyname(theirs), os.O_RDWR))
        sys.stdin = os.fdopen(theirs, "r", encoding="utf-8")
        try:
            code = 0 if password_for("me@host", PasswordOptions()) == password else 1
        except AuthenticationFailed:
            code = 0 if password is None else 1
        except BaseException:  # noqa: BLE001 - the exit code carries it to the parent
            code = 2
        os._exit(code)
    os.close(theirs)
    prompt = b""
    while b"me@host: " not in prompt:
        prompt += os.read(ours, 100)
    os.write(ours, typed)
    _, status = os.waitpid(child, 0)
    os.close(ours)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_password_command_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "PATIENCE", 0.2)
    with pytest.raises(UsageError, match="did not end"):
        password_for("me@host", PasswordOptions("exec sleep 600"))


def test_what_a_password_command_leaves_behind_is_not_waited_for() -> None:
    assert password_for("me@host", PasswordOptions("echo found; sleep 20 &")) == "found"


def test_a_child_of_a_password_command_does_not_keep_it_from_being_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "PATIENCE", 0.2)
    with pytest.raises(UsageError, match="did not end"):
        password_for("me@host", PasswordOptions("sleep 20; echo late"))


def test_a_command_is_asked_once_and_what_is_wrong_with_it_stops_its_account_only() -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        raise UsageError("the password command failed", hint="see why")

    password = Asked(ask)
    for _ in range(2):
        with pytest.raises(AuthenticationFailed, match="command failed"):
            password()
    assert len(asked) == 1


def test_a_password_command_that_prints_for_ever_is_ended() -> None:
    with pytest.raises(UsageError, match="more than"):
        password_for("me@host", PasswordOptions("exec yes"))
