"""Runs of processes and what they took."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = Path(__file__).resolve().parent / "processes"
PASSWORD = "secret"  # noqa: S105 - of the server on loopback
_SETTLE = 1.1
_PYTHON = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Measured:
    """Wall-clock and processor seconds, peak memory in MiB, the exit code with the last words.

    ``bodies`` and ``sent`` are the messages and the octets that the IMAP server says it sent.
    """

    seconds: float
    processor: float
    peak: float
    exit_code: int
    words: str = ""
    bodies: int | None = None
    sent: int | None = None


SIZES = (1_000, 10_000, 100_000)
"""How figures grow is told by so many messages."""


@dataclass
class Series:
    """The runs of several steps, by name, in the order in which they first ran."""

    runs: dict[str, list[Measured]] = field(default_factory=dict)

    def add(self, name: str, measured: Measured) -> None:
        """Add one run of the step ``name``."""
        self.runs.setdefault(name, []).append(measured)

    def median(self, name: str, what: str = "seconds") -> float | None:
        """Return the median of a field, or None if the step was not run, failed, or lacks it."""
        runs = self.runs.get(name, [])
        values = [value for run in runs if (value := getattr(run, what)) is not None]
        if not values or len(values) < len(runs) or any(run.exit_code for run in runs):
            return None
        return float(statistics.median(values))

    def ratio(self, name: str, base: str, what: str = "seconds") -> float | None:
        """Return the median of ``name`` in units of that of ``base``, or None."""
        return quotient(self.median(name, what), self.median(base, what))

    def rate(self, name: str, octets: float) -> float | None:
        """Return megabytes a second, or None."""
        return quotient(octets / 1e6, self.median(name))

    def plain(self) -> dict[str, list[dict[str, object]]]:
        """Return everything as JSON takes it."""
        return {name: [asdict(run) for run in runs] for name, runs in self.runs.items()}


def quotient(value: float | None, base: float | None) -> float | None:
    """Return ``value`` in units of ``base``, or None if there is no such number."""
    return value / base if value is not None and base else None


def environment() -> dict[str, str]:
    """Return the environment that measured programs get; Python may keep what it compiled, as it does by default."""
    kept = {key: value for key, value in os.environ.items() if key not in _PYTHON and "MAILARCHIVE" not in key}
    return {**kept, "MAILARCHIVE_PASSWORD": PASSWORD, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}


def measure(command: Sequence[str], log: Path, extra: Mapping[str, str] | None = None) -> Measured:
    """Run ``command`` and return what it took, its children included; its output goes to ``log``."""
    launcher = [sys.executable, "-I", "-S", str(PROCESSES / "launcher.py"), str(log)]
    answer = subprocess.run(
        [*launcher, *command],
        stdin=subprocess.DEVNULL,
        env={**environment(), **(extra or {})},
        check=True,
        capture_output=True,
    )
    usage = json.loads(answer.stdout)
    words = log.read_text(errors="replace").strip().splitlines()
    return Measured(
        usage["seconds"], usage["processor"], usage["peak"] / 1024, usage["exit_code"], words[-1] if words else ""
    )


def settle(changed: float) -> None:
    """Wait out the second in which a Maildir changed, by the monotonic clock: mbsync itself would."""
    time.sleep(max(0.0, changed + _SETTLE - time.monotonic()))  # noqa: TID251 - another program's clock, not ours


def disk_octets(directory: Path) -> int:
    """Return the sizes of all files below ``directory``, a file with several names once."""
    files = {(stat.st_dev, stat.st_ino): stat.st_size for path in directory.rglob("*") if (stat := _of_file(path))}
    return sum(files.values())


def _of_file(path: Path) -> os.stat_result | None:
    return path.lstat() if path.is_file() and not path.is_symlink() else None
