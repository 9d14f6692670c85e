"""Files that may be compressed, told by what they begin with."""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from mailarchive.errors import UsageError

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
ENDINGS = (".gz", ".bz2", ".xz", ".zst")
_BUFFER = 1 << 20


class Unreadable(UsageError):
    """A file of somebody else's cannot be read to its end."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading what it holds, decompressed. Raises Unreadable, also while it is read inside."""
    try:
        with path.open("rb") as file:
            yield _decompressed(file)
    except (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise Unreadable(f"{path} cannot be read: {_reason(error)}", hint="the rest is imported without it") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _decompressed(file: io.BufferedReader) -> BinaryIO:
    beginning = file.peek(6)
    match next((name for magic, name in _MAGIC.items() if beginning.startswith(magic)), None):
        case "gzip":
            return cast("BinaryIO", gzip.GzipFile(fileobj=file))
        case "bzip2":
            return cast("BinaryIO", bz2.BZ2File(file))
        case "xz":
            return cast("BinaryIO", lzma.LZMAFile(file))
        case "zstd":
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
            return cast("BinaryIO", reader)
        case _:
            return file


def beginning_of(path: Path, count: int) -> bytes:
    """Return the first ``count`` octets of what a file holds. Raises Unreadable."""
    with opened(path) as file:
        return file.read(count)


def without_ending(name: str) -> str:
    """Return a file name without the ending of a compressed file."""
    return next((name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending)), name)
