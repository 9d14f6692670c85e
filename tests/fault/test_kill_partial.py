"""Whatever call a process dies before while a message comes in pieces: the next run goes on, and no octet is wrong."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailarchive.archive.archive import Kind
from mailarchive.model import RemoteUid
from mailarchive.ops import plan
from mailarchive.remote import memory
from tests.fault import archives
from tests.fault.archives import MAILDIR, MBOX, Journal, can_be_completed
from tests.fault.deaths import Death, run
from tests.fault.scripts import KILLED, LARGE, PIECE, account_of_large, pull_large

pytestmark = [pytest.mark.usefixtures("small"), pytest.mark.no_cover]


@pytest.fixture(autouse=True)
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "LARGE", LARGE)
    monkeypatch.setattr(memory, "PIECE", PIECE)


def durable(root: Path) -> dict[int, int]:
    """Return how many octets of each message are said to be durable, read without the package."""
    found = {}
    for path in (root / "partial").glob("*.json"):
        about = json.loads(path.read_bytes())
        found[about["uid"]] = about["length"]
        assert path.with_suffix(".part").stat().st_size >= about["length"]
    return found


def asked_from(monkeypatch: pytest.MonkeyPatch) -> dict[RemoteUid, int]:
    """Return a dict that will say from which octet on each message was first asked for."""
    starts: dict[RemoteUid, int] = {}
    real = memory.MemoryOpenMailbox.pieces

    def pieces(self: memory.MemoryOpenMailbox, uid: RemoteUid, offset: int, before: bytes = b"") -> Iterator[bytes]:
        starts.setdefault(uid, offset)
        return real(self, uid, offset, before)

    monkeypatch.setattr(memory.MemoryOpenMailbox, "pieces", pieces)
    return starts


@pytest.mark.parametrize(
    ("kind", "death", "stride"),
    [(MBOX, "kill", 2), (MBOX, "torn", 3), (MBOX, "power", 3), (MAILDIR, "kill", 7), (MAILDIR, "power", 11)],
)
def test_a_death_at_any_call_costs_at_most_a_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, death: Death, stride: int
) -> None:
    monkeypatch.setattr(archives, "kind", kind)
    resumed = 0
    for at in itertools.count(1, stride):
        root = tmp_path / str(at)
        code = run(pull_large, root, at, death, kind)
        assert code in {0, KILLED}
        before = durable(root) if (root / "archive.toml").exists() else {}
        journal = Journal.of(root)
        promised = journal if death != "power" else journal.checkpointed()
        account = account_of_large()
        with monkeypatch.context() as patch:
            starts = asked_from(patch)
            can_be_completed(root, account, promised)
        placed = {uid for _mailbox, _validity, uid in promised.placed()}
        for uid, length in before.items():
            if uid not in placed and (uid in starts or death != "power"):
                assert starts[uid] == length
                resumed += length > 0
        assert list((root / "partial").iterdir()) == []
        if code == 0:
            break
    assert resumed > 20 // stride


@pytest.mark.parametrize("stripe", range(2))
def test_going_on_can_be_killed_before_any_call(tmp_path: Path, stripe: int) -> None:
    """Die in the middle of a message, then again at each call of the run that goes on."""
    for at in itertools.count(1 + stripe, 2):
        root = tmp_path / str(at)
        assert run(pull_large, root, 80, "kill") == KILLED
        assert durable(root)
        code = run(pull_large, root, at, "torn" if at % 3 else "kill")
        assert code in {0, KILLED}
        can_be_completed(root, account_of_large(), Journal.of(root))
        assert list((root / "partial").iterdir()) == []
        if code == 0:
            break
    assert at > 40
