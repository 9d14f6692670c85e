"""Everything that reads an archive: verify, export, rebuild, list, show."""

import json
import subprocess
from pathlib import Path

from scripts.benchmark.bench import Bench, Command
from scripts.benchmark.measuring import SIZES, Series, environment
from scripts.benchmark.servers import Load
from scripts.benchmark.tables import Figure, Report

REALISTIC = 10_000
PAGE = 50
_SHORT_RUNS = 5
_EML, _MBOX = "export --format eml", "export --format mbox"
_START, _SHOW, _PAGE = "mailarchive --version", "show of one message", f"list --limit {PAGE}"


def reading(bench: Bench) -> Report:
    """Verify, export, rebuild, list and show, at 10,000 realistic, and at 1,000, 10,000 and 100,000 small messages."""
    report = Report()
    report.figures += _all(bench, report, bench.servers.realistic(bench.count(REALISTIC)), Series())
    by_count: dict[int, Series] = {}
    figures: list[Figure] = []
    for load in [bench.servers.inbox(bench.count(full)) for full in SIZES]:
        whole, short = Series(), Series()
        figures = [*_all(bench, report, load, whole), _one(bench, report, load, short)]
        by_count[load.messages] = Series(whole.runs | short.runs)
    report.grown("Growth of reading", by_count)
    report.figures += figures
    return report


def _all(bench: Bench, report: Report, load: Load, series: Series) -> list[Figure]:
    """Measure what reads all messages."""
    archive = bench.pulled(load)
    _whole(bench, series, archive)
    octets = {"verify": unique_octets(bench, archive), _EML: load.octets, _MBOX: load.octets}
    report.runs(f"All of {load.name} ({load.octets / 1e6:.1f} MB)", series, octets=octets)
    return [
        Figure(f"{name}, {load.name}", series.rate(name, handled), 400, "MB/s", least=True, digits=0)
        for name, handled in octets.items()
    ]


def _whole(bench: Bench, series: Series, archive: Path) -> None:
    for _ in range(bench.runs):
        bench.again(series, {"verify": bench.mailarchive(archive, "verify", "--quiet")}, runs=1)
        for kind in ("eml", "mbox"):
            with bench.folder() as folder:
                options = ("export", str(folder / "out"), "--format", kind, "--quiet")
                bench.note(series, f"export --format {kind}", bench.run(bench.mailarchive(archive, *options)))
        others = {
            "verify --quick": bench.mailarchive(archive, "verify", "--quick", "--quiet"),
            "rebuild": bench.mailarchive(archive, "rebuild", "--quiet"),
            "list": bench.mailarchive(archive, "list"),
        }
        bench.again(series, others, runs=1)


def _one(bench: Bench, report: Report, load: Load, series: Series) -> Figure:
    """Measure what reads one message, or a page."""
    archive = bench.pulled(load)
    identity = _middle(bench, archive, load.messages)
    commands = {
        _START: [bench.program, "--version"],
        _SHOW: bench.mailarchive(archive, "show", identity),
        "show --raw": bench.mailarchive(archive, "show", identity, "--raw"),
        _PAGE: bench.mailarchive(archive, "list", "--limit", str(PAGE)),
        "mailboxes": bench.mailarchive(archive, "mailboxes"),
        "stats": bench.mailarchive(archive, "stats"),
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
