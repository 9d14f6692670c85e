"""Durable file operations; every OSError of the disk becomes StorageFailed here."""

import errno
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from mailarchive.errors import StorageFailed

FEW = 24
"""So many files are made durable one by one: quicker than all that anybody has written to the file system."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Translate an OSError inside the block to StorageFailed with a sentence about ``path``."""
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno in _FULL else os.strerror(error.errno or errno.EIO)
        hint = (
            "" if error.errno in {*_FULL, errno.EIO} else f"check who owns {path.parent} and what may be written there"
        )
        raise StorageFailed(f"cannot write {path}: {what}", hint=hint) from error


def make_directory(path: Path) -> None:
    """Make ``path`` with mode 0700, and its parents as the umask says; keep it if it exists."""
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)


def open_append(path: Path) -> int:
    """Open ``path`` for reading and appending, mode 0600 if it is new, and return the descriptor."""
    with storage(path):
        is_new = not path.exists()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if is_new:
                sync_directory(path.parent)
        except OSError:
            os.close(fd)
            raise
        return fd


def write_all(fd: int, octets: bytes | memoryview) -> None:
    """Write all ``octets``; a short write is continued. Raises OSError."""
    written = os.write(fd, octets)
    if written != len(octets):
        view = memoryview(octets)
        while written < len(view):
            written += os.write(fd, view[written:])


def sync_directory(path: Path) -> None:
    """Make the names in directory ``path`` durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_together(directory: Path, paths: Collection[Path | str]) -> None:
    """Make ``paths``, files and directories in the file system of ``directory``, durable: many in one call.

    Where the system has no such call, or one that does not tell errors (Linux before 5.8), one by one.
    Raises StorageFailed.
    """
    with storage(directory):
        sync_file_system = _syncfs() if len(paths) > FEW else None
        if sync_file_system is not None:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                sync_file_system(fd)
            finally:
                os.close(fd)
            return
        for path in paths:
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


@cache
def _syncfs() -> Callable[[int], None] | None:
    """Return syncfs(2) if this system has one that can be trusted."""
    if sys.platform != "linux" or _kernel() < (5, 8):
        return None
    from ctypes import CDLL, get_errno  # noqa: PLC0415 - start-up: only where there is much to sync

    try:
        call = CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError):
        return None

    def syncfs(fd: int) -> None:
        if call(fd):
            raise OSError(get_errno(), os.strerror(get_errno()))

    return syncfs


def _kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])


def replace_durably(path: Path, octets: bytes, mode: int = 0o600) -> None:
    """Put ``octets`` at ``path`` so that after a crash there is either the old file or the new one, whole."""
    temporary = path.with_name(path.name + ".tmp")
    with storage(path):
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, mode)
            write_all(fd, octets)
            os.fsync(fd)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(fd)
        temporary.replace(path)
        sync_directory(path.parent)


def remove(path: Path) -> None:
    """Remove the file ``path`` if it is there."""
    with storage(path):
        path.unlink(missing_ok=True)
