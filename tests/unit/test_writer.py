"""What the writer writes and syncs, counted."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mailarchive.archive.archive import Kind, open_for_writing
from mailarchive.archive.mbox import packer
from mailarchive.archive.mbox.packer import Packer
from mailarchive.archive.mbox.store import BlockStore
from mailarchive.archive.prepare import prepare
from mailarchive.archive.writer import Arrival, Writer
from mailarchive.clock import SystemClock
from mailarchive.facts import BlockPacked
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.mailbox_name import mailbox_name
from mailarchive.model import Account, ListedMailbox, MessageFacts
from mailarchive.store.blocks import plain_blocks
from mailarchive.store.segments import pack, surplus
from tests.fault.archives import ignore_text, message, no_damage
from tests.servers.still_clock import StillClock

BLOCK = 10_000


class Counted:
    """Counts writes and syncs by the name of the file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes: Counter[str] = Counter()
        self.syncs: Counter[str] = Counter()
        self._count(monkeypatch, "write", self.writes)
        self._count(monkeypatch, "fsync", self.syncs)

    @staticmethod
    def _count(monkeypatch: pytest.MonkeyPatch, name: str, counts: Counter[str]) -> None:
        real = getattr(os, name)

        def call(fd: int, *arguments: object) -> object:
            counts[Path(f"/proc/self/fd/{fd}").readlink().name] += 1
            return real(fd, *arguments)

        monkeypatch.setattr(os, name, call)


def arrivals(first: int, count: int, size: int = 500) -> list[Arrival]:
    return [
        Arrival(MessageFacts(number), prepare(MemoryBody(message(number, size))))
        for number in range(first, first + count)
    ]


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    monkeypatch.setattr("mailarchive.archive.mbox.store.BLOCK_SIZE", BLOCK)
    with open_for_writing(tmp_path / "archive", "pull", SystemClock(), ignore_text, make=Kind()) as made:
        made.begin("pull")
        made.account(Account("me@host", "memory"))
        made.mailbox(1, "me@host", ListedMailbox(mailbox_name(b"INBOX", "/")), 1)
        yield made


def test_messages_that_came_together_are_one_write_of_octets_and_one_of_facts(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    added = writer.add(1, 1, arrivals(1, 10))
    assert [one.stored for one in added] == [True] * 10
    assert counted.writes == {"open-00000001.mbox": 1, "tail.jsonl": 1}
    assert not counted.syncs


def test_equal_messages_that_came_together_are_stored_once(writer: Writer) -> None:
    [first] = arrivals(1, 1)
    second = Arrival(MessageFacts(2), first.prepared)
    assert [one.stored for one in writer.add(1, 1, [first, second])] == [True, False]
    assert [one.stored for one in writer.add(1, 1, [Arrival(MessageFacts(3), first.prepared)])] == [False]


def test_a_block_whose_frame_is_durable_is_never_synced_itself(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    writer.add(1, 1, arrivals(1, BLOCK // 500 + 3))
    assert isinstance(writer._store, BlockStore)
    writer._store._packer._waiting[0].result(20)
    writer.add(1, 1, arrivals(100, 1))
    writer.checkpoint()
    assert "open-00000001.mbox" not in counted.syncs
    assert counted.syncs["00000001.mbox.zst"] == 1
    assert counted.syncs["open-00000002.mbox"] == 1


def test_a_block_that_is_not_packed_by_the_checkpoint_is_synced_as_it_is(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def late(*arguments: object, **named: object) -> BlockPacked:
        assert go_on.wait(20)
        return pack(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(packer, "pack", late)
    counted = Counted(monkeypatch)
    writer.add(1, 1, arrivals(1, BLOCK // 500 + 3))
    writer.checkpoint()
    assert counted.syncs["open-00000001.mbox"] == 1
    go_on.set()


def test_blocks_are_packed_thoroughly_where_there_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thorough: list[object] = []
    clock = StillClock()

    def one_second(*arguments: object, **named: object) -> BlockPacked:
        thorough.append(named["thorough"])
        clock.sleep(3.5 if named["thorough"] else 1, threading.Event())
        return pack(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(packer, "pack", one_second)
    packs = Packer(tmp_path, clock)
    for block, seconds in enumerate((0, 10, 1, 10), 1):
        (tmp_path / f"open-{block:08d}.mbox").write_bytes(b"text\n")
        clock.sleep(seconds, threading.Event())
        packs.submit(block)
        packs._waiting[-1].result(20)
    assert thorough == [False, True, False, True]
    packs.close()


def test_empty_blocks_that_a_power_failure_left_are_not_packed(tmp_path: Path) -> None:
    root = tmp_path / "archive"

    def opened() -> AbstractContextManager[Writer]:
        return open_for_writing(root, "pull", SystemClock(), ignore_text, make=Kind())

    with opened() as writer:
        writer.begin("pull")
        writer.mailbox(1, "me@host", ListedMailbox(mailbox_name(b"INBOX", "/")), 1)
        writer.add(1, 1, arrivals(1, 3))
    for number in (2, 3):
        (root / "mail" / f"open-{number:08d}.mbox").touch()
    with opened() as writer:
        writer.begin("pull")
    assert segment_blocks(root) == [1]
    assert plain_blocks(root / "mail") == [3]
    no_damage(root)


def segment_blocks(root: Path) -> list[int]:
    """Return which blocks have a frame."""
    return [frame.block for frame in surplus(root / "mail", 1, 0)]
