"""zstd frames (RFC 8878): the only importer of zstandard."""

import json
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, cast

import zstandard

from mailarchive.errors import ArchiveDamaged
from mailarchive.files import write_all

LEVEL = 3
"""When speed counts."""
THOROUGH = 7
"""When there is time: nobody waits for the frame."""
CHUNK = 1 << 20
WHOLE = 16 << 20
"""Octets up to which a block is compressed at once, which is quicker than in pieces."""
_WINDOW = 23
"""As large as a block (8 MiB): the library's own choice is a quarter of it, and finds fewer copies of attachments."""
_SKIPPABLE = 0x184D2A50
_HEAD = struct.Struct("<II")
_MAX_HEADER = 4096


class BlockHeader(NamedTuple):
    """What the skippable frame before a block says; ``octets`` is the length of that skippable frame itself."""

    block: int
    size: int
    octets: int


def block_header(block: int, size: int) -> bytes:
    """Return the skippable frame that stands before the frame of ``block``."""
    content = json.dumps({"block": block, "size": size}, separators=(",", ":")).encode("ascii")
    return _HEAD.pack(_SKIPPABLE, len(content)) + content


def read_block_header(octets: bytes) -> BlockHeader | None:
    """Return the block header at the beginning of ``octets``, or None if there is no whole one."""
    if len(octets) < _HEAD.size:
        return None
    magic, length = _HEAD.unpack_from(octets)
    if magic != _SKIPPABLE or length > _MAX_HEADER or len(octets) < _HEAD.size + length:
        return None
    try:
        content = json.loads(octets[_HEAD.size : _HEAD.size + length])
        return BlockHeader(int(content["block"]), int(content["size"]), _HEAD.size + length)
    except (ValueError, KeyError, TypeError):
        return None


def compress_file(source: int, size: int, target: int, level: int = LEVEL) -> int:
    """Compress the first ``size`` octets of descriptor ``source`` as one frame onto ``target``; return its length.

    Memory does not grow with ``size`` beyond ``WHOLE``. Raises OSError.
    """
    settings = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=size, window_log=_WINDOW, write_checksum=True, write_content_size=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=settings)
    if size <= WHOLE:
        return _put(target, compressor.compress(_read(source, size, 0)))
    frame = compressor.compressobj(size=size)
    length = 0
    for start in range(0, size, CHUNK):
        length += _put(target, frame.compress(_read(source, min(CHUNK, size - start), start)))
    return length + _put(target, frame.flush())


def _read(source: int, size: int, start: int) -> bytes:
    octets = os.pread(source, size, start)
    if len(octets) < size:
        raise OSError(f"the file ended after {start + len(octets)} of {start + size} octets")
    return octets


def _put(target: int, octets: bytes) -> int:
    if octets:
        write_all(target, octets)
    return len(octets)


def compress(octets: bytes) -> bytes:
    """Return ``octets`` as one frame."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True).compress(octets)


LONGEST_HEADER = 18
"""So many octets of a frame tell its content size (RFC 8878 section 3.1.1.1)."""


class FrameMaker:
    """Makes many frames at one level: to get ready takes longer than to compress a small message. Not thread-safe."""

    def __init__(self, level: int) -> None:
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)

    def frame(self, pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
        """Yield ``pieces``, of ``size`` octets together, as one frame; memory does not grow with ``size``."""
        if size <= WHOLE:
            yield self._compressor.compress(b"".join(pieces))
            return
        frame = self._compressor.compressobj(size=size)
        for piece in pieces:
            yield frame.compress(piece)
        yield frame.flush()


def content_size(beginning: bytes) -> int:
    """Return the content size that a frame announces; ``beginning`` has its header. Raises ArchiveDamaged."""
    try:
        size = zstandard.frame_content_size(beginning)
    except zstandard.ZstdError as error:
        raise ArchiveDamaged(f"a zstd frame is damaged ({error})") from error
    if size < 0:
        raise ArchiveDamaged("a zstd frame does not announce its size")
    return size


def decompress(octets: bytes) -> bytes:
    """Return the content of the one whole frame that ``octets`` are. Raises ArchiveDamaged."""
    try:
        return zstandard.ZstdDecompressor().decompress(octets, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError) as error:  # a damaged header may announce any size
        raise ArchiveDamaged(f"a zstd frame is damaged ({error})") from error


def read_frame(frame: bytes, size: int) -> bytes:
    """Return the content of the one ``frame``, which must have ``size`` octets. Raises ArchiveDamaged."""
    try:
        announced = zstandard.frame_content_size(frame)
        if announced != size:
            raise ArchiveDamaged(f"a zstd frame announces {announced} octets instead of {size}")
        return zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError as error:
        raise ArchiveDamaged(f"a zstd frame is damaged ({error})") from error


@dataclass(slots=True)
class _Stretch:
    """The next ``left`` octets of a file; without it the library would read on into the frames that follow."""

    file: BinaryIO
    left: int

    def read(self, size: int) -> bytes:
        octets = self.file.read(min(size, self.left))
        self.left -= len(octets)
        return octets


def stream_frame(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Yield the content of the frame of ``length`` octets at the position of ``file`` in pieces.

    A frame that is cut ends early. Raises ArchiveDamaged.
    """
    stretch = _Stretch(file, length)
    try:
        with zstandard.ZstdDecompressor().stream_reader(cast("BinaryIO", stretch), closefd=False) as reader:
            while chunk := reader.read(CHUNK):
                yield chunk
    except zstandard.ZstdError as error:
        raise ArchiveDamaged(f"a zstd frame is damaged ({error})") from error


def frame_length(octets: bytes) -> int | None:
    """Return the length of the whole frame at the beginning of ``octets``, or None if it is torn or damaged."""
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    view = memoryview(octets)
    try:
        for start in range(0, len(view), CHUNK):
            decompressor.decompress(view[start : start + CHUNK])
            if decompressor.eof:
                return min(start + CHUNK, len(view)) - len(decompressor.unused_data)
    except zstandard.ZstdError:
        return None
    return None
