"""The journal's files: how they are named, sealed, and gone on with."""

import json
from pathlib import Path

import pytest

from mailarchive.errors import ArchiveDamaged, StorageFailed
from mailarchive.facts import BEGINNING, START_OF_CHAIN, MailboxVanished, Part, Position
from mailarchive.journal import log
from mailarchive.journal.lines import to_line
from mailarchive.store import frames


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    log.create(tmp_path, MailboxVanished(1))
    return tmp_path


def opened(directory: Path, position: Position = BEGINNING) -> log.Log:
    return log.Log(directory, position, frames.compress)


def test_a_new_journal_is_a_part_line_and_the_first_fact(directory: Path) -> None:
    lines = log.tail_path(directory).read_bytes().splitlines()
    assert [json.loads(line)["t"] for line in lines] == ["part", "vanished"]
    assert json.loads(lines[0]) == {"t": "part", "part": 1, "chain": "00" * 32}


def test_news_are_the_facts_since_the_last_checkpoint(directory: Path) -> None:
    writer = opened(directory)
    assert writer.news == 1
    writer.append(MailboxVanished(2), MailboxVanished(3))
    assert writer.news == 3
    position = writer.checkpoint()
    assert writer.news == 0
    writer.append(MailboxVanished(4))
    writer.close()
    again = opened(directory, position)
    assert again.news == 1
    again.close()


def test_a_large_tail_is_sealed_at_a_checkpoint(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SEAL_SIZE", 200)
    writer = opened(directory)
    writer.append(MailboxVanished(2))
    position = writer.checkpoint()
    assert log.sealed_parts(directory) == [1]
    assert (directory / "00000001.jsonl.zst").stat().st_mode & 0o777 == 0o600
    assert position == Position(2, 0, position.chain, 1)
    assert log.tail_path(directory).read_bytes() == to_line(Part(2, position.chain))
    assert writer.news == 0
    writer.append(MailboxVanished(3))
    assert writer.checkpoint().checkpoints == 2
    writer.close()


def test_a_tail_that_was_sealed_but_not_replaced_is_told(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SEAL_SIZE", 200)
    writer = opened(directory)
    writer.append(MailboxVanished(2))
    writer.checkpoint()
    writer.close()
    sealed = frames.decompress(log.part_path(directory, 1).read_bytes())
    log.tail_path(directory).write_bytes(sealed)
    replay = log.Replay(directory, frames.decompress)
    facts = list(replay)
    assert replay.stale_tail
    assert facts.count(MailboxVanished(2)) == 1
    position = log.begin_part(directory, Position(1, 0, replay.position.chain, replay.position.checkpoints))
    assert log.ends_at(directory, position)


def test_a_missing_tail_is_damage(directory: Path) -> None:
    log.tail_path(directory).unlink()
    assert log.tail_part(directory) is None
    assert not log.ends_at(directory, BEGINNING)
    with pytest.raises(ArchiveDamaged, match="missing"):
        log.Replay(directory, frames.decompress).check()


def test_a_tail_of_another_journal_is_damage(directory: Path) -> None:
    log.tail_path(directory).write_bytes(to_line(Part(1, b"\1" * 32)))
    with pytest.raises(ArchiveDamaged, match="does not follow"):
        log.Replay(directory, frames.decompress).check()
    log.tail_path(directory).write_bytes(to_line(Part(9, START_OF_CHAIN)))
    with pytest.raises(ArchiveDamaged, match="does not follow"):
        log.Replay(directory, frames.decompress).check()


def test_lines_of_a_later_version_are_part_of_the_chain(directory: Path) -> None:
    tail = log.tail_path(directory)
    tail.write_bytes(tail.read_bytes() + b'{"t":"of-a-later-version"}\n')
    writer = opened(directory)
    position = writer.checkpoint()
    writer.close()
    replay = log.Replay(directory, frames.decompress)
    replay.check()
    assert replay.position == position
    tail.write_bytes(tail.read_bytes().replace(b"later-version", b"older-version"))
    with pytest.raises(ArchiveDamaged, match="does not match"):
        log.Replay(directory, frames.decompress).check()


def test_a_journal_that_cannot_be_written_is_a_failure_of_the_storage(directory: Path) -> None:
    log.tail_path(directory).unlink()
    log.tail_path(directory).mkdir()
    with pytest.raises(StorageFailed):
        opened(directory)
