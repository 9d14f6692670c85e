"""The lock that lets one process at a time write to an archive."""

import fcntl
import json
import os
import platform
from pathlib import Path

from mailarchive.clock import Clock
from mailarchive.errors import ArchiveLocked
from mailarchive.files import storage, write_all


class Lock:
    """Held from construction until ``release`` or the death of the process (flock goes with it)."""

    def __init__(self, path: Path, command: str, clock: Clock) -> None:
        """Take the lock. Raises ArchiveLocked, saying who holds it and since when; StorageFailed."""
        with storage(path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _describe(os.pread(self._fd, 4096, 0))
            os.close(self._fd)
            raise ArchiveLocked(f"the archive at {path.parent} is being written by {holder}") from None
        except OSError:
            os.close(self._fd)
            with storage(path):
                raise
        try:
            self._write(path, command, clock)
        except BaseException:
            os.close(self._fd)
            raise

    def _write(self, path: Path, command: str, clock: Clock) -> None:
        who = {
            "pid": os.getpid(),
            "host": platform.node(),
            "command": command,
            "since": clock.now().isoformat(timespec="seconds"),
        }
        with storage(path):
            os.ftruncate(self._fd, 0)
            write_all(self._fd, json.dumps(who).encode("ascii") + b"\n")

    def release(self) -> None:
        """Let others write; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder_of(path: Path) -> str | None:
    """Return who holds the lock at ``path``; None if nobody does. Raises StorageFailed."""
    with storage(path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(os.pread(fd, 4096, 0))
    finally:
        os.close(fd)
    return None


def _describe(octets: bytes) -> str:
    try:
        who = json.loads(octets)
        return f"process {int(who['pid'])} on {who['host']} (mailarchive {who['command']}) since {who['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
