"""The demo works on a machine without an account, and only touches what is its own."""

from pathlib import Path

from mailarchive.loopback.demo import demo_account
from tests.system.conftest import Program, Site


def test_the_demo_pulls_twice_and_shows_what_there_is(program: Program) -> None:
    messages, _ = demo_account().total()
    done = program("demo")
    assert done.stderr == ""
    assert f"{messages} new, 0 known" in done.stdout
    assert f"0 new, {messages} known" in done.stdout
    assert "0 messages downloaded" in done.stdout
    for command in ("pull", "mailboxes", "stats", "show"):
        assert f"$ mailarchive {command} " in done.stdout
    assert "旅行" in done.stdout
    assert (program.home / "mailarchive-demo" / "archive.toml").exists()
    assert not program.archive.exists()


def test_a_second_demo_uses_the_archive_of_the_first(program: Program) -> None:
    program("demo")
    done = program("demo")
    assert "from an earlier demo" in done.stdout
    assert "0 messages downloaded" in done.stdout


def test_the_demo_keeps_off_other_directories(program: Program, site: Site) -> None:
    place = program.home / "mailarchive-demo"
    place.mkdir()
    (place / "diary.txt").write_text("mine", encoding="utf-8")
    assert "was not made by the demo" in program("demo", code=2).stderr
    site.program("pull", site.url, "--quiet", "--mailbox", "Trash")
    assert "not the demo's" in program("demo", "--archive", str(site.program.archive), code=2).stderr
    file = Path(program.home / "file")
    file.write_bytes(b"")
    assert "not a directory" in program("demo", "--archive", str(file), code=2).stderr
