"""Read entries back, wherever their block is now."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BlockPacked
from mailarchive.mail import mboxrd
from mailarchive.mail.coding import Coding
from mailarchive.store import frames
from mailarchive.store.base import STREAMED
from mailarchive.store.blocks import plain_path
from mailarchive.store.segments import segment_path

CACHED_BLOCKS = 3


class PackedBlocks:
    """Decompresses packed blocks and keeps the last few. Thread-safe: several readers may share it."""

    coding: Coding = mboxrd

    def __init__(self, mail: Path, cached: int = CACHED_BLOCKS) -> None:
        self.mail = mail
        self._cached = cached
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._unreadable: tuple[BlockPacked, ArchiveDamaged] | None = None
        self._lock = threading.Lock()

    def reader(self) -> "BlockReader":
        """Return a reader for one thread."""
        return BlockReader(self)

    def text(self, frame: BlockPacked) -> bytes:
        """Return the whole text of a packed block. Raises ArchiveDamaged, FileNotFoundError."""
        with self._lock:
            if frame.block in self._cache:
                self._cache.move_to_end(frame.block)
                return self._cache[frame.block]
            if self._unreadable and self._unreadable[0] == frame:
                raise self._unreadable[1]
            while len(self._cache) >= self._cached:
                self._cache.popitem(last=False)
            try:
                text = self._cache[frame.block] = self._decompressed(frame)
            except ArchiveDamaged as error:
                self._unreadable = frame, error
                raise
            return text

    def _decompressed(self, frame: BlockPacked) -> bytes:
        with segment_path(self.mail, frame.segment).open("rb") as file:
            file.seek(frame.offset)
            octets = file.read(frame.length)
        return frames.read_frame(octets, frame.size)


class BlockReader:
    """Reads text of blocks, plain ones and what ``packed`` keeps."""

    def __init__(self, packed: PackedBlocks) -> None:
        self._mail = packed.mail
        self._packed = packed

    def entry(self, block: int, frame: BlockPacked | None, offset: int, length: int) -> Iterator[bytes]:
        """Yield ``length`` octets of the text of ``block`` from ``offset``.

        ``frame`` is None for a plain block. Raises ArchiveDamaged, and FileNotFoundError if the file is not there
        (the block may have been packed a moment ago: look it up again).
        """
        try:
            if frame is None:
                yield from self._plain(plain_path(self._mail, block), offset, length)
            elif frame.size > STREAMED:
                yield from self._streamed(frame, offset, length)
            else:
                yield self._slice(frame, offset, length)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ArchiveDamaged(f"block {block} cannot be read: {error.strerror}") from error

    def _slice(self, frame: BlockPacked, offset: int, length: int) -> bytes:
        octets = self._packed.text(frame)[offset : offset + length]
        if len(octets) != length:
            raise ArchiveDamaged(f"block {frame.block} ends before octet {offset + length}")
        return octets

    def text(self, block: int, frame: BlockPacked | None) -> bytes | None:
        """Return the whole text of ``block``, or None if it is to be read as a stream. Raises what ``entry`` raises."""
        try:
            if frame is not None:
                return None if frame.size > STREAMED else self._packed.text(frame)
            with plain_path(self._mail, block).open("rb") as file:
                return None if os.fstat(file.fileno()).st_size > STREAMED else file.read()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ArchiveDamaged(f"block {block} cannot be read: {error.strerror}") from error

    def _plain(self, path: Path, offset: int, length: int) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(offset)
            left = length
            while left:
                chunk = file.read(min(left, frames.CHUNK if length > STREAMED else length))
                if not chunk:
                    raise ArchiveDamaged(f"{path} ends before octet {offset + length}")
                left -= len(chunk)
                yield chunk

    def _streamed(self, frame: BlockPacked, offset: int, length: int) -> Iterator[bytes]:
        skip, left = offset, length
        with segment_path(self._mail, frame.segment).open("rb") as file:
            file.seek(frame.offset)
            for chunk in frames.stream_frame(file, frame.length):
                piece = chunk[skip : skip + left]
                skip = max(0, skip - len(chunk))
                left -= len(piece)
                if piece:
                    yield piece
        if left:
            raise ArchiveDamaged(f"block {frame.block} ends before octet {offset + length}")
