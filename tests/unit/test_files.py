"""Files are written whole or not at all, and errors of the disk are told as such."""

import errno
import os
from pathlib import Path

import pytest

from mailarchive.errors import StorageFailed
from mailarchive.files import make_directory, open_append, remove, replace_durably, storage, write_all


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_said_to_be_full(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="the disk is full") as caught, storage(tmp_path / "x"):
        raise OSError(number, "x")
    assert caught.value.exit_code == 15
    assert caught.value.hint == StorageFailed.default_hint


def test_a_disk_that_fails_is_told_from_missing_rights(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="Input/output error") as caught, storage(tmp_path / "x"):
        raise OSError(errno.EIO, "x")
    assert "replace the disk" in caught.value.hint
    with pytest.raises(StorageFailed, match="Permission denied") as caught, storage(tmp_path / "x"):
        raise OSError(errno.EACCES, "x")
    assert str(tmp_path) in caught.value.hint


def test_a_file_is_replaced_whole_with_mode_0600(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o644)
    replace_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_replacement_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    (tmp_path / "x.tmp").mkdir()
    with pytest.raises(StorageFailed):
        replace_durably(path, b"new")
    assert path.read_bytes() == b"old"


def test_appending_goes_on_at_the_end(tmp_path: Path) -> None:
    for octets in (b"one", b"two"):
        fd = open_append(tmp_path / "x")
        write_all(fd, memoryview(octets))
        os.close(fd)
    assert (tmp_path / "x").read_bytes() == b"onetwo"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_a_write_that_a_pipe_takes_in_pieces_is_whole() -> None:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        write_all(theirs, b"x" * 1_000_000)
        os._exit(0)
    os.close(theirs)
    received = 0
    while chunk := os.read(ours, 4096):
        received += len(chunk)
    os.close(ours)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert received == 1_000_000


def test_a_directory_is_made_with_its_parents_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    make_directory(path)
    make_directory(path)
    assert path.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailed):
        make_directory(tmp_path / "file" / "x")


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    remove(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"")
    remove(tmp_path / "x")
    assert not list(tmp_path.iterdir())
