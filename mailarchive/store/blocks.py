"""The open block: a plain mbox file that entries are appended to."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mailarchive.files import open_append, storage, write_all

_NAME = re.compile(r"open-(\d{8,})\.mbox\Z")


def plain_path(mail: Path, block: int) -> Path:
    """Return where ``block`` is while it is plain."""
    return mail / f"open-{block:08d}.mbox"


def plain_blocks(mail: Path) -> list[int]:
    """Return the numbers of the blocks that are plain files, ascending."""
    return sorted(int(match[1]) for path in mail.iterdir() if (match := _NAME.match(path.name)))


class OpenBlock:
    """The block being filled. Appends are all or nothing: what a failed one left is cut off again.

    If the process dies within ``append`` the file has surplus octets after ``end``; nothing refers to them.
    """

    def __init__(self, mail: Path, number: int) -> None:
        self.number = number
        self.path = plain_path(mail, number)
        self._fd = open_append(self.path)
        self.end = os.fstat(self._fd).st_size
        self._synced = self.end

    def append(self, pieces: Iterable[bytes]) -> tuple[int, int]:
        """Append an entry given in ``pieces``; return its offset and length. Raises StorageFailed."""
        offset = self.end
        with storage(self.path):
            try:
                length = 0
                for piece in pieces:
                    write_all(self._fd, piece)
                    length += len(piece)
            except BaseException:
                os.ftruncate(self._fd, offset)
                raise
        self.end = offset + length
        return offset, length

    def cut(self, end: int) -> None:
        """Take back what was appended after ``end``."""
        with storage(self.path):
            os.ftruncate(self._fd, end)
        self.end = end

    def sync(self) -> None:
        """Make what was appended durable. Raises StorageFailed."""
        if self._synced != self.end:
            with storage(self.path):
                os.fsync(self._fd)
            self._synced = self.end

    def close(self) -> None:
        """Close the file; it stays what it is."""
        os.close(self._fd)
