"""An archive is made where nothing is lost by it, and refused where it is not understood."""

import os
import tomllib
from pathlib import Path

import pytest

from mailarchive.archive import layout
from mailarchive.archive.archive import open_for_reading, open_for_writing
from mailarchive.archive.layout import Layout
from mailarchive.errors import ArchiveDamaged, ArchiveMissing, FormatTooNew, UsageError
from mailarchive.ops.events import ignore
from mailarchive.ops.verify import verify
from tests.fault.archives import ignore_text, make
from tests.servers.still_clock import StillClock


def test_a_new_archive_has_its_directories_settings_and_readme(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "archive"
    layout.make(root, layout.Kind(), StillClock())
    assert sorted(path.name for path in root.iterdir()) == ["README.txt", "archive.toml", "journal", "mail", "partial"]
    settings = tomllib.loads((root / "archive.toml").read_text())
    assert (settings["format"], settings["layout"]) == (1, "mbox")
    assert "zstdcat mail/*.mbox.zst" in (root / "README.txt").read_text("ascii")
    assert verify(root, quick=False, observer=ignore).damage == []


def test_only_the_owner_may_read_an_archive(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(tmp_path / "archive")
    finally:
        os.umask(before)
    paths = [tmp_path / "archive", *(tmp_path / "archive").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}


def test_making_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    layout.make(tmp_path, layout.Kind(), StillClock())
    (tmp_path / "archive.toml").rename(tmp_path / "archive.toml.tmp")
    layout.make(tmp_path, layout.Kind(), StillClock())
    assert Layout(tmp_path).read_settings()["format"] == 1


def test_a_directory_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        layout.make(tmp_path, layout.Kind(), StillClock())
    with pytest.raises(UsageError, match="not a directory"):
        layout.make(tmp_path / "thesis.txt", layout.Kind(), StillClock())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_mail_without_settings_is_not_written_over(tmp_path: Path) -> None:
    make(tmp_path / "archive")
    for name in ("archive.toml", "catalog.sqlite3"):
        (tmp_path / "archive" / name).unlink()
    with pytest.raises(ArchiveDamaged, match="has mail"):
        layout.make(tmp_path / "archive", layout.Kind(), StillClock())


def test_no_archive_is_made_by_reading(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ArchiveMissing), open_for_reading(path, ignore_text):
            pass
        with pytest.raises(ArchiveMissing), open_for_writing(path, "x", StillClock(), ignore_text):
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["format = 2", 'format = 7\nlayout = "later"', 'format = 2\nlayout = "mbox"'])
def test_a_later_format_is_refused_by_its_number(tmp_path: Path, text: str) -> None:
    layout.make(tmp_path, layout.Kind(), StillClock())
    (tmp_path / "archive.toml").write_text(text)
    with pytest.raises(FormatTooNew, match="this program knows 1") as caught:
        Layout(tmp_path).read_settings()
    assert caught.value.exit_code == 14


@pytest.mark.parametrize("text", ["", "format", 'format = "1"\nlayout = "mbox"', 'format = 1\nlayout = "x"', "\0"])
def test_settings_that_cannot_be_read_are_damage(tmp_path: Path, text: str) -> None:
    layout.make(tmp_path, layout.Kind(), StillClock())
    (tmp_path / "archive.toml").write_text(text)
    with pytest.raises(ArchiveDamaged):
        Layout(tmp_path).read_settings()


def test_the_catalog_may_live_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    layout.make(root, layout.Kind(), StillClock())
    with (root / "archive.toml").open("a") as file:
        file.write(f'catalog = "{tmp_path}/elsewhere"\n')
    with open_for_writing(root, "x", StillClock(), ignore_text):
        pass
    assert (tmp_path / "elsewhere").exists()
    assert not (root / "catalog.sqlite3").exists()


def test_an_empty_segment_is_not_mended_at_each_open(tmp_path: Path) -> None:
    """A process that dies at the beginning of packing leaves one."""
    root = tmp_path / "archive"
    make(root)
    (root / "mail" / "00000099.mbox.zst").touch()
    lock = (root / "lock").read_bytes()
    with open_for_reading(root, ignore_text):
        pass
    assert (root / "lock").read_bytes() == lock
