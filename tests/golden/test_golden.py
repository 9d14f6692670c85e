"""An archive of each format version that was ever released opens, verifies, and gives what was put in."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from mailarchive.ops import browse
from mailarchive.ops.events import ignore
from mailarchive.ops.selection import Selection
from mailarchive.ops.verify import verify

HERE = Path(__file__).parent


@pytest.mark.parametrize("version", ["1", "1-maildir"])
def test_an_archive_of_this_format_gives_every_message(tmp_path: Path, version: str) -> None:
    root = tmp_path / "archive"
    shutil.copytree(HERE / f"format-{version}", root)
    expected = json.loads((HERE / f"format-{version}.json").read_text())
    rows = list(browse.messages(root, Selection(gone=None)))
    assert [
        [row.mailbox, row.uid, row.digest.hex(), row.size, row.gone_at is not None, list(row.flags)] for row in rows
    ] == expected
    for row in rows:
        octets = b"".join(browse.raw(root, row.digest))
        assert (hashlib.sha256(octets).digest(), len(octets)) == (row.digest, row.size)
    assert verify(root, quick=False, observer=ignore).damage == []
