"""Files that may be compressed, told by what they begin with."""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import zstandard

from mailarchive.errors import UsageError
from mailarchive.readers.regular import open_regular

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_MAGIC |= {bytes([first]) + b"\x2a\x4d\x18": "zstd" for first in range(0x50, 0x60)}  # RFC 8878 section 3.1.2
FAILURES = (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError)
"""What reading raises when a file cannot be read to its end."""
ENDINGS = (".gz", ".bz2", ".xz", ".zst")
_BUFFER = 1 << 20
_FEW = 1 << 12
"""So much is decompressed at a time: a few octets may stand for 128 KiB each (RFC 8878 section 3.1.1.2)."""


class Unreadable(UsageError):
    """A file of somebody else's cannot be read to its end, and why; which one the caller knows."""


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file for reading what it holds, decompressed. Raises Unreadable, also while it is read inside."""
    try:
        with open_regular(path) as file:
            yield _decompressed(file)
    except FAILURES as error:
        raise Unreadable(_reason(error)) from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _decompressed(file: io.BufferedReader) -> io.BufferedReader:
    beginning = file.peek(6)
    match next((name for magic, name in _MAGIC.items() if beginning.startswith(magic)), None):
        case "gzip":
            return cast("io.BufferedReader", gzip.GzipFile(fileobj=file))
        case "bzip2":
            return cast("io.BufferedReader", bz2.BZ2File(file))
        case "xz":
            return cast("io.BufferedReader", lzma.LZMAFile(file))
        case "zstd":
            return io.BufferedReader(_Zstd(file), _BUFFER)
        case _:
            return file


class _Zstd(io.RawIOBase):
    """What the zstd frames of ``file`` hold. Unlike the library's reader it raises EOFError if the last one is cut."""

    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__()
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        """What was read, and is of the next frame."""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while not self._ready:
            packed = self._packed or self._file.read(_FEW)
            if not packed and self._frame is None:
                return 0
            if not packed:
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready = memoryview(frame.decompress(packed))
            self._frame, self._packed = (None, frame.unused_data) if frame.eof else (frame, b"")
        view = memoryview(buffer)
        count = min(len(view), len(self._ready))
        view[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def beginning_of(path: Path, count: int) -> bytes:
    """Return the first ``count`` octets of what a file holds, or those that can be read. Raises Unreadable."""
    begun = b""
    try:
        with opened(path) as file:
            while len(begun) < count and (piece := file.read1(count - len(begun))):
                begun += piece
    except Unreadable:
        if not begun:
            raise
    return begun


def without_ending(name: str) -> str:
    """Return a file name without the ending of a compressed file."""
    return next((name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending)), name)
