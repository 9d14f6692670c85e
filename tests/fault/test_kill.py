"""Whatever call a process dies before: nothing that was recorded is lost, and the next run completes the archive."""

import itertools
import shutil
from pathlib import Path

import pytest

from mailarchive.archive.archive import Kind
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import (
    MAILDIR,
    MBOX,
    Journal,
    account_at_first,
    can_be_completed,
    change,
    make,
    no_damage,
    pull_memory,
)
from tests.fault.deaths import Death, run, run_traced
from tests.fault.scripts import KILLED, open_again, pull_traced, pull_twice

STRIPES = 4
pytestmark = [pytest.mark.usefixtures("small"), pytest.mark.no_cover]


@pytest.fixture
def final() -> MemoryAccount:
    """The account as it is after the script."""
    account = account_at_first()
    change(account)
    return account


def killed_at(root: Path, at: int, death: Death, kind: Kind = MBOX) -> bool:
    """Run the script until it dies before call ``at``; return whether it did."""
    code = run(pull_twice, root, at, death, kind)
    assert code in {0, KILLED}
    return code == KILLED


@pytest.mark.parametrize(("death", "stripe"), [("kill", 1), ("torn", 2), ("kill", 3), ("torn", 4)])
def test_what_was_recorded_survives_the_death_of_the_process(
    tmp_path: Path, final: MemoryAccount, death: Death, stripe: int
) -> None:
    for at in itertools.count(stripe, STRIPES):
        root = tmp_path / str(at)
        died = killed_at(root, at, death)
        can_be_completed(root, final, Journal.of(root))
        if not died:
            break
    assert at > 100


@pytest.mark.usefixtures("maildir")
@pytest.mark.parametrize("death", ["kill", "torn", "power", "power-mail", "power-journal"])
def test_a_maildir_archive_survives_as_well(tmp_path: Path, final: MemoryAccount, death: Death) -> None:
    first = ("kill", "torn", "power", "power-mail", "power-journal").index(death)
    for at in itertools.count(1 + first, 17):
        root = tmp_path / str(at)
        died = killed_at(root, at, death, MAILDIR)
        before = Journal.of(root)
        can_be_completed(root, final, before.checkpointed() if death.startswith("power") else before)
        if not died:
            break
    assert at > 100


@pytest.mark.parametrize("death", ["power", "power-mail", "power-journal"])
def test_what_was_checkpointed_survives_a_power_failure(tmp_path: Path, final: MemoryAccount, death: Death) -> None:
    for at in itertools.count(1, 4):
        root = tmp_path / str(at)
        died = killed_at(root, at, death)
        can_be_completed(root, final, Journal.of(root).checkpointed())
        if not died:
            break
    assert at > 100


@pytest.mark.parametrize("stripe", range(2))
def test_mending_can_be_killed_before_any_call(tmp_path: Path, final: MemoryAccount, stripe: int) -> None:
    deaths: tuple[Death, ...] = ("torn", "power", "kill", "power-journal", "power-mail")
    steps = 0
    for death, at in zip(itertools.cycle(deaths), range(30 + 43 * stripe, 210, 89), strict=False):
        damaged = tmp_path / f"{at}-{death}"
        assert killed_at(damaged, at, death)
        if at % 2 == 0 and death == "kill":
            (damaged / "catalog.sqlite3").unlink()
        before = Journal.of(damaged)
        promised = before.checkpointed() if death.startswith("power") else before
        for step in itertools.count(1):
            root = tmp_path / f"{at}-{death}-{step}"
            shutil.copytree(damaged, root)
            code = run(open_again, root, step, "torn" if step % 2 else "kill")
            can_be_completed(root, final, promised)
            shutil.rmtree(root)
            if code == 0:
                break
            assert code == KILLED
            steps += 1
    assert steps > 10


def test_sqlite_can_be_killed_before_any_of_its_writes(tmp_path: Path, final: MemoryAccount) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed: apt-get install -y strace")
    deaths = 0
    for at in itertools.count(3, 14):
        root = tmp_path / str(at)
        code = run_traced(pull_traced, root, inject=f"pwrite64,fdatasync:signal=KILL:when={at}")
        if code is None:
            pytest.skip("strace may not trace processes here")
        assert code in {0, KILLED}
        can_be_completed(root, final, Journal.of(root))
        if code == 0:
            break
        deaths += 1
    assert deaths > 5


def test_the_sentences_of_mending_are_told_once(tmp_path: Path, final: MemoryAccount) -> None:
    root = tmp_path / "archive"
    make(root)
    with (root / "journal" / "tail.jsonl").open("ab") as tail:
        tail.write(b'{"t":"placed"')
    told: list[str] = []
    pull_memory(root, final, tell=told)
    assert [text for text in told if "cut short" in text]
    told.clear()
    pull_memory(root, final, tell=told)
    assert told == []
    no_damage(root)
