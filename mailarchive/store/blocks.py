"""The open block: a plain mbox file that entries are appended to."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mailarchive.files import open_append, storage, write_all

MOST_WAITING = 1 << 20
"""So many octets are written without being asked for."""
_NAME = re.compile(r"open-(\d{8,})\.mbox\Z")


def plain_path(mail: Path, block: int) -> Path:
    """Return where ``block`` is while it is plain."""
    return mail / f"open-{block:08d}.mbox"


def plain_blocks(mail: Path) -> list[int]:
    """Return the numbers of the blocks that are plain files, ascending."""
    return sorted(int(match[1]) for path in mail.iterdir() if (match := _NAME.match(path.name)))


class OpenBlock:
    """The block being filled. Entries wait in memory until ``flush``, or until there are many of them.

    If the process dies within ``flush`` the file has surplus octets; nothing refers to them.
    """

    def __init__(self, mail: Path, number: int) -> None:
        self.number = number
        self.path = plain_path(mail, number)
        self._fd = open_append(self.path)
        self.end = os.fstat(self._fd).st_size
        """Where the next entry begins."""
        self._waiting: list[bytes] = []
        self.written = self._synced = self.end
        """Where the file ends."""

    def append(self, pieces: Iterable[bytes]) -> tuple[int, int]:
        """Append an entry given in ``pieces``, all or nothing; return its offset and length. Raises StorageFailed."""
        offset = self.end
        try:
            for piece in pieces:
                self._waiting.append(piece)
                self.end += len(piece)
                if self.end - self.written >= MOST_WAITING:
                    self.flush()
        except BaseException:
            self.cut(offset)
            raise
        return offset, self.end - offset

    def flush(self) -> None:
        """Write what waits; what a failed write left is cut off again. Raises StorageFailed."""
        octets = b"".join(self._waiting)
        if not octets:
            return
        with storage(self.path):
            try:
                write_all(self._fd, octets)
            except BaseException:
                os.ftruncate(self._fd, self.written)
                raise
        self._waiting.clear()
        self.written = self.end

    def cut(self, end: int) -> None:
        """Take back what was appended after ``end``."""
        waiting = b"".join(self._waiting)
        self._waiting = [waiting[: max(0, end - self.written)]]
        if end < self.written:
            with storage(self.path):
                os.ftruncate(self._fd, end)
            self.written = end
        self.end = end

    def sync(self) -> None:
        """Make what was appended durable. Raises StorageFailed."""
        self.flush()
        if self._synced != self.end:
            with storage(self.path):
                os.fsync(self._fd)
            self._synced = self.end

    def close(self) -> None:
        """Close the file; it stays what it is."""
        os.close(self._fd)
