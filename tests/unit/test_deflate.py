"""The layer of raw deflate: whatever the network cuts, the same octets come out, and never too many at a time."""

import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.errors import ConnectionLost, ProtocolViolation
from mailarchive.remote.deflate import Deflated


def deflated(*pieces: bytes, end: bool = False) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    whole = b"".join(deflater.compress(piece) + deflater.flush(zlib.Z_SYNC_FLUSH) for piece in pieces)
    return whole + (deflater.flush() if end else b"")


class Line:
    """Brings ``chunks`` and then the end, or ``error``; counts what was asked of it."""

    def __init__(self, chunks: Iterable[bytes], early: bytes = b"", error: Exception | None = None) -> None:
        self.chunks = [chunk for chunk in chunks if chunk]
        self.error = error
        self.reads = self.doubts = 0
        self.layer = Deflated(self.receive, "server", early, self.doubt)

    def receive(self, room: memoryview) -> int:
        self.reads += 1
        if not self.chunks:
            if self.error is not None:
                raise self.error
            return 0
        chunk = self.chunks.pop(0)
        room[: len(chunk)] = chunk
        return len(chunk)

    def doubt(self) -> None:
        self.doubts += 1

    def read(self, *sizes: int) -> bytes:
        """Read to the end, as many octets at a time as ``sizes`` say, over and over."""
        found = b""
        while True:
            for size in sizes:
                buffer = memoryview(bytearray(size))
                if not (count := self.layer.readinto(buffer)):
                    return found
                assert count <= size
                found += buffer[:count]


@given(
    st.lists(st.binary(max_size=300) | st.just(b"a line of mail\r\n" * 50)),
    st.lists(st.integers(1, 200), min_size=1),
    st.lists(st.integers(1, 400), min_size=1, max_size=5),
    st.integers(0, 300),
)
def test_the_octets_are_the_same_however_they_come_and_are_read(
    pieces: list[bytes], cuts: list[int], sizes: list[int], early: int
) -> None:
    whole = deflated(*pieces)
    chunks: list[bytes] = []
    start = early
    while start < len(whole):
        size = cuts[len(chunks) % len(cuts)]
        chunks.append(whole[start : start + size])
        start += size
    assert Line(chunks, whole[:early]).read(*sizes) == b"".join(pieces)


def test_what_has_come_is_given_before_more_is_waited_for() -> None:
    line = Line([], deflated(b"x" * 100_000))
    buffer = memoryview(bytearray(1000))
    assert [line.layer.readinto(buffer) for _ in range(100)] == [1000] * 100
    assert line.reads == 0


def test_a_bomb_comes_in_small_pieces() -> None:
    bomb = deflated(b"\0" * (64 << 20))
    line = Line([bomb[start : start + 65536] for start in range(0, len(bomb), 65536)])
    buffer = memoryview(bytearray(8 << 20))
    counts = [line.layer.readinto(buffer) for _ in range(64)]
    assert max(counts) <= 1 << 20
    assert line.reads <= 2


def test_every_command_can_be_read_at_once() -> None:
    layer, inflater = Line([]).layer, zlib.decompressobj(-15)
    for command in (b"A1 NOOP\r\n", b"A2 UID FETCH 1:* (UID)\r\n"):
        assert inflater.decompress(layer.packed(command)) == command


@pytest.mark.parametrize("octets", [b"A1 OK plain text\r\n", b"* 1 EXISTS\r\n", b"\xff" * 20])
def test_octets_that_are_not_deflated_are_a_violation_and_a_doubt(octets: bytes) -> None:
    line = Line([octets])
    with pytest.raises(ProtocolViolation, match="cannot be read"):
        line.read(1000)
    assert line.doubts == 1


def test_damage_late_in_the_stream_is_a_doubt_too() -> None:
    line = Line([deflated(b"x" * (4 << 20)), b"\xff" * 50])
    with pytest.raises(ProtocolViolation):
        line.read(1 << 20)
    assert line.doubts == 1


@pytest.mark.parametrize(
    ("octets", "doubts"), [(0, 1), (1000, 1), (2 << 20, 0)], ids=["nothing", "a little", "much had come"]
)
@pytest.mark.parametrize("end", [True, False])
def test_an_early_end_is_a_doubt(octets: int, doubts: int, end: bool) -> None:
    line = Line([deflated(b"x" * octets, end=end)])
    assert line.read(1 << 20) == b"x" * octets
    assert line.doubts == doubts


@pytest.mark.parametrize(("octets", "doubts"), [(1000, 1), (2 << 20, 0)])
def test_a_lost_connection_is_a_doubt_if_it_brought_little(octets: int, doubts: int) -> None:
    line = Line([deflated(b"x" * octets)], error=ConnectionLost("lost"))
    with pytest.raises(ConnectionLost):
        line.read(1 << 20)
    assert line.doubts == doubts


def test_nothing_is_read_behind_the_end_of_the_deflate_stream() -> None:
    line = Line([deflated(b"abc", end=True) + b"more", b"more"])
    assert line.read(100) == b"abc"
