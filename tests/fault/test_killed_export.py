"""Whatever call an export into a Maildir dies before: nothing half is in a mailbox, and the next one completes it."""

import itertools
from pathlib import Path

import pytest

from mailarchive.ops.events import ignore
from mailarchive.ops.export import export
from mailarchive.ops.selection import Selection
from tests.fault.archives import make
from tests.fault.deaths import run
from tests.fault.scripts import KILLED, export_maildir

pytestmark = [pytest.mark.usefixtures("small"), pytest.mark.no_cover]


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("cur/*")}


def test_a_killed_export_leaves_whole_messages_and_is_completed(tmp_path: Path) -> None:
    make(tmp_path / "archive")
    export(tmp_path / "archive", tmp_path / "whole", "maildir", Selection(gone=None), ignore)
    whole = files(tmp_path / "whole")
    for at in itertools.count(3, 11):
        destination = tmp_path / str(at)
        code = run(export_maildir, tmp_path / "archive", destination, at)
        assert files(destination).items() <= whole.items()
        export(tmp_path / "archive", destination, "maildir", Selection(gone=None), ignore)
        assert files(destination) == whole
        assert not list(destination.rglob("tmp/*"))
        if code != KILLED:
            break
    assert at > 50
