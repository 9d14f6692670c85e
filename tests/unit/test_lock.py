"""One writer at a time; the others are told who it is, and a dead one blocks nobody."""

import json
import os
import signal
from pathlib import Path

import pytest

from mailarchive.archive.lock import Lock
from mailarchive.errors import ArchiveLocked, StorageFailed
from tests.servers.still_clock import StillClock


def take(path: Path) -> Lock:
    return Lock(path, "pull", StillClock())


def test_the_holder_is_named_with_its_command_and_the_time(tmp_path: Path) -> None:
    lock = take(tmp_path / "lock")
    with pytest.raises(ArchiveLocked) as caught:
        take(tmp_path / "lock")
    said = str(caught.value)
    assert f"process {os.getpid()} on " in said
    assert "(mailarchive pull) since 2024-01-01T00:00:00+00:00" in said
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    lock.release()
    lock.release()
    take(tmp_path / "lock").release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"pid":"x"}', b'{"pid":1}'])
def test_a_lock_file_without_sense_names_another_process(tmp_path: Path, content: bytes) -> None:
    lock = take(tmp_path / "lock")
    (tmp_path / "lock").write_bytes(content)
    with pytest.raises(ArchiveLocked, match="another process"):
        take(tmp_path / "lock")
    lock.release()


def test_a_holder_that_was_killed_does_not_block(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        take(tmp_path / "lock")
        os.write(theirs, b"x")
        signal.pause()
    assert os.read(ours, 1) == b"x"
    with pytest.raises(ArchiveLocked, match=f"process {child} "):
        take(tmp_path / "lock")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ours)
    os.close(theirs)
    lock = take(tmp_path / "lock")
    assert json.loads((tmp_path / "lock").read_bytes())["pid"] == os.getpid()
    lock.release()


def test_a_place_that_cannot_be_written_is_a_failure_of_the_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        take(tmp_path / "missing" / "lock")
