"""Files cut between two runs: mended with a sentence; the rest stays readable."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mailarchive.archive.archive import open_for_reading
from mailarchive.model import Digest
from mailarchive.ops.events import Notice, ignore
from mailarchive.ops.verify import verify
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import (
    Journal,
    adds_up,
    can_be_completed,
    has_all,
    held,
    ignore_text,
    in_account,
    make,
    no_damage,
    pull_memory,
)

pytestmark = [pytest.mark.usefixtures("small"), pytest.mark.no_cover]

EVERY = 300
"""The last octets of a file, of which every one is cut off."""
STRIDE = 29
COMPLETED = 13
"""After one in so many cuts a pull completes the archive."""


@pytest.fixture
def whole(tmp_path: Path) -> tuple[Path, MemoryAccount]:
    """A whole archive, and the account it is of."""
    root = tmp_path / "whole"
    return root, make(root)


def copies(root: Path, offsets: Iterator[int]) -> Iterator[tuple[int, Path]]:
    """Yield a fresh copy of the archive for each of ``offsets``."""
    for offset in offsets:
        copy = root.with_name("copy")
        shutil.copytree(root, copy)
        yield offset, copy
        shutil.rmtree(copy)


def offsets_of(path: Path) -> Iterator[int]:
    """Yield where to cut: everywhere near the end, now and then before."""
    size = path.stat().st_size
    yield from range(0, max(0, size - EVERY), STRIDE)
    yield from range(max(0, size - EVERY), size)


def journaled(root: Path) -> dict[str, dict[str, int]]:
    """Return the message lines by digest."""
    return {line["digest"]: line for line in Journal.of(root).of_type("message")}


def tail_of(root: Path) -> Path:
    return root / "journal" / "tail.jsonl"


def open_block(root: Path) -> Path:
    return max((root / "mail").glob("open-*.mbox"))


def newest_segment(root: Path) -> Path:
    return max((root / "mail").glob("*.mbox.zst"))


def told_by(action: Callable[..., object]) -> list[str]:
    """Return the sentences that ``action`` tells its observer."""
    told: list[str] = []
    action(observer=lambda event: told.append(event.text) if isinstance(event, Notice) else None)
    return told


@pytest.mark.parametrize("half", [0, 1])
def test_a_tail_cut_anywhere_is_mended_and_loses_only_what_was_cut(
    whole: tuple[Path, MemoryAccount], half: int
) -> None:
    root, account = whole
    octets = tail_of(root).read_bytes()
    assert len(octets) > 1000
    for cut, copy in copies(root, (offset for offset in offsets_of(tail_of(root)) if offset % 2 == half)):
        tail_of(copy).write_bytes(octets[:cut])
        before = Journal.of(copy)
        told: list[str] = []
        has_all(copy, before.digests(), told.append)
        assert told, cut
        if cut % COMPLETED == half:
            can_be_completed(copy, account, before)


def test_an_open_block_cut_anywhere_loses_only_the_messages_that_were_cut(whole: tuple[Path, MemoryAccount]) -> None:
    root, account = whole
    path, number = open_block(root), int(open_block(root).name[5:13])
    lines = {digest: line for digest, line in journaled(root).items() if line["block"] == number}
    assert lines
    octets = path.read_bytes()
    for cut, copy in copies(root, offsets_of(path)):
        open_block(copy).write_bytes(octets[:cut])
        lost = {digest for digest, line in lines.items() if line["offset"] + line["length"] > cut}
        told: list[str] = []
        has_all(copy, journaled(root).keys() - lost, told.append)
        assert any(f"{len(lost)} messages are lost" in text for text in told), (cut, told)
        if cut % COMPLETED:
            continue
        damage = verify(copy, quick=False, observer=ignore).damage
        assert damage == [f"{len(lost)} messages were lost before, and were not fetched again yet"]
        with open_for_reading(copy, ignore_text) as archive:
            assert {
                digest for digest in lines if archive.catalog.message(Digest(bytes.fromhex(digest))) is None
            } == lost
        report = adds_up(pull_memory(copy, account))
        assert report.accounts[0].downloaded_messages >= len(lost)
        assert held(copy) == in_account(account)
        no_damage(copy)


def test_a_segment_cut_anywhere_is_noticed_and_completed(whole: tuple[Path, MemoryAccount]) -> None:
    root, account = whole
    path = newest_segment(root)
    octets = path.read_bytes()
    for cut, copy in copies(root, iter(range(0, len(octets), 31))):
        newest_segment(copy).write_bytes(octets[:cut])
        assert told_by(partial(verify, copy, quick=False)), cut
        assert verify(copy, quick=False, observer=ignore).damage, cut
        assert adds_up(pull_memory(copy, account)).status == "complete"
        assert held(copy) == in_account(account)
        no_damage(copy)


def test_a_catalog_cut_anywhere_is_made_anew(whole: tuple[Path, MemoryAccount]) -> None:
    root, account = whole
    octets = (root / "catalog.sqlite3").read_bytes()
    account.fetches.clear()
    for cut, copy in copies(root, iter(range(0, len(octets), 1009))):
        (copy / "catalog.sqlite3").write_bytes(octets[:cut])
        told: list[str] = []
        assert held(copy) == in_account(account)
        assert pull_memory(copy, account, tell=told).accounts[0].downloaded_messages == 0
        no_damage(copy)
    assert not account.fetches
