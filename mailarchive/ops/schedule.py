"""Have this machine's scheduler run pulls: put it there, take it away, say what is there."""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mailarchive.errors import UsageError
from mailarchive.files import make_directory, remove, replace_durably
from mailarchive.ops.timetable import LABEL, NAME, Job, block_of, cron_line, launch_agent, service, timer, with_block

_PATIENCE = 60


class Step(NamedTuple):
    """What is done to have something scheduled: a file that is written, or a command that is run."""

    what: str
    text: str = ""


class Scheduler(ABC):
    """One way of this machine to run something again and again."""

    name: str

    @abstractmethod
    def plan(self, job: Job) -> list[Step]:
        """Return what ``install`` would do. Raises UsageError."""

    @abstractmethod
    def install(self, job: Job) -> None:
        """Have ``job`` run, in place of what was there. Raises UsageError, StorageFailed."""

    @abstractmethod
    def remove(self) -> bool:
        """Take it away; return whether it was there. Raises UsageError, StorageFailed."""

    @abstractmethod
    def show(self) -> list[Step]:
        """Return what is there; nothing if there is nothing of ours."""


class Systemd(Scheduler):
    """A service and a timer of the user's own manager."""

    name = "systemd"

    def __init__(self, directory: Path) -> None:
        """``directory`` is where that looks for units, usually ``~/.config/systemd/user``."""
        self._service = directory / f"{NAME}.service"
        self._timer = directory / f"{NAME}.timer"

    def plan(self, job: Job) -> list[Step]:
        enable = " ".join(self._enable())
        files = [Step(f"write {self._service}", service(job)), Step(f"write {self._timer}", timer(job))]
        return [*files, Step("run systemctl --user daemon-reload"), Step(f"run {enable}")]

    def install(self, job: Job) -> None:
        was_there = self._timer.exists()
        make_directory(self._service.parent)
        replace_durably(self._service, service(job).encode())
        replace_durably(self._timer, timer(job).encode())
        try:
            run(["systemctl", "--user", "daemon-reload"])
            run(self._enable())
        except UsageError:
            if not was_there:
                self._remove_files()
            raise

    def remove(self) -> bool:
        if not self._timer.exists() and not self._service.exists():
            return False
        run(["systemctl", "--user", "disable", "--now", self._timer.name])
        self._remove_files()
        run(["systemctl", "--user", "daemon-reload"])
        return True

    def _remove_files(self) -> None:
        for path in (self._timer, self._service):
            remove(path)

    def show(self) -> list[Step]:
        return [Step(str(path), path.read_text()) for path in (self._service, self._timer) if path.exists()]

    def _enable(self) -> list[str]:
        return ["systemctl", "--user", "enable", "--now", self._timer.name]


class Cron(Scheduler):
    """Lines between markers in the user's crontab."""

    name = "cron"

    def plan(self, job: Job) -> list[Step]:
        return [Step("into the crontab", with_block("", cron_line(job)))]

    def install(self, job: Job) -> None:
        line = cron_line(job)
        self._replace(with_block(self._crontab(), line))

    def remove(self) -> bool:
        before = self._crontab()
        after = with_block(before, None)
        if after != before:
            self._replace(after)
        return after != before

    def show(self) -> list[Step]:
        line = block_of(self._crontab())
        return [] if line is None else [Step("the crontab", line + "\n")]

    @staticmethod
    def _crontab() -> str:
        """Return the whole crontab; empty if there is none yet."""
        done = _done(["crontab", "-l"])
        if done.returncode and b"no crontab" not in done.stderr.lower():
            raise _failed(["crontab", "-l"], done)
        return "" if done.returncode else done.stdout.decode("utf-8", "surrogateescape")

    def _replace(self, text: str) -> None:
        run(["crontab", "-"], text.encode("utf-8", "surrogateescape"))


class Launchd(Scheduler):
    """An agent of the user's on macOS."""

    name = "launchd"

    def __init__(self, directory: Path, log: Path) -> None:
        """``directory`` is usually ``~/Library/LaunchAgents``; what the agent says goes to ``log``."""
        self._file = directory / f"{LABEL}.plist"
        self._log = log

    def plan(self, job: Job) -> list[Step]:
        agent = launch_agent(job, self._log).decode()
        return [Step(f"write {self._file}", agent), Step(f"run {' '.join(self._bootstrap())}")]

    def install(self, job: Job) -> None:
        if self._file.exists():
            self.remove()
        make_directory(self._file.parent)
        replace_durably(self._file, launch_agent(job, self._log))
        run(self._bootstrap())

    def remove(self) -> bool:
        if not self._file.exists():
            return False
        _done(["launchctl", "bootout", f"gui/{os.getuid()}/{LABEL}"])
        remove(self._file)
        return True

    def show(self) -> list[Step]:
        return [Step(str(self._file), self._file.read_text())] if self._file.exists() else []

    def _bootstrap(self) -> list[str]:
        return ["launchctl", "bootstrap", f"gui/{os.getuid()}", str(self._file)]


def run(command: Sequence[str], octets: bytes = b"") -> None:
    """Run a program of the system, with ``octets`` for it to read. Raises UsageError with what it says."""
    done = _done(command, octets)
    if done.returncode:
        raise _failed(command, done)


def _done(command: Sequence[str], octets: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(command, input=octets, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no end within {_PATIENCE} seconds"
        raise UsageError(f"{command[0]} cannot be run: {reason}", hint="choose another way, like --cron") from None


def _failed(command: Sequence[str], done: "subprocess.CompletedProcess[bytes]") -> UsageError:
    said = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
    return UsageError(f"{' '.join(command)} failed: {said}", hint="see what would be done with --dry-run")
