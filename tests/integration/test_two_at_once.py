"""Others read and check while one process writes; a second writer is refused and told why."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from mailarchive.archive import writer as writers
from mailarchive.archive.archive import Kind, check, open_for_reading, open_for_writing
from mailarchive.archive.mbox import store as stores
from mailarchive.archive.prepare import prepare
from mailarchive.archive.writer import Arrival, Writer
from mailarchive.clock import SystemClock
from mailarchive.errors import ArchiveLocked
from mailarchive.journal import log
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.mailbox_name import mailbox_name
from mailarchive.model import Account, ListedMailbox, MessageFacts
from mailarchive.ops.events import ignore
from mailarchive.ops.verify import verify
from tests.fault.archives import ignore_text, message

PROCESSES = multiprocessing.get_context("spawn")


def fill(writer: Writer, first: int, count: int) -> None:
    """Add messages numbered from ``first``."""
    for number in range(first, first + count):
        writer.add(1, 1, [Arrival(MessageFacts(number), prepare(MemoryBody(message(number, 900))))])


@contextmanager
def writing(root: Path) -> Iterator[Writer]:
    """Begin a run that has a mailbox to put messages into."""
    with open_for_writing(root, "pull", SystemClock(), ignore_text, make=Kind()) as writer:
        writer.begin("pull")
        writer.account(Account("me@host", "memory"))
        writer.mailbox(1, "me@host", ListedMailbox(mailbox_name(b"INBOX", "/")), 1)
        yield writer


def write_until(root: Path, started: Event, stop: Event) -> None:
    """Write, packing blocks all the time, until told to stop; never more than is read with pleasure."""
    stores.BLOCK_SIZE, writers.CHECKPOINT_FACTS, log.SEAL_SIZE = 8192, 16, 8192
    with writing(root) as writer:
        fill(writer, 1, 20)
        writer.checkpoint()
        started.set()
        number = 21
        while not stop.is_set() and number < 20_000:
            fill(writer, number, 10)
            number += 10


def hold(root: Path, started: Event, stop: Event) -> None:
    """Hold the archive until told to stop."""
    with writing(root):
        started.set()
        stop.wait(60)


@contextmanager
def other_process(target: Callable[..., None], root: Path) -> Iterator[int]:
    """Run ``target`` beside the test; give its process id."""
    started, stop = PROCESSES.Event(), PROCESSES.Event()
    process = PROCESSES.Process(target=target, args=(root, started, stop))
    process.start()
    try:
        assert started.wait(60)
        assert process.pid is not None
        yield process.pid
    finally:
        stop.set()
        process.join(60)
    assert process.exitcode == 0


def test_readers_see_whole_messages_while_another_process_writes(tmp_path: Path) -> None:
    root, told = tmp_path / "archive", list[str]()
    with other_process(write_until, root):
        seen = 0
        for _ in range(15):
            with open_for_reading(root, told.append) as archive:
                records = list(archive.catalog.placements(1, gone=False))
                assert len(records) >= max(seen, 20)
                seen = len(records)
                for record in records[-40:]:
                    assert b"".join(archive.octets(record.digest)) == message(int(record.uid), 900)
            assert verify(root, quick=False, observer=ignore).damage == []
        with pytest.raises(ArchiveLocked), open_for_writing(root, "pull", SystemClock(), ignore_text):
            pass
    assert told == []
    assert verify(root, quick=False, observer=ignore).damage == []


def test_a_second_writer_is_told_who_writes_and_since_when(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    with other_process(hold, root) as pid:
        said = rf"process {pid} on .* \(mailarchive pull\) since 20"
        with pytest.raises(ArchiveLocked, match=said) as caught, writing(root):
            pass
        assert caught.value.exit_code == 11
        assert json.loads((root / "lock").read_text())["pid"] == pid
    with writing(root) as writer:
        fill(writer, 1, 1)
    assert json.loads((root / "lock").read_text())["pid"] == os.getpid()


def test_verify_follows_blocks_that_are_packed_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "BLOCK_SIZE", 4096)
    root = tmp_path / "archive"
    with writing(root) as writer:
        fill(writer, 1, 100)
        writer.checkpoint()
        before = sorted((root / "mail").glob("open-*"))
        more = iter([100])

        def advance(_octets: int, _total: int) -> None:
            for count in more:
                fill(writer, 1001, count)
                writer.checkpoint()

        found = check(root, ignore_text, advance, quick=False)
        writer.checkpoint()
        assert not set(before) & set((root / "mail").glob("open-*"))
    assert found.damage == []
    assert found.messages == 100
