"""Every way to end has its exit code and its sentence."""

import json
import sys
from pathlib import Path

import pytest

from mailarchive import __version__
from mailarchive.cli import main as entry
from mailarchive.cli import stats_cmd
from mailarchive.cli.main import main
from mailarchive.cli.terminal import ReaderGone
from mailarchive.errors import ArchiveLocked, Interrupted


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def stats(as_json: bool = False, verbose: bool = False) -> int:
        raise error

    monkeypatch.setattr(stats_cmd, "stats", stats)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"mailarchive {__version__}\n")


def test_without_a_verb_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in entry.VERBS)


@pytest.mark.parametrize("verb", entry.VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"Usage: mailarchive {verb} [OPTIONS]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (["nope"], "No such command 'nope'", "see: mailarchive --help"),
        (["list", "--nope"], "No such option: --nope", "see: mailarchive list --help"),
        (["list", "--limit", "x"], "Invalid value for '--limit'", "see: mailarchive list --help"),
        (["list", "--since", "soon"], "--since 'soon' is not a day", "2024-03-01"),
        (["export", "x", "--format", "pst"], "there is no format 'pst'", "mbox"),
        (["pull"], "no account to pull from", "imaps://user@host"),
        (["pull", "me"], "'me' is neither a URL nor an account", "imaps://user@host"),
        (["pull", "me:hunter2@host"], "what is given is neither a URL nor an account", "imaps://user@host"),
        (["pull", "imaps://a@h", "imaps://a@h"], "named twice", "once"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_2_with_a_hint(
    arguments: list[str],
    sentence: str,
    hint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MAILARCHIVE_ARCHIVE", str(tmp_path / "absent"))
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mailarchive: ")
    assert sentence in captured.err
    assert "hunter2" not in captured.err
    assert hint in captured.err.splitlines()[-1]


def test_errors_are_json_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["pull", "--json", "--archive", str(tmp_path)]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "status": "failed",
        "exit_code": 2,
        "archive": str(tmp_path),
        "accounts": [],
        "error": "no account to pull from",
        "hint": "give a URL: mailarchive pull imaps://user@host; "
        "or set an account up: mailarchive account add me@example.org",
    }
    assert main(["list", "--json", "--nope"]) == 2
    assert json.loads(capsys.readouterr().out)["status"] == "failed"


def test_an_error_of_ours_gives_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _raising(monkeypatch, ArchiveLocked("another process (pid 7) holds it\x1b[2J"))
    assert main(["stats"]) == 11
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "mailarchive: another process (pid 7) holds it\\x1b[2J",
        f"  hint: {ArchiveLocked.default_hint}",
    ]


def test_a_bug_is_one_sentence_unless_more_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MAILARCHIVE_DEBUG", raising=False)
    _raising(monkeypatch, BrokenPipeError("not of standard output"))
    assert main(["stats"]) == 1
    said = capsys.readouterr().err
    assert "this is a bug: BrokenPipeError" in said
    assert "Traceback" not in said
    assert main(["stats", "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("MAILARCHIVE_DEBUG", "1")
    assert main(["stats"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (ReaderGone(), 0), (Interrupted(2), 130)])
def test_being_stopped_has_its_exit_code(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    _raising(monkeypatch, error)
    assert main(["stats"]) == code


def test_the_process_ends_with_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["mailarchive", "nope"])
    with pytest.raises(SystemExit) as caught:
        entry.run()
    assert caught.value.code == 2
