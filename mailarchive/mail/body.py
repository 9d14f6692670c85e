"""Message octets in memory or in a spool file, behind one interface."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from mailarchive.model import Body

CHUNK = 1 << 20


class MemoryBody:
    """A message small enough for memory."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    @property
    def size(self) -> int:
        return len(self.octets)

    def chunks(self) -> Iterator[bytes]:
        yield self.octets

    def close(self) -> None:
        """Nothing is held open."""


class JoinedBody:
    """Octets that came one part after the other; closing the body closes the parts."""

    __slots__ = ("_parts", "size")

    def __init__(self, parts: Sequence[Body]) -> None:
        self._parts = parts
        self.size = sum(part.size for part in parts)

    def chunks(self) -> Iterator[bytes]:
        for part in self._parts:
            yield from part.chunks()

    def close(self) -> None:
        for part in self._parts:
            part.close()


class SpooledBody:
    """A message that was streamed into a file; closing the body closes the file."""

    __slots__ = ("_file", "size")

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk

    def close(self) -> None:
        self._file.close()
