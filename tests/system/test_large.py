"""A very large message: memory does not grow with it, on the way in and on the way out."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.faults import Fault, FetchAnswer
from mailarchive.loopback.server import LoopbackServer
from mailarchive.loopback.wire import Wire
from mailarchive.remote.imap.pieces import OVERLAP, PIECE
from tests.system.conftest import Program

SIZE = 150 << 20
MOST = 120_000_000
"""Octets of memory that a pull may take."""
UNCOUNTED = {"COVERAGE_PROCESS_CONFIG": ""}
"""So that a process is not slowed down, and takes no memory, to count lines."""
BLOCKS = 6 * (8 << 20)
"""How much the peak may rise: a few blocks, in octets."""


def peak_of(*arguments: str, environment: dict[str, str]) -> int:
    """Run the program in a process of its own and return its peak resident size in octets."""
    script = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024); sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, sys.executable, "-m", "mailarchive", *arguments],
        env={**os.environ, **environment, **UNCOUNTED},
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.splitlines()[-1])


def large(size: int) -> bytes:
    """Return a message with one line of 10 MB, and quoted ``From `` lines all along."""
    head = b"Subject: large\r\n\r\n" + b"y" * 10_000_000 + b"\r\n"
    line = b"From here on >From\r\n>From " + hashlib.sha512(b"x").hexdigest().encode() + b"\r\n"
    return head + line * ((size - len(head)) // len(line) + 1)


@pytest.mark.no_cover
def test_memory_does_not_grow_with_a_message(tmp_path: Path) -> None:
    peaks = {}
    for name, size in (("small", 1 << 20), ("large", SIZE)):
        octets = large(size)
        account = LoopbackAccount()
        account.append("INBOX", octets)
        account.append("INBOX", b"Subject: after\r\n\r\nx\r\n")
        root = tmp_path / name
        with LoopbackServer(account) as server:
            environment = {"MAILARCHIVE_PASSWORD": account.password, "MAILARCHIVE_ARCHIVE": str(root)}
            url = f"imap://{account.user}@127.0.0.1:{server.port}"
            peaks[name, "pull"] = peak_of("pull", url, "--quiet", environment=environment)
        peaks[name, "verify"] = peak_of("verify", "--quiet", environment=environment)
        for form in ("eml", "mbox"):
            out = tmp_path / f"{name}-{form}"
            peaks[name, form] = peak_of("export", str(out), "--format", form, "--quiet", environment=environment)
        digests = {hashlib.sha256(path.read_bytes()).digest() for path in (tmp_path / f"{name}-eml").rglob("*.eml")}
        assert hashlib.sha256(octets).digest() in digests
        del octets
    assert peaks["large", "pull"] < MOST
    for step in ("pull", "verify", "eml", "mbox"):
        assert peaks["large", step] - peaks["small", step] < BLOCKS, json.dumps({str(k): v for k, v in peaks.items()})


class Halfway(Fault):
    """Sets ``reached`` when half of the message has been asked for."""

    def __init__(self) -> None:
        self.reached = threading.Event()

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        if any(name.startswith("BODY[]<") and int(name[7:-1]) > SIZE // 2 for name in answer.items):
            self.reached.set()
        return answer


@pytest.mark.no_cover
def test_a_killed_pull_goes_on_in_the_middle_of_a_message(tmp_path: Path) -> None:
    octets = large(SIZE)
    account = LoopbackAccount()
    account.append("INBOX", octets)
    halfway = Halfway()
    with LoopbackServer(account) as server:
        server.faults.append(halfway)
        program = Program(tmp_path, {"MAILARCHIVE_PASSWORD": account.password, **UNCOUNTED})
        url = f"imap://{account.user}@127.0.0.1:{server.port}"
        with program.start("pull", url, "--quiet") as process:
            assert halfway.reached.wait(120)
            process.kill()
        server.faults.clear()
        peak = peak_of("pull", url, "--quiet", environment=program.env)
        commands = [line for line in server.counts.commands if "BODY.PEEK[]" in line]
        again = server.counts.body_octets - len(octets)
    assert peak < MOST
    assert all("<" in line for line in commands)
    assert again <= 2 * PIECE + OVERLAP * len(commands)
    assert [path.name for path in (program.archive / "partial").iterdir()] == []
    (row,) = program.rows("list")
    assert row["id"] == hashlib.sha256(octets).hexdigest()
    program("verify", "--quiet")
