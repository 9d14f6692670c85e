"""Blocks are packed at the end of a segment, and found there without a journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailarchive.errors import StorageFailed
from mailarchive.facts import BlockPacked
from mailarchive.store import frames
from mailarchive.store.blocks import MOST_WAITING, OpenBlock, plain_blocks, plain_path
from mailarchive.store.segments import pack, segment_path, segments, surplus

TEXTS = {1: b"one\n" * 100, 2: b"", 3: b"three\n" * 7}


@pytest.fixture
def packed(tmp_path: Path) -> list[BlockPacked]:
    found, end = [], 0
    for number, text in TEXTS.items():
        plain_path(tmp_path, number).write_bytes(text)
        found.append(pack(tmp_path, number, 1, end))
        end = found[-1].end
    return found


def test_a_block_is_a_header_and_a_frame(tmp_path: Path, packed: list[BlockPacked]) -> None:
    octets = segment_path(tmp_path, 1).read_bytes()
    assert segments(tmp_path) == {1: len(octets)} == {1: packed[-1].end}
    for frame in packed:
        text = TEXTS[frame.block]
        assert frames.read_frame(octets[frame.offset : frame.end], frame.size) == text
        header = frames.block_header(frame.block, len(text))
        assert octets[frame.offset - len(header) : frame.offset] == header
    assert segment_path(tmp_path, 1).stat().st_mode & 0o777 == 0o600


def test_frames_are_found_without_a_journal(tmp_path: Path, packed: list[BlockPacked]) -> None:
    assert surplus(tmp_path, 1, 0) == packed
    assert surplus(tmp_path, 1, packed[0].end) == packed[1:]
    assert surplus(tmp_path, 1, packed[-1].end) == []


def test_a_segment_cut_anywhere_has_the_frames_before_the_cut(tmp_path: Path, packed: list[BlockPacked]) -> None:
    octets = segment_path(tmp_path, 1).read_bytes()
    for end in range(len(octets)):
        segment_path(tmp_path, 1).write_bytes(octets[:end])
        assert surplus(tmp_path, 1, 0) == [frame for frame in packed if frame.end <= end]


def test_a_block_that_cannot_be_packed_leaves_the_segment_as_it_was(tmp_path: Path, packed: list[BlockPacked]) -> None:
    before = segment_path(tmp_path, 1).read_bytes()
    with pytest.raises(StorageFailed):
        pack(tmp_path, 9, 1, len(before))
    assert segment_path(tmp_path, 1).read_bytes() == before


def test_an_open_block_is_appended_to_and_can_be_cut(tmp_path: Path) -> None:
    block = OpenBlock(tmp_path, 7)
    assert block.append([b"one\n", b"two\n"]) == (0, 8)
    assert block.append([b"three\n"]) == (8, 6)
    block.sync()
    block.cut(8)
    block.close()
    assert plain_blocks(tmp_path) == [7]
    assert plain_path(tmp_path, 7).read_bytes() == b"one\ntwo\n"
    again = OpenBlock(tmp_path, 7)
    assert again.end == 8
    again.close()


def test_an_append_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise StorageFailed("the spool file cannot be read")

    block = OpenBlock(tmp_path, 1)
    block.append([b"kept\n"])
    with pytest.raises(StorageFailed):
        block.append(broken())
    block.flush()
    assert plain_path(tmp_path, 1).read_bytes() == b"kept\n"
    assert block.append([b"next\n"]) == (5, 5)
    block.close()


def test_entries_wait_until_they_are_flushed_or_many(tmp_path: Path) -> None:
    block = OpenBlock(tmp_path, 1)
    block.append([b"one\n"])
    assert plain_path(tmp_path, 1).read_bytes() == b""
    block.append([b"x" * MOST_WAITING])
    assert plain_path(tmp_path, 1).stat().st_size == MOST_WAITING + 4
    block.append([b"two\n"])
    block.append([b"three\n"])
    block.cut(MOST_WAITING + 8)
    block.flush()
    assert plain_path(tmp_path, 1).read_bytes().endswith(b"xtwo\n")
    block.cut(4)
    assert block.append([b"four\n"]) == (4, 5)
    block.sync()
    assert plain_path(tmp_path, 1).read_bytes() == b"one\nfour\n"
    block.close()


def test_other_names_are_no_blocks_and_no_segments(tmp_path: Path) -> None:
    for name in ("open-1.mbox", "open-00000001.mbox.tmp", "x.mbox.zst", "00000001.mbox", "0000000a.mbox.zst"):
        (tmp_path / name).write_bytes(b"x")
    assert (plain_blocks(tmp_path), segments(tmp_path)) == ([], {})
