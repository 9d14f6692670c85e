"""A disk that is full or fails: the run ends with one sentence, nothing recorded is lost, and it goes on after."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailarchive.archive.archive import Kind
from mailarchive.errors import ExitCode, StorageFailed
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import (
    Journal,
    account_at_first,
    can_be_completed,
    has_all,
    make,
    message,
    no_damage,
    pull_memory,
)

pytestmark = [pytest.mark.usefixtures("small"), pytest.mark.no_cover]


class FailingCall:
    """A system call that fails from its ``at``-th use on, until it is healed."""

    def __init__(self, call: Callable[..., Any], at: int, number: int) -> None:
        self._call = call
        self._left = at
        self._number = number
        self.healed = False
        self.failed = 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._left -= 1
        if self._left < 0 and not self.healed:
            self.failed += 1
            if self._number == errno.ENOSPC and self._call is os_write and self.failed == 1 and len(arguments[1]) > 1:
                return self._call(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise OSError(self._number, os.strerror(self._number))
        return self._call(*arguments, **options)


os_write, os_fsync = os.write, os.fsync


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("name", ["write", "fsync"])
def test_each_write_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, kind: Kind
) -> None:
    at = 0
    while True:
        root, account = tmp_path / f"archive-{at}", account_at_first()
        fault = FailingCall(os_write if name == "write" else os_fsync, at, number)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fault)
            try:
                pull_memory(root, account)
            except StorageFailed as error:
                assert error.exit_code is ExitCode.STORAGE_FAILED  # noqa: PT017 - the last round succeeds
        if not fault.failed:
            assert at > 10
            return
        if (root / "archive.toml").exists():
            before = Journal.of(root)
            has_all(root, before.digests())
            no_damage(root)
            can_be_completed(root, account, before)
        else:
            assert pull_memory(root, account).status == "complete"
            no_damage(root)
        at += 7 if at > 40 or kind.layout != "mbox" else 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a tmpfs may not be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_with_exit_code_15_and_the_run_goes_on_after_space_is_made(small_disk: Path) -> None:
    account = LoopbackAccount()
    for number in range(300):
        account.append("INBOX", message(number, 4000))
    root = small_disk / "archive"
    with LoopbackServer(account) as server:
        command = [sys.executable, "-m", "mailarchive", "pull", f"imap://{account.user}@127.0.0.1:{server.port}"]
        environment = {**os.environ, "MAILARCHIVE_PASSWORD": account.password, "MAILARCHIVE_ARCHIVE": str(root)}
        first = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert first.returncode == ExitCode.STORAGE_FAILED, first.stderr
        assert "full" in first.stderr
        assert "Traceback" not in first.stderr
        kept = Journal.of(root).digests()
        assert kept
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        second = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert second.returncode == 0, second.stderr
        refetched = sum(times - 1 for times in server.counts.body_fetches.values())
        assert refetched <= 600 - len(kept)
    has_all(root, kept)
    no_damage(root)


def test_a_message_larger_than_the_disk_is_said_and_leaves_nothing(small_disk: Path) -> None:
    account = MemoryAccount()
    account.create("INBOX")
    account.append("INBOX", b"x" * 2_000_000)
    root = small_disk / "archive"
    with pytest.raises(StorageFailed):
        pull_memory(root, account)
    assert not list((root / "partial").iterdir())
    no_damage(root)


def test_an_archive_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    account = make(root)
    lock = root / "lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(StorageFailed, match="lock"):
        pull_memory(root, account)
