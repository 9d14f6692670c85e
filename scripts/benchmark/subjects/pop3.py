"""First pulls over POP3."""

from collections.abc import Callable
from pathlib import Path

from scripts.benchmark import programs
from scripts.benchmark.bench import DELAY, Bench, Command
from scripts.benchmark.measuring import Series
from scripts.benchmark.servers import Load, Proxy
from scripts.benchmark.tables import Figure, Report

COUNT = 10_000
ONE_BY_ONE_FAR = 250
AHEAD = 1_000
_BASES = {"drain": "drain", "mpop": "mpop"}


def pop3(bench: Bench) -> Report:
    """10,000 small messages with PIPELINING and without, at 0 ms and at 40 ms (without, at 40 ms: 250 messages)."""
    report = Report()
    load = bench.servers.inbox(bench.count(COUNT))
    port = load.server.ports.pop3
    report.figures.append(_measured(bench, report, load, f"POP3 first pull, {load.name}, 0 ms", 0.5, port, AHEAD))
    proxy = Proxy(port)
    with proxy.running(DELAY):
        title = f"POP3 first pull, {load.name}, 40 ms"
        report.figures.append(_measured(bench, report, load, title, 0.3, proxy.port, AHEAD))
    with proxy.running(hide="PIPELINING"):
        title = f"POP3 first pull without PIPELINING, {load.name}, 0 ms"
        _measured(bench, report, load, title, 1, proxy.port, 1)
    few = bench.servers.inbox(max(20, bench.count(ONE_BY_ONE_FAR)))
    far = Proxy(few.server.ports.pop3)
    with far.running(DELAY, hide="PIPELINING"):
        title = f"POP3 first pull without PIPELINING, {few.name}, 40 ms"
        _measured(bench, report, few, title, 1, far.port, 1)
    return report


def _measured(bench: Bench, report: Report, load: Load, title: str, limit: float, port: int, ahead: int) -> Figure:
    tools: dict[str, Callable[[Path], Command]] = {
        "drain": lambda _: programs.drain_pop3(port, ahead),
        "mailarchive": lambda folder: bench.pull(folder / "archive", port, scheme="pop3"),
    }
    if "mpop" in bench.peers:
        tools["mpop"] = lambda folder: programs.mpop(folder, port)
    series = Series()
    bench.fresh(series, tools)
    octets = dict.fromkeys(series.runs, load.octets)
    report.runs(title, series, _BASES, octets)
    return Figure(title, series.ratio("mailarchive", "mpop"), limit, "× mpop")
