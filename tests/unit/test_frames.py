"""zstd frames: what was put in comes out, and nothing else ever does."""

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.errors import ArchiveDamaged
from mailarchive.store import frames

OCTETS = b"From MAILER-DAEMON\n" * 40 + bytes(range(256))
FRAME = frames.compress(OCTETS)


@given(st.binary(min_size=1, max_size=300), st.binary(max_size=50))
def test_octets_come_back_one_frame_or_many(octets: bytes, more: bytes) -> None:
    one, two = frames.compress(octets), frames.compress(more)
    assert frames.read_frame(one, len(octets)) == octets
    assert frames.decompress(one) == octets
    assert b"".join(frames.stream_frame(io.BytesIO(one + two), len(one))) == octets
    assert frames.frame_length(one + two) == len(one)


@given(st.integers(1, 1 << 40), st.integers(0, 1 << 40), st.binary(max_size=9))
def test_a_block_header_comes_back(block: int, size: int, after: bytes) -> None:
    octets = frames.block_header(block, size)
    assert frames.read_block_header(octets + after) == frames.BlockHeader(block, size, len(octets))
    for end in range(len(octets)):
        assert frames.read_block_header(octets[:end]) is None


@given(st.binary(max_size=60))
def test_what_is_no_block_header_is_none(octets: bytes) -> None:
    assert frames.read_block_header(octets) is None
    frames.frame_length(octets)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"block":1}', b'{"block":"x","size":1}', b"\xff"])
def test_a_skippable_frame_of_others_is_no_block_header(content: bytes) -> None:
    octets = (0x184D2A50).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content
    assert frames.read_block_header(octets) is None


def _whole(octets: bytes) -> bytes:
    return frames.read_frame(octets, len(OCTETS))


def _streamed(octets: bytes) -> bytes:
    return b"".join(frames.stream_frame(io.BytesIO(octets), len(octets)))


@pytest.mark.parametrize("read", [_whole, frames.decompress, _streamed])
def test_any_flipped_bit_is_damage_or_changes_nothing(read: Callable[[bytes], bytes]) -> None:
    """Also one in the header that makes a frame announce more than there is memory."""
    for place in range(len(FRAME)):
        for bit in range(8):
            changed = bytearray(FRAME)
            changed[place] ^= 1 << bit
            try:
                content = read(bytes(changed))
            except ArchiveDamaged:
                continue
            assert content in {OCTETS, b""}, (place, bit)


def test_a_torn_frame_is_damage_and_has_no_length() -> None:
    for end in range(len(FRAME)):
        with pytest.raises(ArchiveDamaged):
            frames.read_frame(FRAME[:end], len(OCTETS))
        assert frames.frame_length(FRAME[:end]) is None


def test_a_frame_of_another_size_is_damage() -> None:
    with pytest.raises(ArchiveDamaged, match="announces"):
        frames.read_frame(FRAME, len(OCTETS) + 1)


@pytest.mark.parametrize("size", [0, 1, frames.CHUNK, 3 * frames.CHUNK + 1])
def test_a_file_is_compressed_in_pieces_as_one_frame(tmp_path: Path, size: int) -> None:
    octets = (b"0123456789" * (size // 10 + 1))[:size]
    (tmp_path / "plain").write_bytes(octets + b"surplus")
    with (tmp_path / "plain").open("rb") as source, (tmp_path / "packed").open("wb") as target:
        length = frames.compress_file(source.fileno(), size, target.fileno())
    packed = (tmp_path / "packed").read_bytes()
    assert len(packed) == length == frames.frame_length(packed)
    assert frames.read_frame(packed, size) == octets


def test_a_file_that_is_too_short_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"short")
    source = os.open(tmp_path / "plain", os.O_RDONLY)
    try:
        with (tmp_path / "packed").open("wb") as target, pytest.raises(OSError, match="after 5 of 6"):
            frames.compress_file(source, 6, target.fileno())
    finally:
        os.close(source)


@pytest.mark.skipif(shutil.which("zstdcat") is None, reason="install zstd: apt-get install zstd")
def test_zstdcat_reads_the_same() -> None:
    octets = frames.block_header(1, len(OCTETS)) + FRAME + frames.block_header(2, 0) + frames.compress(b"")
    assert subprocess.run(["zstdcat"], input=octets, capture_output=True, check=True).stdout == OCTETS
