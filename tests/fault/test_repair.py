"""Damaged messages are given up by name, fetched again by the next pull, and then nothing is damaged any more."""

from pathlib import Path

import pytest

from mailarchive.cli.main import main
from mailarchive.errors import ArchiveDamaged
from mailarchive.ops import browse
from mailarchive.ops.events import ignore
from mailarchive.ops.repair import repair
from mailarchive.ops.verify import verify
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import account_at_first, held, in_account, no_damage, pull_memory
from tests.servers.still_clock import StillClock

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def damaged(tmp_path: Path) -> tuple[Path, MemoryAccount]:
    """An archive with noise in the middle of its first segment, and the account that it is of."""
    root, account = tmp_path / "archive", account_at_first()
    assert pull_memory(root, account).status == "complete"
    path = root / "mail" / "00000001.mbox.zst"
    octets = bytearray(path.read_bytes())
    middle = len(octets) // 2
    octets[middle : middle + 200] = bytes(200)
    path.write_bytes(octets)
    return root, account


def test_what_is_damaged_is_fetched_again_and_nothing_else(damaged: tuple[Path, MemoryAccount]) -> None:
    root, account = damaged
    found = verify(root, quick=False, observer=ignore)
    assert found.damaged_messages
    report = repair(root, ignore, StillClock())
    assert len(report.damaged) == found.damaged_messages
    account.fetches.clear()
    assert pull_memory(root, account).status == "complete"
    assert len(report.damaged) <= sum(account.fetches.values()) < len(in_account(account))
    assert held(root) == in_account(account)
    no_damage(root)
    assert repair(root, ignore, StillClock()).damaged == ()


def test_what_is_damaged_is_said_to_be_lost_until_then(damaged: tuple[Path, MemoryAccount]) -> None:
    root, _account = damaged
    report = repair(root, ignore, StillClock())
    assert any("lost" in text for text in verify(root, quick=False, observer=ignore).damage)
    with pytest.raises(ArchiveDamaged, match="lost"):
        b"".join(browse.raw(root, report.damaged[0]))


def test_the_command_says_what_to_type_next(
    damaged: tuple[Path, MemoryAccount], capsys: pytest.CaptureFixture[str]
) -> None:
    root, account = damaged
    assert main(["repair", "--archive", str(root)]) == 3
    first = capsys.readouterr().out
    assert "mailarchive pull" in first
    assert main(["repair", "--archive", str(root)]) == 3
    again = capsys.readouterr().out
    assert again.split()[0] == first.split()[0]
    assert "recorded as lost before; to fetch again: mailarchive pull" in again
    pull_memory(root, account)
    assert main(["repair", "--archive", str(root)]) == 0
    assert "nothing to repair" in capsys.readouterr().out
    assert main(["repair", "--archive", str(root), "--json"]) == 0
    assert '"damaged": []' in capsys.readouterr().out
