"""Where stored texts of messages are: the contract of what reads them, whatever the layout."""

from collections.abc import Iterator
from typing import Protocol

from mailarchive.facts import BlockPacked
from mailarchive.mail.coding import Coding

STREAMED = 16 << 20
"""Texts larger than this are of one message, and are read as a stream."""


class TextReader(Protocol):
    """Reads texts. Not thread-safe."""

    def entry(self, block: int, frame: BlockPacked | None, offset: int, length: int) -> Iterator[bytes]:
        """Yield ``length`` octets from ``offset`` of ``block`` in pieces; ``frame`` is where it is packed, if it is.

        Raises ArchiveDamaged if they are not there, FileNotFoundError if the file is not.
        """

    def text(self, block: int, frame: BlockPacked | None) -> bytes | None:
        """Return the whole text of ``block``, or None if it is to be read as a stream. Raises what ``entry`` raises."""


class Texts(Protocol):
    """All texts of an archive. Thread-safe; its readers may share what it keeps in memory."""

    @property
    def coding(self) -> Coding:
        """How messages were made the texts."""

    def reader(self) -> TextReader:
        """Return a reader for one thread."""
