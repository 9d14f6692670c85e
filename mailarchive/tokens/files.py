"""Tokens in a file that nobody else can read, and the lock that all processes take which renew them."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailarchive.errors import UsageError
from mailarchive.files import make_directory, remove, replace_durably, storage
from mailarchive.tokens.base import Tokens

_LARGEST = 1 << 20


class FileStore:
    """Keeps the tokens in ``path``; it is replaced whole, so that after a crash there are the old or the new ones."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        return str(self._path)

    def load(self) -> Tokens | None:
        try:
            with self._path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                octets = file.read(_LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"{self._path} cannot be read: {error.strerror}") from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(f"others can get at the tokens in {self._path}", hint=f"chmod 600 {self._path}")
        return Tokens.load(octets.decode("utf-8", "replace"), self.place)

    def save(self, tokens: Tokens) -> None:
        make_directory(self._path.parent)
        replace_durably(self._path, tokens.dump().encode())

    def remove(self) -> None:
        remove(self._path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let no other process, and no other thread, renew what is kept in ``path`` meanwhile. Raises StorageFailed."""
    make_directory(path.parent)
    lock = path.with_suffix(".lock")
    with storage(lock):
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with storage(lock):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
