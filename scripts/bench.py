"""Measure pull, second pull, verify and export of a generated mailbox beside mbsync and a raw drain.

Everything is a whole process against a Dovecot on the loopback interface, in interleaved runs; medians are printed.
The ratios are what counts: the seconds belong to the machine.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mailarchive.loopback.corpus import realistic, small
from tests.servers.dovecot import Dovecot, missing

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"small": small, "realistic": realistic}
TOOLS = ("drain", "mailarchive", "mbsync")
_SETTLE = 1.1

_MBSYNC = """
IMAPAccount bench
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account bench

MaildirStore near
Path {directory}/mail/
Inbox {directory}/mail/INBOX
SubFolders Verbatim

Channel bench
Far :far:
Near :near:
Patterns *
Sync Pull
Create Near
SyncState {directory}/state/
"""


@dataclass(frozen=True)
class Step:
    """One process to be measured; ``stores`` is the directory whose size tells what it keeps."""

    tool: str
    name: str
    command: list[str]
    stores: Path | None = None


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds, processor seconds, peak memory in MiB, and the exit code with the last words."""

    seconds: float
    processor: float
    peak: float
    exit_code: int
    words: str = ""


@dataclass
class Results:
    """All that was measured, by (tool, step)."""

    times: dict[tuple[str, str], list[Measured]] = field(default_factory=lambda: defaultdict(list))
    octets: dict[str, int] = field(default_factory=dict)
    bodies: dict[tuple[str, str], int] = field(default_factory=dict)

    def median(self, tool: str, step: str) -> float | None:
        """Return the median seconds of a step, or None if it failed or was not run."""
        runs = self.times.get((tool, step), [])
        return statistics.median(run.seconds for run in runs) if runs and not any(r.exit_code for r in runs) else None


def measure(command: list[str], log: Path, password: str) -> Measured:
    """Run ``command`` and return what it took, its children included."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["MAILARCHIVE_PASSWORD"] = password
    launcher = [sys.executable, "-I", "-S", str(ROOT / "scripts/bench_measure.py"), str(log)]
    answer = subprocess.run(
        [*launcher, *command], stdin=subprocess.DEVNULL, env=environment, check=True, capture_output=True
    )
    usage = json.loads(answer.stdout)
    words = log.read_text(errors="replace").strip().splitlines()
    return Measured(
        usage["seconds"], usage["processor"], usage["peak"] / 1024, usage["exit_code"], words[-1] if words else ""
    )


def steps(tool: str, server: Dovecot, directory: Path) -> Iterator[Step]:
    """Yield the steps of a tool, which keeps its things below ``directory``."""
    if tool == "drain":
        drain = [sys.executable, "-I", "-S", str(ROOT / "scripts/bench_drain.py")]
        yield Step(tool, "fetch", [*drain, str(server.port), server.user, server.password])
    elif tool == "mbsync":
        for name in ("mail", "state"):
            (directory / name).mkdir()
        config = directory / "mbsyncrc"
        config.write_text(
            _MBSYNC.format(
                host=server.host, port=server.port, user=server.user, password=server.password, directory=directory
            )
        )
        command = ["mbsync", "-q", "-c", str(config), "bench"]
        yield Step(tool, "first sync", command, directory / "mail")
        yield Step(tool, "second sync", command)
    else:
        program, archive = str(ROOT / "scripts/mailarchive"), ["--archive", str(directory / "archive")]
        pull = [program, "pull", f"imap://{server.user}@{server.host}:{server.port}", *archive, "--quiet"]
        yield Step(tool, "first pull", pull, directory / "archive")
        yield Step(tool, "second pull", pull)
        yield Step(tool, "verify", [program, "verify", *archive])
        yield Step(tool, "export", [program, "export", str(directory / "eml"), "--format", "eml", *archive])


def disk_octets(directory: Path) -> int:
    """Return the sizes of all files below ``directory``."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def run_tool(tool: str, server: Dovecot, work: Path, results: Results) -> None:
    """Run all steps of a tool once, in a new directory that is removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix=f"{tool}-", dir=work))
    try:
        for step in steps(tool, server, directory):
            if step.name.startswith("second"):
                time.sleep(_SETTLE)  # noqa: TID251 - mbsync itself waits out the second in which a Maildir changed
            before = server.body_fetches()
            measured = measure(step.command, directory / "log", server.password)
            results.times[tool, step.name].append(measured)
            results.bodies[tool, step.name] = server.body_fetches() - before
            if step.stores is not None:
                results.octets[tool] = disk_octets(step.stores)
            note = f" exit code {measured.exit_code}: {measured.words}" if measured.exit_code else ""
            print(f"{tool}, {step.name}: {measured.seconds:.2f} s{note}", file=sys.stderr)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def table(results: Results, received: int) -> Iterator[str]:
    """Yield the lines of the tables, in Markdown."""
    drain, peer = results.median("drain", "fetch"), results.median("mbsync", "first sync")
    peer_again = results.median("mbsync", "second sync")
    yield "| | to drain | to mbsync | seconds (range) | MB/s | processor s | peak MiB | bodies fetched |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for (tool, name), runs in results.times.items():
        label, median = f"{tool}, {name}", results.median(tool, name)
        if median is None:
            failed = next(run for run in runs if run.exit_code)
            yield f"| {label} | | | failed with exit code {failed.exit_code} | | | | |"
            continue
        first = name.startswith("first") or tool == "drain"
        against = peer if first else peer_again if name.startswith("second") else None
        spread = f"{min(run.seconds for run in runs):.2f} to {max(run.seconds for run in runs):.2f}"
        rate = "" if name.startswith("second") else f"{received / median / 1e6:.0f}"
        processor = statistics.median(run.processor for run in runs)
        peak = statistics.median(run.peak for run in runs)
        yield (
            f"| {label} | {ratio(median, drain) if first else ''} | {ratio(median, against)} | {median:.2f} ({spread}) "
            f"| {rate} | {processor:.2f} | {peak:.0f} | {results.bodies[tool, name]} |"
        )
    yield ""
    yield "| | octets on disk | of those received |"
    yield "|---|--:|--:|"
    for tool, octets in results.octets.items():
        if not any(run.exit_code for run in next(runs for (of, _), runs in results.times.items() if of == tool)):
            yield f"| {tool} | {octets:,} | {octets / received:.3f} |"


def ratio(value: float, base: float | None) -> str:
    """Return ``value`` in units of ``base``."""
    return f"{value / base:.2f}" if base else ""


def provide(program: str, package: str, is_missing: Callable[[], bool]) -> bool:
    """Install a package where that is allowed; return whether the program is there."""
    if not is_missing():
        return True
    command = f"apt-get install -y --no-install-recommends {package}"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(f"apt-get update -qq && {command} -qq", shell=True, check=False, stdout=sys.stderr)  # noqa: S602
    if is_missing():
        print(f"{program} is not installed; install it with: {command}", file=sys.stderr)
    return not is_missing()


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="how many messages (default: 10000)")
    parser.add_argument("--kind", choices=KINDS, default="realistic", help="what mail (default: realistic)")
    parser.add_argument("--runs", type=int, default=3, help="how many interleaved runs (default: 3)")
    parser.add_argument("--tools", default=",".join(TOOLS), help=f"which, with commas (default: {','.join(TOOLS)})")
    parser.add_argument("--work", type=Path, help="where the tools write (default: the system's temporary folder)")
    options = parser.parse_args()
    options.tools = options.tools.split(",")
    if not set(options.tools) <= set(TOOLS):
        parser.error(f"--tools takes {', '.join(TOOLS)}")
    return options


def main() -> None:
    """Load a mailbox, run the tools, print the tables."""
    options = arguments()
    if not provide("Dovecot", "dovecot-imapd", lambda: missing() is not None):
        sys.exit(2)
    if "mbsync" in options.tools and not provide("mbsync", "isync", lambda: shutil.which("mbsync") is None):
        options.tools.remove("mbsync")
    if "mailarchive" in options.tools:
        subprocess.run([ROOT / "scripts/mailarchive", "--version"], check=False, capture_output=True)
    results = Results()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work) as work, Dovecot() as server:
        print(f"Loading {options.messages} messages …", file=sys.stderr)
        received = server.load_all(KINDS[options.kind](options.messages))
        for _ in range(options.runs):
            for tool in options.tools:
                run_tool(tool, server, Path(work), results)
    print(
        f"{options.messages} {options.kind} messages, {received / 1e6:.1f} MB, Dovecot on loopback without TLS, "
        f"medians of {options.runs} interleaved runs, Python {platform.python_version()}, {os.cpu_count()} cores\n"
    )
    print("\n".join(table(results, received)))


if __name__ == "__main__":
    main()
