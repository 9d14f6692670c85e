"""One process writes; others read meanwhile; a writer that died is in nobody's way."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mailarchive.errors import ArchiveLocked, ExitCode
from mailarchive.ops import browse
from mailarchive.ops.events import ignore
from mailarchive.ops.export import export
from mailarchive.ops.rebuild import rebuild
from mailarchive.ops.selection import Selection
from mailarchive.ops.verify import verify
from tests.fault.archives import Journal, account_at_first, held, in_account, make, no_damage, pull_memory
from tests.fault.deaths import server
from tests.fault.scripts import hold, pull_step_by_step

pytestmark = pytest.mark.usefixtures("small")


@contextmanager
def other_process(target: object, root: Path) -> Iterator[tuple[int, Connection]]:
    """Run ``target`` with a pipe to us; it is killed at the end if it lives."""
    context = server()
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(root, theirs))  # type: ignore[arg-type]
    process.start()
    theirs.close()
    assert process.pid is not None
    try:
        yield process.pid, ours
    finally:
        process.kill()
        process.join(60)
        ours.close()


def test_a_second_writer_is_told_who_writes_and_since_when(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    account = make(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with other_process(hold, root) as (pid, pipe):
        assert pipe.recv() == "held"
        for write in (lambda: pull_memory(root, account), lambda: rebuild(root, ignore)):
            with pytest.raises(ArchiveLocked, match=rf"process {pid} .*\(mailarchive test\) since 20\d\d-") as caught:
                write()
            assert caught.value.exit_code is ExitCode.ARCHIVE_LOCKED
        for path, octets in before.items():
            assert path.name.startswith(("lock", "catalog")) or path.read_bytes() == octets
    assert pull_memory(root, account).status == "complete"
    no_damage(root)


def test_a_lock_that_cannot_be_read_still_locks(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    account = make(root)
    with other_process(hold, root) as (_, pipe):
        assert pipe.recv() == "held"
        (root / "lock").write_bytes(b"\xff not JSON")
        with pytest.raises(ArchiveLocked, match="another process"):
            pull_memory(root, account)


def test_the_lock_of_a_killed_process_blocks_nobody(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    account = make(root)
    with other_process(hold, root) as (pid, pipe):
        assert pipe.recv() == "held"
        os.kill(pid, 9)
        with pytest.raises(EOFError):
            pipe.recv()
    assert str(pid) in (root / "lock").read_text(encoding="ascii")
    assert pull_memory(root, account).status == "complete"


def test_readers_read_while_a_pull_runs(tmp_path: Path) -> None:
    """What a reader sees is a whole state: never less than before, always exact."""
    root, account = tmp_path / "archive", account_at_first()
    expected = {hashlib.sha256(octets).digest() for octets in in_account(account).values()}
    seen = steps = 0
    with other_process(pull_step_by_step, root) as (_, pipe):
        while pipe.recv() == "fetching":
            steps += 1
            rows = list(browse.messages(root, Selection()))
            for row in rows:
                assert row.digest in expected
                assert hashlib.sha256(b"".join(browse.raw(root, row.digest))).digest() == row.digest
            assert seen <= len(rows) <= browse.stats(root).messages
            seen = len(rows)
            found = verify(root, quick=False, observer=ignore)
            assert not found.damage, found.damage
            assert export(root, tmp_path / f"export-{steps}", "eml", Selection(), ignore).messages == seen
            pipe.send("go on")
    assert seen > len(expected) // 2
    assert steps == len(expected)
    assert held(root) == in_account(account)
    no_damage(root)


def test_a_reader_does_not_mend_what_a_writer_is_at(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    with other_process(pull_step_by_step, root) as (_, pipe):
        for _ in range(5):
            assert pipe.recv() == "fetching"
            pipe.send("go on")
        assert pipe.recv() == "fetching"
        before = Journal.of(root).lines
        told: list[str] = []
        browse.mailboxes(root, tell=told.append)
        assert told == []
        assert Journal.of(root).lines == before
