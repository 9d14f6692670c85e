"""Reading everything decompresses each frame once, and gives the same however many processes read."""

import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import get_args

import pytest

from mailarchive.archive import checking, outgoing
from mailarchive.errors import ArchiveDamaged
from mailarchive.ops import browse
from mailarchive.ops.events import Event, Notice, ignore
from mailarchive.ops.export import Format, export
from mailarchive.ops.selection import Selection
from mailarchive.ops.verify import verify
from mailarchive.store import frames
from tests.fault.archives import make

pytestmark = pytest.mark.usefixtures("small")
ALL = Selection(gone=None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """Count how often each frame is decompressed."""
    counts: Counter[bytes] = Counter()
    original = frames.read_frame

    def counted(frame: bytes, size: int) -> bytes:
        counts[frame] += 1
        return original(frame, size)

    monkeypatch.setattr(frames, "read_frame", counted)
    return counts


def crowd(monkeypatch: pytest.MonkeyPatch, helpers: int) -> None:
    for module in (checking, outgoing):
        monkeypatch.setattr(module, "helpers_for", lambda _octets: helpers)


def files(root: Path) -> dict[Path, bytes]:
    paths = [root] if root.is_file() else root.rglob("*")
    return {path.relative_to(root): path.read_bytes() for path in paths if path.is_file()}


def damage(root: Path) -> None:
    """Spoil the middle of a frame and of the open block."""
    for pattern in ("00000001.mbox.zst", "open-*.mbox"):
        path = max((root / "mail").glob(pattern))
        octets = bytearray(path.read_bytes())
        octets[len(octets) // 2] ^= 0x10
        path.write_bytes(octets)


@pytest.mark.parametrize("form", get_args(Format))
def test_export_decompresses_each_frame_once(root: Path, tmp_path: Path, read: Counter[bytes], form: Format) -> None:
    report = export(root, tmp_path / "out", form, ALL, ignore)
    assert report.messages > len(read) > 3
    assert set(read.values()) == {1}


@pytest.mark.parametrize("form", ["eml", "maildir"])
def test_an_export_that_is_there_decompresses_nothing(
    root: Path, tmp_path: Path, read: Counter[bytes], form: Format
) -> None:
    written = export(root, tmp_path / "out", form, ALL, ignore).messages
    read.clear()
    again = export(root, tmp_path / "out", form, ALL, ignore)
    assert (again.messages, again.skipped) == (0, written)
    assert not read


def test_one_mbox_to_a_pipe_has_what_a_file_has_and_nothing_damaged(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "all.mbox", "one-mbox", ALL, ignore, marked=True)
    sent: list[bytes] = []
    export(root, sent.extend, "one-mbox", ALL, ignore, marked=True)
    in_file, in_pipe = entries((tmp_path / "all.mbox").read_bytes()), entries(b"".join(sent))
    assert sorted(in_pipe) == sorted(in_file)
    damage(root)
    sent.clear()
    with pytest.raises(ArchiveDamaged, match="left out"):
        export(root, sent.extend, "one-mbox", ALL, ignore, marked=True)
    assert 0 < len(entries(b"".join(sent))) < len(in_pipe)
    assert set(entries(b"".join(sent))) < set(in_pipe)


def entries(text: bytes) -> list[bytes]:
    return [entry for entry in re.split(rb"^(?=From MAILER-DAEMON )", text, flags=re.MULTILINE) if entry]


def test_the_first_messages_are_the_same_as_in_a_list(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "out", "eml", ALL, ignore, limit=3)
    listed = sorted(row.digest.hex()[:16] for row in islice(browse.messages(root, ALL), 3))
    assert sorted(path.stem[-16:] for path in (tmp_path / "out").rglob("*.eml")) == listed


def test_verify_decompresses_each_frame_once(root: Path, read: Counter[bytes]) -> None:
    assert not verify(root, quick=False, observer=ignore).damage
    mail = {frame for frame in read if frame}
    assert len(mail) > 3
    assert set(read.values()) == {1}


def test_the_first_messages_of_a_list_need_their_own_blocks_only(root: Path, read: Counter[bytes]) -> None:
    rows = list(islice(browse.messages(root, ALL), 3))
    assert len(rows) == 3
    assert sum(read.values()) <= 3


@pytest.mark.parametrize("form", get_args(Format))
@pytest.mark.parametrize("spoiled", [False, True])
def test_helpers_bring_out_the_same(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Format, spoiled: bool
) -> None:
    if spoiled:
        damage(root)
    told: list[list[str]] = []
    for helpers in (0, 2):
        crowd(monkeypatch, helpers)
        sentences: list[str] = []

        def observe(event: Event, sentences: list[str] = sentences) -> None:
            if isinstance(event, Notice):
                sentences.append(event.text)

        try:
            assert export(root, tmp_path / f"out-{helpers}", form, ALL, observe).messages
            assert not spoiled
        except ArchiveDamaged as error:
            assert spoiled
            sentences.append(str(error).split(" are in ", maxsplit=1)[0])
        told.append(sorted(sentences))
    assert files(tmp_path / "out-0") == files(tmp_path / "out-2")
    assert told[0] == told[1]
    assert bool(told[0]) == spoiled


@pytest.mark.parametrize("spoiled", [False, True])
def test_helpers_find_the_same_damage(root: Path, monkeypatch: pytest.MonkeyPatch, spoiled: bool) -> None:
    if spoiled:
        damage(root)
    found = []
    for helpers in (0, 2):
        crowd(monkeypatch, helpers)
        report = verify(root, quick=False, observer=ignore)
        report.seconds = 0
        found.append(report)
    assert found[0] == found[1]
    assert bool(found[0].damage) == spoiled
