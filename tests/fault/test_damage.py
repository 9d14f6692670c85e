"""Files mixed up or damaged between two runs: mended with a sentence, or named; what is whole stays readable."""

import itertools
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from mailarchive import files
from mailarchive.archive import recovery
from mailarchive.catalog.sqlite import SqliteCatalog
from mailarchive.errors import ArchiveDamaged, ArchiveError, ExitCode, StorageFailed
from mailarchive.journal import log
from mailarchive.ops import browse
from mailarchive.ops.events import ignore
from mailarchive.ops.export import export
from mailarchive.ops.rebuild import rebuild
from mailarchive.ops.selection import Selection
from mailarchive.ops.verify import verify
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import (
    Journal,
    account_at_first,
    can_be_completed,
    change,
    decompressed,
    held,
    in_account,
    make,
    message,
    no_damage,
    pull_memory,
)

pytestmark = pytest.mark.usefixtures("small")

Whole = tuple[Path, MemoryAccount]
ALL = Selection(gone=None)


@pytest.fixture
def whole(tmp_path: Path) -> Whole:
    """A whole archive, and the account it is of."""
    root = tmp_path / "whole"
    return root, make(root)


def opened(root: Path) -> list[str]:
    """Open the archive for reading and return the sentences."""
    told: list[str] = []
    browse.mailboxes(root, tell=told.append)
    return told


def catalog_of(root: Path) -> Path:
    return root / "catalog.sqlite3"


def copy_catalog(root: Path, to: Path) -> None:
    """Copy the catalog as SQLite would, its log included."""
    source, target = sqlite3.connect(catalog_of(root)), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()


# -- the catalog ---------------------------------------------------------------------------------------------------


def remove_catalog(path: Path) -> None:
    path.unlink()


def empty_catalog(path: Path) -> None:
    path.write_bytes(b"")


def noise_instead(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(50_000))


def noise_in_header(path: Path) -> None:
    octets = path.read_bytes()
    path.write_bytes(random.Random(2).randbytes(100) + octets[100:])


def noise_in_schema(path: Path) -> None:
    octets = path.read_bytes()
    path.write_bytes(octets[:100] + random.Random(3).randbytes(3000) + octets[3100:])


def another_schema(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


def no_tables(path: Path) -> None:
    version = sqlite3.connect(path).execute("PRAGMA user_version").fetchone()[0]
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (x)")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()


def no_position(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("DELETE FROM state")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    "spoil",
    [
        remove_catalog,
        empty_catalog,
        noise_instead,
        noise_in_header,
        noise_in_schema,
        another_schema,
        no_tables,
        no_position,
    ],
)
@pytest.mark.parametrize("reader_first", [True, False])
def test_a_catalog_that_cannot_be_used_is_made_anew_and_said(
    whole: Whole, spoil: Callable[[Path], None], reader_first: bool
) -> None:
    root, account = whole
    spoil(catalog_of(root))
    account.fetches.clear()
    told: list[str] = []
    if reader_first:
        browse.mailboxes(root, tell=told.append)
        assert held(root) == in_account(account)
    assert pull_memory(root, account, tell=told).status == "complete"
    assert any("made anew" in text for text in told), told
    assert not account.fetches
    assert held(root) == in_account(account)
    no_damage(root)


@pytest.mark.parametrize("page", range(1, 16))
def test_noise_in_any_page_of_the_catalog_never_costs_mail(whole: Whole, page: int) -> None:
    root, account = whole
    octets = bytearray(catalog_of(root).read_bytes())
    octets[page * 4096 : page * 4096 + 4096] = random.Random(page).randbytes(4096)
    catalog_of(root).write_bytes(octets)
    found = verify(root, quick=False, observer=ignore)
    assert found.damaged_messages == 0
    rebuild(root, ignore)
    assert held(root) == in_account(account)
    assert pull_memory(root, account).accounts[0].downloaded_messages == 0
    no_damage(root)


def test_a_catalog_older_than_the_journal_catches_up(tmp_path: Path) -> None:
    root, old, account = tmp_path / "archive", tmp_path / "old", account_at_first()
    make(root, account)
    copy_catalog(root, old)
    change(account)
    pull_memory(root, account)
    shutil.copyfile(old, catalog_of(root))
    account.fetches.clear()
    assert held(root) == in_account(account)
    assert pull_memory(root, account).accounts[0].downloaded_messages == 0
    no_damage(root)


def test_a_catalog_newer_than_the_journal_is_made_anew(tmp_path: Path) -> None:
    root, new, account = tmp_path / "archive", tmp_path / "new", account_at_first()
    make(root, account)
    shutil.copytree(root, tmp_path / "before")
    change(account)
    pull_memory(root, account)
    copy_catalog(root, new)
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "before", root)
    shutil.copyfile(new, catalog_of(root))
    assert any("made anew" in text for text in opened(root))
    can_be_completed(root, account, Journal.of(root))


def test_the_catalog_of_another_archive_is_not_believed(tmp_path: Path) -> None:
    root, account = tmp_path / "archive", account_at_first()
    make(root, account)
    other = tmp_path / "other"
    strange = MemoryAccount("you@memory.example")
    strange.create("INBOX")
    strange.append("INBOX", message(99))
    make(other, strange)
    shutil.copyfile(catalog_of(other), catalog_of(root))
    assert any("made anew" in text for text in opened(root))
    assert held(root) == in_account(account)
    no_damage(root)


# -- what a crash leaves -------------------------------------------------------------------------------------------


def test_a_tail_that_was_sealed_already_is_replaced(tmp_path: Path) -> None:
    root, account = tmp_path / "archive", account_at_first()
    make(root, account)
    sealed = max((root / "journal").glob("*.jsonl.zst"))
    change(account)
    shutil.copytree(root, tmp_path / "copy")
    stale = tmp_path / "copy"
    (stale / "journal" / "tail.jsonl").write_bytes(decompressed(sealed))
    opened(stale)  # what was packed after the part was sealed has no fact any more, and is put aside
    can_be_completed(stale, account, Journal.of(stale))


def test_left_over_temporary_files_are_removed(whole: Whole) -> None:
    root, account = whole
    rubbish = [root / "README.txt.tmp", root / "mail" / "x.tmp", root / "journal" / "00000009.jsonl.zst.tmp"]
    rubbish += [root / "partial" / "spool.tmp"]
    for path in rubbish:
        path.write_bytes(b"half")
    with (root / "journal" / "tail.jsonl").open("ab") as tail:
        tail.write(b"{")
    pull_memory(root, account)
    assert not any(path.exists() for path in rubbish)
    no_damage(root)


def packed_last(root: Path, account: MemoryAccount) -> tuple[Path, dict[str, int], bytes]:
    """Pull until the open part of the journal tells of a packed block; return the segment, the line and the text."""
    numbers = itertools.count(300)
    while b'{"t":"block"' not in (root / "journal" / "tail.jsonl").read_bytes():
        account.append("INBOX", message(next(numbers), 1200))
        pull_memory(root, account)
    line = list(Journal.of(root).of_type("block"))[-1]
    segment = root / "mail" / f"{line['segment']:08d}.mbox.zst"
    frame = segment.read_bytes()[line["offset"] : line["offset"] + line["length"]]
    return segment, line, zstandard.ZstdDecompressor().decompress(frame)


def without_last_block_line(root: Path) -> None:
    """Cut the journal's tail before its last ``block`` line."""
    tail = root / "journal" / "tail.jsonl"
    octets = tail.read_bytes()
    tail.write_bytes(octets[: octets.rindex(b'{"t":"block"')])


@pytest.mark.parametrize("plain_is_there", [True, False])
@pytest.mark.parametrize("cut", [0, 1, 40])
def test_a_frame_whose_block_line_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_is_there: bool, cut: int
) -> None:
    monkeypatch.setattr(log, "SEAL_SIZE", 1 << 20)
    root = tmp_path / "whole"
    account = make(root)
    segment, line, text = packed_last(root, account)
    assert segment.stat().st_size == line["offset"] + line["length"]
    before = Journal.of(root)
    without_last_block_line(root)
    lost_lines = Journal.of(root)
    assert len(list(lost_lines.of_type("block"))) == len(list(before.of_type("block"))) - 1
    os.truncate(segment, segment.stat().st_size - cut)
    if plain_is_there:
        (root / "mail" / f"open-{line['block']:08d}.mbox").write_bytes(text)
    told = opened(root)
    assert told
    if plain_is_there:
        can_be_completed(root, account, lost_lines)
    else:
        assert pull_memory(root, account).status == "complete"
        assert held(root) == in_account(account)
        no_damage(root)


def test_a_plain_block_that_is_packed_already_is_removed(whole: Whole) -> None:
    root, account = whole
    _, line, text = packed_last(root, account)
    plain = root / "mail" / f"open-{line['block']:08d}.mbox"
    plain.write_bytes(text)
    assert held(root) == in_account(account)
    pull_memory(root, account)
    assert not plain.exists()
    no_damage(root)


@pytest.mark.parametrize("kept", [0, 5, 30, 200])
def test_a_frame_that_is_torn_is_packed_again_from_the_plain_block(whole: Whole, kept: int) -> None:
    root, account = whole
    segment, line, text = packed_last(root, account)
    (root / "mail" / f"open-{line['block']:08d}.mbox").write_bytes(text)
    os.truncate(segment, line["offset"] + min(kept, line["length"] - 1))
    can_be_completed(root, account, Journal.of(root))


def test_octets_without_a_fact_are_kept_aside(whole: Whole) -> None:
    root, account = whole
    surplus = (
        b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nSubject: one\n\n\nFrom MAILER-DAEMON Thu\nSubject: two\n\n\n"
    )
    with max((root / "mail").glob("open-*.mbox")).open("ab") as block:
        block.write(surplus)
    told = opened(root)
    assert any("aside" in text for text in told)
    assert surplus in [path.read_bytes() for path in (root / "aside").iterdir()]
    can_be_completed(root, account, Journal.of(root))


# -- octets that are not what was written --------------------------------------------------------------------------


def read_everything(root: Path, whole: dict[tuple[str, int], bytes], tmp_path: Path) -> int:
    """List, show and export; what comes is exact or an error that says so. Return how many are damaged."""
    damaged = 0
    for row in browse.messages(root, ALL):
        try:
            octets = b"".join(browse.raw(root, row.digest))
        except ArchiveDamaged as error:
            damaged += 1
            assert error.exit_code is ExitCode.INTEGRITY  # noqa: PT017 - either outcome may be right
            continue
        if row.gone_at is None:
            assert octets == whole[row.mailbox, int(row.uid)]
    destination = tmp_path / "export"
    try:
        report = export(root, destination, "eml", ALL, ignore)
        assert not damaged
        assert report.messages
    except ArchiveDamaged as error:
        assert str(damaged) in str(error)  # noqa: PT017 - either outcome may be right
    shutil.rmtree(destination, ignore_errors=True)
    return damaged


def flipped(path: Path, at: int) -> bytes:
    octets = bytearray(path.read_bytes())
    octets[at] ^= 0x10
    return bytes(octets)


@pytest.mark.parametrize("pattern", ["open-*.mbox", "00000001.mbox.zst", "00000002.mbox.zst"])
def test_a_flipped_octet_in_mail_is_named_and_the_rest_is_read(whole: Whole, tmp_path: Path, pattern: str) -> None:
    root, account = whole
    path = max((root / "mail").glob(pattern))
    octets = path.read_bytes()
    noticed = 0
    for at in range(7, len(octets), max(1, len(octets) // 25)):
        path.write_bytes(flipped(path, at))
        found = verify(root, quick=False, observer=ignore)
        damaged = read_everything(root, in_account(account), tmp_path)
        assert bool(found.damaged_messages) >= bool(damaged)
        if found.damage:
            noticed += 1
            assert any("block" in text for text in found.damage)
        path.write_bytes(octets)
    assert noticed > 10
    no_damage(root)


def test_a_flipped_octet_of_the_open_block_is_always_noticed(whole: Whole) -> None:
    root, _account = whole
    path = max((root / "mail").glob("open-*.mbox"))
    octets = path.read_bytes()
    assert octets.count(b"From MAILER-DAEMON ") > 1
    entries = [found.start() for found in re.finditer(rb"^From MAILER-DAEMON ", octets, re.MULTILINE)]
    around = {at for start in [*entries, len(octets)] for at in range(start - 2, start + 45) if 0 <= at < len(octets)}
    for at in sorted(around.union(range(0, len(octets), 97))):
        path.write_bytes(flipped(path, at))
        found = verify(root, quick=False, observer=ignore)
        assert any("block" in text for text in found.damage), (at, octets[at - 5 : at + 5])
        path.write_bytes(octets)
    no_damage(root)


@pytest.mark.parametrize("quick", [True, False])
def test_a_flipped_octet_between_the_frames_of_a_segment_is_noticed(whole: Whole, quick: bool) -> None:
    root, _account = whole
    path = root / "mail" / "00000001.mbox.zst"
    octets = path.read_bytes()
    headers = [found.start() for found in re.finditer(re.escape(b"\x50\x2a\x4d\x18"), octets)]
    assert len(headers) > 1
    for at in (place for start in headers for place in (start, start + 4, start + 8, start + 17)):
        path.write_bytes(flipped(path, at))
        (damage,) = verify(root, quick=quick, observer=ignore).damage
        assert "outside of its messages" in damage
        path.write_bytes(octets)
    no_damage(root)


@pytest.mark.parametrize(("name", "part"), [("00000001.mbox.zst", "end"), ("open-*.mbox", "end")])
def test_what_somebody_appends_to_mail_is_damage_and_kept_aside(whole: Whole, name: str, part: str) -> None:
    root, account = whole
    path = max((root / "mail").glob(name))
    octets = path.read_bytes()
    path.write_bytes(octets + b"something else\n" * 3)
    (damage,) = verify(root, quick=False, observer=ignore).damage
    assert part in damage
    assert path.read_bytes() == octets
    no_damage(root)
    assert held(root) == in_account(account)


def test_what_a_crash_leaves_at_an_end_is_no_damage(whole: Whole) -> None:
    root, _account = whole
    path = max((root / "mail").glob("open-*.mbox"))
    octets = path.read_bytes()
    line = b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n"
    for rest in (line[:9], line + b"Subj", bytes(100), line[:9] + bytes(9)):
        path.write_bytes(octets + rest)
        no_damage(root)
        assert path.read_bytes() == octets


def test_a_flipped_octet_at_the_very_end_of_the_journal_is_noticed(whole: Whole) -> None:
    root, account = whole
    path = root / "journal" / "tail.jsonl"
    octets = path.read_bytes()
    path.write_bytes(flipped(path, len(octets) - 1))
    assert any("journal" in text for text in verify(root, quick=True, observer=ignore).damage)
    path.write_bytes(octets)
    no_damage(root)
    assert held(root) == in_account(account)


def test_an_archive_that_has_another_id_than_its_journal_is_noticed(whole: Whole) -> None:
    root, _account = whole
    path = root / "archive.toml"
    text = path.read_text()
    start = text.index('id = "') + len('id = "')
    path.write_text(text[:start] + ("0" if text[start] != "0" else "1") + text[start + 1 :])
    assert verify(root, quick=True, observer=ignore).damage == [f"{path} does not have the id that the journal has"]


def has_content(path: Path, content: bytes) -> bool:
    """Return whether a frame still holds ``content``: some bits of its header mean nothing."""
    try:
        return decompressed(path) == content
    except zstandard.ZstdError:
        return False


@pytest.mark.parametrize("name", ["00000001.jsonl.zst", "00000002.jsonl.zst", "tail.jsonl"])
def test_a_flipped_octet_in_the_journal_is_named_and_all_mail_is_read(whole: Whole, tmp_path: Path, name: str) -> None:
    root, account = whole
    path = root / "journal" / name
    octets = path.read_bytes()
    content = decompressed(path) if path.suffix == ".zst" else octets
    for at in range(7, len(octets) - 200, max(1, len(octets) // 25)):
        path.write_bytes(flipped(path, at))
        if path.suffix == ".zst" and has_content(path, content):
            path.write_bytes(octets)
            continue
        found = verify(root, quick=False, observer=ignore)
        assert any("journal" in text for text in found.damage), at
        assert read_everything(root, in_account(account), tmp_path) == 0
        path.write_bytes(octets)
    no_damage(root)


@pytest.mark.parametrize("name", ["00000001.jsonl.zst", "tail.jsonl"])
def test_a_missing_part_of_the_journal_is_named_and_all_mail_is_read(whole: Whole, tmp_path: Path, name: str) -> None:
    root, account = whole
    (root / "journal" / name).unlink()
    assert any("journal" in text for text in verify(root, quick=False, observer=ignore).damage)
    assert read_everything(root, in_account(account), tmp_path) == 0


def test_a_rebuild_from_a_damaged_journal_keeps_the_catalog(whole: Whole) -> None:
    root, account = whole
    path = root / "journal" / "00000001.jsonl.zst"
    path.write_bytes(flipped(path, 100))
    with pytest.raises(ArchiveDamaged):
        rebuild(root, ignore)
    assert held(root) == in_account(account)


def test_a_rebuild_that_the_disk_has_no_room_for_keeps_the_catalog(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, account = whole
    real = SqliteCatalog.apply

    def full(_catalog: SqliteCatalog, _facts: object, _position: object) -> None:
        raise StorageFailed("the disk is full")

    told: list[str] = []
    monkeypatch.setattr(SqliteCatalog, "apply", full)
    with pytest.raises(StorageFailed):
        rebuild(root, ignore)
    monkeypatch.setattr(SqliteCatalog, "apply", real)
    assert not list(root.glob("*.tmp*"))
    assert opened(root) == []
    assert held(root) == in_account(account)
    report = rebuild(root, lambda event: told.append(str(event)))
    assert report.messages
    assert told == []
    no_damage(root)


@pytest.mark.parametrize("step", range(3))
def test_a_rebuild_that_is_cut_short_leaves_a_catalog_or_none(
    whole: Whole, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    root, account = whole
    (root / "catalog.sqlite3.tmp-wal").write_bytes(b"left by a rebuild that was killed")
    left = [step]

    def failing(path: Path) -> None:
        if not path.name.startswith("catalog.sqlite3.tmp"):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        files.remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "remove", failing)
        with pytest.raises(KeyboardInterrupt):
            rebuild(root, ignore)
    assert held(root) == in_account(account)
    assert rebuild(root, ignore).messages
    assert not list(root.glob("*.tmp*"))
    no_damage(root)


def test_a_damaged_journal_is_not_written_to(whole: Whole) -> None:
    root, account = whole
    path = root / "journal" / "tail.jsonl"
    spoiled = flipped(path, len(path.read_bytes()) // 3)
    path.write_bytes(spoiled)
    with pytest.raises(ArchiveError) as caught:
        pull_memory(root, account)
    assert caught.value.exit_code is ExitCode.INTEGRITY
    assert path.read_bytes() == spoiled


def test_lost_messages_are_fetched_again_and_only_those(whole: Whole) -> None:
    root, account = whole
    (root / "mail" / "00000001.mbox.zst").unlink()
    assert any("lost" in text for text in opened(root))
    assert any(Journal.of(root).of_type("lost"))
    account.fetches.clear()
    report = pull_memory(root, account)
    assert report.status == "complete"
    assert 0 < report.accounts[0].downloaded_messages < len(in_account(account))
    assert held(root) == in_account(account)
    damage = verify(root, quick=False, observer=ignore).damage
    assert all("were lost before" in text for text in damage), damage
