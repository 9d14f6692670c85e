"""How a first pull grows with the mail, in time and in memory."""

from collections.abc import Callable
from pathlib import Path

from scripts.benchmark import programs
from scripts.benchmark.bench import Bench, Command
from scripts.benchmark.measuring import SIZES, Series, quotient
from scripts.benchmark.servers import Load
from scripts.benchmark.tables import Figure, Report

PEERS_RUN_ONCE = 50_000
LARGE = 150_000_000
_KEPT = ("mailarchive", "mbsync")
_OVER_IMAP = "mailarchive, pull over IMAP"


def growth(bench: Bench) -> Report:
    """First pulls of 1,000, 10,000 and 100,000 small messages (getmail6 at 1,000 only; mbsync at 100,000 once)."""
    report = Report()
    by_count: dict[int, Series] = {}
    for full in SIZES:
        load = bench.servers.inbox(bench.count(full))
        series = by_count[bench.count(full)] = _first(bench, load, full)
        bases, octets = {"drain": "drain", "mbsync": "mbsync"}, dict.fromkeys(series.runs, load.octets)
        report.runs(f"First pull of {load.name}", series, bases, octets)
    report.grown("Growth of the first pull", by_count)
    report.grown("Growth of its memory", by_count, "peak", 0)
    (_, before), (count, last) = sorted(by_count.items())[-2:]
    peak = last.median("mailarchive", "peak")
    ratio = quotient(peak, before.median("mailarchive", "peak"))
    what = f"growth, peak memory of the first pull, {count:,} messages"
    report.figures += [
        Figure(what, ratio, 1.2, f"× that at {sorted(by_count)[-2]:,}"),
        Figure(what, _megabytes(peak), 120, "MB", digits=0),
    ]
    return report


def _first(bench: Bench, load: Load, full: int) -> Series:
    series = Series()
    port = load.server.port
    tools: dict[str, Callable[[Path], Command]] = {
        "drain": lambda _: programs.drain_imap(port),
        "mailarchive": lambda folder: bench.pull(folder / "archive", port),
    }
    peers: dict[str, Callable[[Path], Command]] = {}
    if "mbsync" in bench.peers:
        peers["mbsync"] = lambda folder: programs.mbsync(folder, port)
    if "getmail" in bench.peers and full == SIZES[0]:
        peers["getmail6"] = lambda folder: programs.getmail(folder, port)
    if full < PEERS_RUN_ONCE:
        folders = bench.fresh(series, tools | peers, load, keep=_KEPT)
    else:
        folders = bench.fresh(series, tools, load, keep=_KEPT)
        folders |= bench.fresh(series, peers, load, runs=1, keep=_KEPT)
    synced = programs.mbsync(folders["mbsync"], port) if "mbsync" in folders else None
    bench.keep(load, folders["mailarchive"] / "archive", synced)
    return series


def memory(bench: Bench) -> Report:
    """Peak memory with a message of 150 MB among 1,000 small ones."""
    load = bench.servers.with_large(bench.count(SIZES[0]), bench.count(LARGE))
    report, series = Report(), Series()
    folders = bench.fresh(
        series,
        {
            _OVER_IMAP: lambda folder: bench.pull(folder / "archive", load.server.port),
            "mailarchive, pull over POP3": lambda folder: bench.pull(
                folder / "archive", load.server.ports.pop3, scheme="pop3"
            ),
        },
        keep=(_OVER_IMAP,),
    )
    archive = folders[_OVER_IMAP] / "archive"
    bench.again(series, {"mailarchive, verify": bench.mailarchive(archive, "verify", "--quiet")})
    export = ("export", "--format", "eml", "--quiet")
    bench.fresh(
        series,
        {"mailarchive, export": lambda folder: bench.mailarchive(archive, *export, str(folder / "eml"))},
    )
    report.runs(f"Memory with {load.name}", series, octets=dict.fromkeys(series.runs, load.octets))
    report.figures += [
        Figure(f"peak memory, {name}, {load.name}", _megabytes(series.median(name, "peak")), 120, "MB", digits=0)
        for name in series.runs
    ]
    return report


def _megabytes(mebibytes: float | None) -> float | None:
    return None if mebibytes is None else mebibytes * (1 << 20) / 1e6
