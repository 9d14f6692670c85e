"""What is journaled comes back; what is changed is noticed; what is cut leaves a beginning."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BEGINNING, Checkpoint, Fact, MailboxVanished, Part, Position
from mailarchive.journal import log
from mailarchive.journal.lines import MalformedLine, from_line, to_line
from mailarchive.store import frames
from tests.property.fact_strategies import any_fact, ordinary

FIRST = MailboxVanished(1)
steps = st.lists(st.lists(ordinary, max_size=4), max_size=6)
"""Facts to append, and a checkpoint after each list."""


@contextmanager
def journal(seal_size: int = 1 << 20) -> Iterator[Path]:
    """Lend a directory with a new journal whose parts are sealed at ``seal_size`` octets."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "SEAL_SIZE", seal_size)
        log.create(Path(name), FIRST)
        yield Path(name)


def opened(directory: Path, position: Position = BEGINNING) -> log.Log:
    return log.Log(directory, position, frames.compress)


def write(directory: Path, steps: list[list[Fact]], position: Position = BEGINNING) -> Position:
    """Append facts with a checkpoint after each list; return the last position."""
    writer = opened(directory, position)
    for facts in steps:
        for fact in facts:
            writer.append(fact)
        position = writer.checkpoint()
    writer.close()
    return position


def replayed(directory: Path, position: Position = BEGINNING) -> tuple[list[Fact], log.Replay]:
    replay = log.Replay(directory, frames.decompress, position)
    return [fact for fact in replay if not isinstance(fact, Part | Checkpoint)], replay


@given(any_fact)
def test_a_fact_comes_back_from_its_line(fact: Fact) -> None:
    line = to_line(fact)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert from_line(line) == fact


@given(st.binary(max_size=40) | any_fact.map(to_line), st.integers(0, 500), st.integers(0, 255))
def test_any_line_is_a_fact_or_malformed(line: bytes, place: int, octet: int) -> None:
    if line:
        changed = bytearray(line)
        changed[place % len(line)] = octet
        line = bytes(changed)
    try:
        from_line(line)
    except MalformedLine as error:
        assert str(error)  # noqa: PT017 - most octets are no fact, some are


@settings(max_examples=60)
@given(steps, st.sampled_from([1, 300, 1500, 1 << 20]))
def test_what_is_appended_is_replayed_in_order(steps: list[list[Fact]], seal_size: int) -> None:
    with journal(seal_size) as directory:
        position = write(directory, steps)
        facts, replay = replayed(directory)
        assert facts == [FIRST, *(fact for step in steps for fact in step)]
        assert replay.torn == b""
        if steps:
            assert replay.position == position
            assert log.ends_at(directory, position)
            assert replay.position.checkpoints == len(steps)


@settings(max_examples=40)
@given(steps, st.data())
def test_a_replay_goes_on_from_any_checkpoint(steps: list[list[Fact]], data: st.DataObject) -> None:
    with journal(data.draw(st.sampled_from([1, 400, 1 << 20]))) as directory:
        at = data.draw(st.integers(0, len(steps)))
        position = write(directory, steps[:at])
        end = write(directory, steps[at:], position)
        facts, replay = replayed(directory, position)
        assert facts == ([] if at else [FIRST]) + [fact for step in steps[at:] for fact in step]
        if steps:
            assert replay.position == end


def sample(directory: Path) -> bytes:
    """Write a journal with three checkpoints and a fact after them; return the tail."""
    position = write(directory, [[MailboxVanished(n), MailboxVanished(n + 1)] for n in (2, 4, 6)])
    writer = opened(directory, position)
    writer.append(MailboxVanished(8))
    writer.close()
    return log.tail_path(directory).read_bytes()


def test_any_octet_changed_before_the_last_checkpoint_line_is_damage() -> None:
    with journal() as directory:
        tail = sample(directory)
        path = log.tail_path(directory)
        for place in range(tail.rindex(b'{"t":"checkpoint"')):
            for mask in (1, 0x20, 0x80, tail[place]):
                path.write_bytes(tail[:place] + bytes([tail[place] ^ mask]) + tail[place + 1 :])
                with pytest.raises(ArchiveDamaged):
                    log.Replay(directory, frames.decompress).check()


def test_any_octet_changed_in_the_last_checkpoint_line_leaves_it_without_force() -> None:
    """The facts before it stay, as facts that were not checkpointed."""
    with journal() as directory:
        tail = sample(directory)
        path = log.tail_path(directory)
        start = tail.rindex(b'{"t":"checkpoint"')
        for place in range(start, tail.index(b"\n", start) + 1):
            path.write_bytes(tail[:place] + bytes([tail[place] ^ 1]) + tail[place + 1 :])
            try:
                facts, replay = replayed(directory)
            except ArchiveDamaged:
                continue
            assert facts[:7] == [FIRST, *map(MailboxVanished, range(2, 8))]
            assert replay.position.checkpoints == 2


def test_a_tail_cut_anywhere_is_a_beginning_of_the_facts() -> None:
    with journal() as directory:
        tail = sample(directory)
        path = log.tail_path(directory)
        whole, _ = replayed(directory)
        for end in range(len(tail) + 1):
            path.write_bytes(tail[:end])
            facts, replay = replayed(directory)
            assert facts == whole[: len(facts)]
            assert tail[:end] == tail[: replay.end] + replay.torn
            assert replay.torn.count(b"\n") == 0
            assert len(facts) >= tail[:end].count(b'"t":"vanished"') - 1


@pytest.mark.parametrize("change", ["cut", "octet", "swapped", "missing", "emptied"])
def test_a_sealed_part_that_is_not_what_was_sealed_is_damage(change: str) -> None:
    with journal(400) as directory:
        write(directory, [[MailboxVanished(n)] for n in range(12)])
        parts = log.sealed_parts(directory)
        assert len(parts) >= 3
        path, other = log.part_path(directory, parts[1]), log.part_path(directory, parts[0])
        octets = path.read_bytes()
        changes: dict[str, list[bytes | None]] = {
            "cut": [octets[:end] for end in range(len(octets))],
            "octet": [octets[:n] + bytes([octets[n] ^ 4]) + octets[n + 1 :] for n in range(6, len(octets))],
            "swapped": [other.read_bytes()],
            "emptied": [b""],
            "missing": [None],
        }
        for variant in changes[change]:
            if variant is None:
                path.unlink()
            else:
                path.write_bytes(variant)
            with pytest.raises(ArchiveDamaged):
                log.Replay(directory, frames.decompress).check()


def test_the_newest_sealed_part_cannot_be_left_out() -> None:
    with journal(400) as directory:
        write(directory, [[MailboxVanished(n)] for n in range(12)])
        log.part_path(directory, log.sealed_parts(directory)[-1]).unlink()
        with pytest.raises(ArchiveDamaged):
            log.Replay(directory, frames.decompress).check()


def test_an_older_tail_is_noticed_from_the_position_that_was_reached() -> None:
    with journal() as directory:
        position = write(directory, [[MailboxVanished(2)]])
        older = log.tail_path(directory).read_bytes()
        later = write(directory, [[MailboxVanished(3)]], position)
        log.tail_path(directory).write_bytes(older)
        assert not log.ends_at(directory, later)
        assert log.ends_at(directory, position)
        with pytest.raises(ArchiveDamaged):
            log.Replay(directory, frames.decompress, later).check()
