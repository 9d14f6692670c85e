"""One call that fails among many that do not: the run ends with exit code 15 or is not disturbed; nothing is lost."""

import errno
import itertools
import shutil
from pathlib import Path

import pytest

from mailarchive.archive.archive import Kind
from mailarchive.errors import ExitCode
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import Journal, account_at_first, can_be_completed, change
from tests.fault.deaths import run, run_traced
from tests.fault.scripts import pull_failing, pull_traced

pytestmark = [pytest.mark.usefixtures("small"), pytest.mark.no_cover]
CALLS = {"mbox": 210, "maildir": 440}
"""About as many as the script makes."""
STRIPES = {"mbox": 5, "maildir": 13}


@pytest.fixture
def final() -> MemoryAccount:
    """The account as it is after the script."""
    account = account_at_first()
    change(account)
    return account


@pytest.mark.parametrize("stripe", [1, 2, 3])
def test_any_call_may_fail_once(tmp_path: Path, final: MemoryAccount, stripe: int, kind: Kind) -> None:
    failed = 0
    numbers = itertools.cycle((errno.EIO, errno.ENOSPC))
    for at, number in zip(range(stripe, CALLS[kind.layout], STRIPES[kind.layout]), numbers, strict=False):
        root = tmp_path / str(at)
        code = run(pull_failing, root, at, number, kind)
        assert code in {0, ExitCode.STORAGE_FAILED}
        failed += code != 0
        can_be_completed(root, final, Journal.of(root))
    assert failed > 20


def test_the_disk_may_be_full_at_any_write_of_sqlite(tmp_path: Path, final: MemoryAccount) -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed: apt-get install -y strace")
    failed = 0
    for at in itertools.count(1, 15):
        root = tmp_path / str(at)
        code = run_traced(pull_traced, root, inject=f"pwrite64:error=ENOSPC:when={at}+")
        if code is None:
            pytest.skip("strace may not trace processes here")
        assert code in {0, ExitCode.STORAGE_FAILED}
        can_be_completed(root, final, Journal.of(root))
        if code == 0:
            break
        failed += 1
    assert failed > 5
