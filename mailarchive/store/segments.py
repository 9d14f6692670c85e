"""Segments: files of zstd frames; a full block becomes a frame at the end of the newest one."""

import os
import re
from pathlib import Path

from mailarchive.facts import BlockPacked
from mailarchive.files import open_append, storage, write_all
from mailarchive.store import frames
from mailarchive.store.blocks import plain_path

SEGMENT_SIZE = 256 << 20
_NAME = re.compile(r"(\d{8,})\.mbox\.zst\Z")


def segment_path(mail: Path, segment: int) -> Path:
    """Return where ``segment`` is."""
    return mail / f"{segment:08d}.mbox.zst"


def segments(mail: Path) -> dict[int, int]:
    """Return the sizes of all segments in octets, by number."""
    return {int(match[1]): path.stat().st_size for path in sorted(mail.iterdir()) if (match := _NAME.match(path.name))}


def pack(mail: Path, block: int, segment: int, end: int, *, thorough: bool = False) -> BlockPacked:
    """Append the plain ``block`` as a frame to ``segment``, which ends at ``end``, and sync it.

    ``thorough`` takes more time to make it smaller.

    The plain file stays. If the process dies in here the segment has surplus octets after ``end`` and
    nothing refers to them. On an error they are cut off. Raises StorageFailed.
    """
    source_path, target_path = plain_path(mail, block), segment_path(mail, segment)
    target = open_append(target_path)
    try:
        with storage(target_path), source_path.open("rb", buffering=0) as source:
            try:
                size = os.fstat(source.fileno()).st_size
                header = frames.block_header(block, size)
                write_all(target, header)
                length = frames.compress_file(
                    source.fileno(), size, target, frames.THOROUGH if thorough else frames.LEVEL
                )
                os.fsync(target)
            except BaseException:
                os.ftruncate(target, end)
                raise
    finally:
        os.close(target)
    return BlockPacked(block, segment, end + len(header), length, size)


def surplus(mail: Path, segment: int, end: int) -> list[BlockPacked]:
    """Return the whole frames that stand after ``end`` in ``segment``, up to the first that is torn."""
    found: list[BlockPacked] = []
    with segment_path(mail, segment).open("rb") as file:
        file.seek(end)
        octets = file.read()
    at = 0
    while header := frames.read_block_header(octets[at : at + 8192]):
        length = frames.frame_length(octets[at + header.octets :])
        if length is None:
            break
        found.append(BlockPacked(header.block, segment, end + at + header.octets, length, header.size))
        at += header.octets + length
    return found


def torn_block(mail: Path, segment: int, end: int) -> int | None:
    """Return the number of the block whose header stands right after ``end`` in ``segment``, or None."""
    with segment_path(mail, segment).open("rb") as file:
        file.seek(end)
        header = frames.read_block_header(file.read(8192))
    return header.block if header else None
