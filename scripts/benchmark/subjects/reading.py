"""Everything that reads an archive: verify, export, rebuild, list, show."""

import json
import subprocess
from pathlib import Path

from scripts.benchmark.bench import Bench, Command
from scripts.benchmark.measuring import Series, environment
from scripts.benchmark.servers import Load
from scripts.benchmark.tables import Figure, Report

REALISTIC, LARGE = 10_000, 100_000
PAGE = 50
_SHORT_RUNS = 5
_START, _SHOW, _PAGE = "mailarchive --version", "show of one message", f"list --limit {PAGE}"


def reading(bench: Bench) -> Report:
    """Verify, export, rebuild, list and show, at 10,000 realistic and at 100,000 small messages."""
    report = Report()
    for load in (bench.servers.realistic(bench.count(REALISTIC)), bench.servers.inbox(bench.count(LARGE))):
        archive, series = bench.pulled(load), Series()
        _whole(bench, series, archive)
        octets = {
            "verify": unique_octets(bench, archive),
            "export --format eml": load.octets,
            "export --format mbox": load.octets,
        }
        report.runs(f"All of {load.name} ({load.octets / 1e6:.1f} MB)", series, octets=octets)
        report.figures += [
            Figure(f"{name}, {load.name}", series.rate(name, handled), 400, "MB/s", least=True, digits=0)
            for name, handled in octets.items()
        ]
    load = bench.servers.inbox(bench.count(LARGE))
    report.figures.append(_one(bench, report, load))
    return report


def _whole(bench: Bench, series: Series, archive: Path) -> None:
    for _ in range(bench.runs):
        bench.again(series, {"verify": bench.mailarchive(archive, "verify", "--quiet")}, runs=1)
        for kind in ("eml", "mbox"):
            with bench.folder() as folder:
                options = ("export", str(folder / "out"), "--format", kind, "--quiet")
                bench.note(series, f"export --format {kind}", bench.run(bench.mailarchive(archive, *options)))
        bench.again(series, {"rebuild": bench.mailarchive(archive, "rebuild", "--quiet")}, runs=1)


def _one(bench: Bench, report: Report, load: Load) -> Figure:
    archive, series = bench.pulled(load), Series()
    identity = _middle(bench, archive, load.messages)
    commands = {
        _START: [bench.program, "--version"],
        _SHOW: bench.mailarchive(archive, "show", identity),
        "show --raw": bench.mailarchive(archive, "show", identity, "--raw"),
        _PAGE: bench.mailarchive(archive, "list", "--limit", str(PAGE)),
        "list": bench.mailarchive(archive, "list"),
        "mailboxes": bench.mailarchive(archive, "mailboxes"),
        "stats": bench.mailarchive(archive, "stats"),
        "verify --quick": bench.mailarchive(archive, "verify", "--quick", "--quiet"),
    }
    bench.again(series, commands, runs=max(_SHORT_RUNS, bench.runs) if bench.scale >= 1 else bench.runs)
    report.runs(f"One of {load.name}", series, {"start-up": _START})
    return Figure(f"{_SHOW}, {load.name}", series.ratio(_SHOW, _START), 2, "× start-up")


def unique_octets(bench: Bench, archive: Path) -> int:
    """Return the octets of all messages, each once: what verify reads."""
    return int(json.loads(_output(bench.mailarchive(archive, "stats", "--json")))["unique_bytes"])


def _middle(bench: Bench, archive: Path, messages: int) -> str:
    """Return the id of a message in the middle of those that list shows."""
    listed = _output(bench.mailarchive(archive, "list", "--json", "--limit", str(max(1, messages // 2))))
    return str(json.loads(listed.splitlines()[-1])["id"])


def _output(command: Command) -> str:
    return subprocess.run(command, env=environment(), capture_output=True, check=True, text=True).stdout
