"""Processes that die, or whose disk fails, at a chosen one of the calls that change files."""

import multiprocessing
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, Literal, NoReturn

Death = Literal["kill", "torn", "power", "power-mail", "power-journal"]
"""What is left: ``kill`` all that was written; ``torn`` half of the write at hand too; ``power`` only what was synced;
``power-mail`` and ``power-journal`` what was synced, and all that was written to the other."""

_OPEN_CHANGES = os.O_CREAT | os.O_TRUNC
REAL = {
    name: getattr(os, name)
    for name in (
        "open",
        "write",
        "fsync",
        "replace",
        "rename",
        "unlink",
        "truncate",
        "ftruncate",
        "mkdir",
        "link",
        "rmdir",
    )
}


class Calls:
    """Stands around the functions of ``os`` that change files; ``before`` is told each call, one at a time."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.RLock()

    def install(self) -> None:
        """Take the places of the real functions in this process."""
        for name, real in REAL.items():
            setattr(os, name, self._around(name, real))

    @staticmethod
    def uninstall() -> None:
        """Put the real functions back."""
        for name, real in REAL.items():
            setattr(os, name, real)

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(real)
        def call(*arguments: Any, **named: Any) -> Any:
            if name == "open" and not arguments[1] & _OPEN_CHANGES:
                return real(*arguments, **named)
            with self._lock:
                self.count += 1
                self.before(name, *arguments)
                result = real(*arguments, **named)
                self.after(name, *arguments)
                return result

        return call

    def before(self, name: str, *arguments: Any) -> None:
        """Act before the call; an OSError takes its place."""

    def after(self, name: str, *arguments: Any) -> None:
        """Act after the call."""


class Mortal(Calls):
    """Kills this process before the ``at``-th call."""

    def __init__(self, root: Path, at: int, death: Death) -> None:
        super().__init__()
        self._root = root
        self._at = at
        self._death = death
        self._synced: dict[tuple[int, int], int] = {}

    def before(self, name: str, *arguments: Any) -> None:
        if self.count == self._at:
            if name == "write" and self._death == "torn":
                REAL["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            self._die()
        if name in {"write", "ftruncate"}:
            status = os.fstat(arguments[0])
            self._synced.setdefault((status.st_dev, status.st_ino), status.st_size)

    def after(self, name: str, *arguments: Any) -> None:
        if name in {"fsync", "ftruncate"}:
            status = os.fstat(arguments[0])
            key = status.st_dev, status.st_ino
            if name == "fsync":
                self._synced[key] = status.st_size
            else:
                self._synced[key] = min(status.st_size, self._synced.get(key, status.st_size))

    def _die(self) -> NoReturn:
        if self._death.startswith("power"):
            self._lose_what_was_not_synced()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")

    def _lose_what_was_not_synced(self) -> None:
        """Cut files to what was synced of them; SQLite does not sync at each commit, so its log is lost as well."""
        spared = {"power": "", "power-mail": "journal", "power-journal": "mail"}[self._death]
        for path in self._root.rglob("*"):
            status = path.lstat()
            synced = self._synced.get((status.st_dev, status.st_ino), status.st_size)
            if stat.S_ISREG(status.st_mode) and synced < status.st_size and path.parent.name != spared:
                REAL["truncate"](path, synced)
        for path in self._root.glob("catalog.sqlite3-*"):
            REAL["unlink"](path)


class Failing(Calls):
    """Lets the ``at``-th call fail with ``number``, a write after half of its octets."""

    def __init__(self, at: int, number: int) -> None:
        super().__init__()
        self._at = at
        self._errno = number

    def before(self, name: str, *arguments: Any) -> None:
        if self.count == self._at:
            if name == "write":
                REAL["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            raise OSError(self._errno, os.strerror(self._errno))


def server() -> ForkServerContext:
    """Return a way to start processes that have all modules loaded and no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fault.scripts"])
    with _without_coverage():
        forkserver.ensure_running()
    return context


@contextmanager
def _without_coverage() -> Iterator[None]:
    """Let a process be started that does not count: those that are killed can tell nothing, and take twice as long."""
    config = os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    try:
        yield
    finally:
        if config is not None:
            os.environ["COVERAGE_PROCESS_CONFIG"] = config


def run(target: Callable[..., None], *arguments: object) -> int:
    """Run ``target`` in a process of its own; return its exit code (a negative signal number if it was killed)."""
    process: ForkServerProcess = server().Process(target=target, args=arguments)
    process.start()
    process.join(60)
    code = process.exitcode
    assert code is not None
    process.close()
    return code


def run_traced(target: Callable[..., None], *arguments: object, inject: str) -> int | None:
    """Run ``target``, which stops itself first, while strace does what ``inject`` says to its system calls.

    Return its exit code as ``run`` does, None if processes may not be traced here.
    """
    process: ForkServerProcess = server().Process(target=target, args=arguments)
    process.start()
    assert process.pid is not None
    while "State:\tT" not in _status(process.pid):
        _pause()
    calls = inject.partition(":")[0]
    strace = subprocess.Popen(
        [
            "strace",
            "-f",
            "-qq",
            "-o",
            os.devnull,
            "-e",
            f"trace={calls}",
            "-e",
            f"inject={inject}",
            "-p",
            str(process.pid),
        ],
        stderr=subprocess.PIPE,
    )
    try:
        while "TracerPid:\t0\n" in _status(process.pid):
            if strace.poll() is not None:
                return None
            _pause()
        os.kill(process.pid, signal.SIGCONT)
        process.join(60)
    finally:
        process.kill()
        strace.communicate(timeout=60)
    return process.exitcode


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text(encoding="ascii")


def _pause() -> None:
    time.sleep(0.002)  # noqa: TID251 - another process's pace, not ours
