"""Entries are read from plain blocks, from frames, and as streams, and are all there or damage."""

from pathlib import Path

import pytest

from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BlockPacked
from mailarchive.store import frames
from mailarchive.store import reader as readers
from mailarchive.store.blocks import plain_path
from mailarchive.store.reader import BlockReader, PackedBlocks
from mailarchive.store.segments import pack, segment_path

TEXT = b"".join(b"line %d\n" % number for number in range(5000))


def packed(mail: Path, count: int = 1) -> list[BlockPacked]:
    found: list[BlockPacked] = []
    for number in range(1, count + 1):
        plain_path(mail, number).write_bytes(TEXT)
        found.append(pack(mail, number, 1, found[-1].end if found else 0))
    return found


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("offset", "length"), [(0, 0), (0, 10), (17, 4000), (len(TEXT) - 1, 1), (0, len(TEXT))])
def test_a_stretch_is_read_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: bool, plain: bool, offset: int, length: int
) -> None:
    if streamed:
        monkeypatch.setattr(readers, "STREAMED", 100)
    (frame,) = packed(tmp_path)
    if not plain:
        plain_path(tmp_path, 1).unlink()
    pieces = BlockReader(PackedBlocks(tmp_path)).entry(1, None if plain else frame, offset, length)
    assert b"".join(pieces) == TEXT[offset : offset + length]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_a_stretch_beyond_the_end_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: bool, plain: bool
) -> None:
    if streamed:
        monkeypatch.setattr(readers, "STREAMED", 100)
    (frame,) = packed(tmp_path)
    with pytest.raises(ArchiveDamaged, match="ends before"):
        list(BlockReader(PackedBlocks(tmp_path)).entry(1, None if plain else frame, 10, len(TEXT)))


def test_a_missing_file_is_said_as_such(tmp_path: Path) -> None:
    (frame,) = packed(tmp_path)
    plain_path(tmp_path, 1).unlink()
    segment_path(tmp_path, 1).unlink()
    for where in (None, frame):
        with pytest.raises(FileNotFoundError):
            list(BlockReader(PackedBlocks(tmp_path)).entry(1, where, 0, 1))


def test_the_last_blocks_are_kept_in_memory_and_no_more(tmp_path: Path) -> None:
    blocks = packed(tmp_path, readers.CACHED_BLOCKS + 1)
    reader = PackedBlocks(tmp_path)
    for frame in blocks:
        assert reader.text(frame) == TEXT
    segment_path(tmp_path, 1).unlink()
    for frame in blocks[1:]:
        assert reader.text(frame) == TEXT
    with pytest.raises(FileNotFoundError):
        reader.text(blocks[0])


def test_damage_behind_a_large_block_is_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "STREAMED", 100)
    first, second = packed(tmp_path, 2)
    path = segment_path(tmp_path, 1)
    octets = path.read_bytes()
    path.write_bytes(octets[: first.end] + bytes(len(octets) - first.end))
    reader = BlockReader(PackedBlocks(tmp_path))
    assert b"".join(reader.entry(1, first, 0, len(TEXT))) == TEXT
    with pytest.raises(ArchiveDamaged):
        list(reader.entry(2, second, 0, len(TEXT)))


def test_a_damaged_frame_is_decompressed_once_however_often_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (frame,) = packed(tmp_path)
    path = segment_path(tmp_path, 1)
    octets = bytearray(path.read_bytes())
    octets[-1] ^= 1
    path.write_bytes(octets)
    reader = PackedBlocks(tmp_path)
    with pytest.raises(ArchiveDamaged):
        reader.text(frame)
    monkeypatch.delattr(frames, "read_frame")
    with pytest.raises(ArchiveDamaged):
        reader.text(frame)


def test_readers_that_share_packed_blocks_decompress_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (frame,) = packed(tmp_path)
    shared = PackedBlocks(tmp_path)
    assert b"".join(BlockReader(shared).entry(1, frame, 0, len(TEXT))) == TEXT
    monkeypatch.delattr(frames, "read_frame")
    assert b"".join(BlockReader(shared).entry(1, frame, 0, len(TEXT))) == TEXT
