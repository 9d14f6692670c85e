"""Message files: each message a block of its own, plain or as one zstd frame, written once and never changed."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BlockPacked
from mailarchive.files import make_directory, storage, write_all
from mailarchive.mail import bare
from mailarchive.mail.coding import Coding
from mailarchive.store import frames
from mailarchive.store.base import STREAMED

A_DIRECTORY = 1000
"""So many numbers share a directory."""
_SHELF = re.compile(r"\d{5,}\Z")
_NAME = re.compile(r"(\d{8,})(\.zst)?\Z")


class MessageFiles:
    """The files below ``root``, compressed or not. Thread-safe; also its own reader, as nothing is kept in memory."""

    coding: Coding = bare

    def __init__(self, root: Path, *, compressed: bool) -> None:
        self.root = root
        self._root = str(root)
        self._compressed = compressed
        self._ending = ".zst" if compressed else ""

    def path(self, number: int) -> Path:
        """Return where message ``number`` is."""
        return Path(self.name(number))

    def name(self, number: int) -> str:
        """Return the same as text: a Path for each of many messages takes as long as to link them."""
        return f"{self._root}/{number // A_DIRECTORY:05d}/{number:08d}{self._ending}"

    def directory(self, number: int) -> str:
        """Return the directory of message ``number``."""
        return f"{self._root}/{number // A_DIRECTORY:05d}"

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of all files there are."""
        for shelf in self._shelves():
            yield from _numbers(shelf)

    def newest(self) -> int:
        """Return the largest number of a file; 0 if there is none."""
        return next((max(found) for shelf in self._shelves() if (found := _numbers(shelf))), 0)

    def _shelves(self) -> list[Path]:
        shelves = (path for path in self.root.iterdir() if _SHELF.match(path.name))
        return sorted(shelves, key=lambda path: int(path.name), reverse=True)

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, number: int, pieces: Iterable[bytes], date: datetime | None) -> None:
        """Write the file of message ``number``, whose octets are ``pieces``; its time is ``date``.

        If the process dies in here there is a file that nothing refers to; after an error there is
        none. Raises StorageFailed.
        """
        with storage(self.root):
            fd = self._create(number)
            try:
                for octets in pieces:
                    write_all(fd, octets)
                if date is not None:
                    set_time(fd, date)
            except BaseException:
                with suppress(OSError):
                    self.path(number).unlink()
                raise
            finally:
                os.close(fd)

    def _create(self, number: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(self.name(number), flags, 0o600)
        except FileNotFoundError:
            make_directory(Path(self.directory(number)))
            return os.open(self.name(number), flags, 0o600)

    # -- reading ---------------------------------------------------------------------------------------------------

    def reader(self) -> "MessageFiles":
        """Return itself."""
        return self

    def entry(self, block: int, _frame: BlockPacked | None, offset: int, length: int) -> Iterator[bytes]:
        """Yield up to ``length`` octets of the text of message ``block`` from ``offset`` in pieces.

        Raises ArchiveDamaged, FileNotFoundError.
        """
        skip, left = offset, length
        for chunk in self._pieces(block):
            piece = chunk[skip : skip + left]
            skip = max(0, skip - len(chunk))
            left -= len(piece)
            yield piece
            if not left:
                return

    def text(self, block: int, _frame: BlockPacked | None) -> bytes | None:
        """Return the text of message ``block``, or None if it is to be read as a stream.

        Raises ArchiveDamaged, FileNotFoundError.
        """
        if self.text_size(block) > STREAMED:
            return None
        return b"".join(self._pieces(block))

    def text_size(self, block: int) -> int:
        """Return how many octets of text message ``block`` has. Raises ArchiveDamaged, FileNotFoundError."""
        if not self._compressed:
            return self._size_of_file(block)
        with self._open(block) as file:
            return frames.content_size(file.read(frames.LONGEST_HEADER))

    def _pieces(self, block: int) -> Iterator[bytes]:
        with self._open(block) as file:
            try:
                if self._compressed:
                    yield from _content(file)
                else:
                    while chunk := file.read(frames.CHUNK):
                        yield chunk
            except OSError as error:
                raise ArchiveDamaged(f"message {block} cannot be read: {error.strerror}") from error

    def _open(self, block: int) -> BinaryIO:
        try:
            return self.path(block).open("rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ArchiveDamaged(f"message {block} cannot be read: {error.strerror}") from error

    def _size_of_file(self, block: int) -> int:
        with self._open(block) as file:
            return os.fstat(file.fileno()).st_size


def _content(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of the one frame that ``file`` is; in pieces if it is large. Raises ArchiveDamaged."""
    beginning = file.read(STREAMED)
    if frames.content_size(beginning) > STREAMED or len(beginning) == STREAMED:
        file.seek(0)
        yield from frames.stream_frame(file, os.fstat(file.fileno()).st_size)
    else:
        yield frames.decompress(beginning)


def _numbers(shelf: Path) -> list[int]:
    return [int(match[1]) for path in shelf.iterdir() if (match := _NAME.match(path.name))]


def set_time(file: int | Path, date: datetime) -> None:
    """Give a file the time ``date``, in whole seconds; a time that the file system does not know is left out."""
    seconds = seconds_of(date)
    with suppress(OverflowError, OSError):
        os.utime(file, (seconds, seconds))


def seconds_of(date: datetime | None) -> int:
    """Return the Unix time of ``date``, 0 without one."""
    return 0 if date is None else int(date.timestamp())
