"""The first pull of a mailbox, near and far."""

import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from scripts.benchmark import programs
from scripts.benchmark.bench import DELAY, Bench, Command
from scripts.benchmark.measuring import Series
from scripts.benchmark.servers import Load, Proxy
from scripts.benchmark.subjects.no_change import MAILBOXES, MESSAGES
from scripts.benchmark.tables import Figure, Report

COUNT = 10_000


def first_pull(bench: Bench) -> Report:
    """10,000 small and 10,000 realistic messages; the realistic ones over TLS as well."""
    report = Report()
    for load, to_peer, to_drain in (
        (bench.servers.small(bench.count(COUNT)), 0.2, 6),
        (bench.servers.realistic(bench.count(COUNT)), 0.5, 4),
    ):
        series = Series()
        folders = bench.fresh(series, _tools(bench, load.server.port), load, keep=("mailarchive",))
        bench.keep(load, folders["mailarchive"] / "archive")
        _table(report, f"First pull of {load.name} ({load.octets / 1e6:.1f} MB)", series, load)
        for base, limit in (("mbsync", to_peer), ("drain", to_drain)):
            what = f"first pull, {load.name}"
            report.figures.append(Figure(what, series.ratio("mailarchive", base), limit, f"× {base}"))
    report.figures.append(_over_tls(bench, report))
    return report


def maildir(bench: Bench) -> Report:
    """First pulls into the layout maildir, compressed: 10,000 small and 10,000 realistic messages."""
    report = Report()
    for load in (bench.servers.small(bench.count(COUNT)), bench.servers.realistic(bench.count(COUNT))):
        series = Series()
        tools = _tools(bench, load.server.port)
        tools["mailarchive"] = partial(_into_maildir, bench, load.server.port)
        bench.fresh(series, tools, load, clear=False)
        _table(report, f"First pull of {load.name} into the layout maildir", series, load)
        what = f"first pull into maildir, {load.name}"
        report.figures.append(Figure(what, series.ratio("mailarchive", "mbsync"), 0.5, "× mbsync"))
    return report


def _into_maildir(bench: Bench, port: int, folder: Path) -> Command:
    """Make an empty archive of the layout maildir, which is not measured; return the command that pulls into it."""
    archive = folder / "archive"
    subprocess.run([bench.program, "init", str(archive), "--layout", "maildir", "--quiet"], check=True)
    return bench.pull(archive, port)


def _over_tls(bench: Bench, report: Report) -> Figure:
    load = bench.servers.realistic(bench.count(COUNT))
    series = Series()
    port, authority = load.server.ports.imaps, f"--ca-file={load.server.ca_file}"
    tools: Mapping[str, Callable[[Path], Command]] = {
        "drain": lambda _: programs.drain_imap(port, "--tls"),
        "mailarchive": lambda folder: bench.pull(folder / "archive", port, authority, scheme="imaps"),
    }
    bench.fresh(series, tools, load)
    _table(report, f"First pull of {load.name} over TLS", series, load)
    return Figure(f"first pull, {load.name}, TLS", series.ratio("mailarchive", "drain"), 1.5, "× drain over TLS")


def delay(bench: Bench) -> Report:
    """First pulls at a round trip of 40 ms; the drain sends EXAMINE and FETCH of a mailbox together.

    Not with mbsync where there are many mailboxes, which it opens one after the other, several round trips each.
    """
    report = Report()
    few = (bench.servers.small(bench.count(COUNT)), bench.servers.realistic(bench.count(COUNT)))
    many = bench.servers.many(bench.count(MESSAGES), max(2, bench.count(MAILBOXES)))
    for load in (*few, many):
        series = Series()
        with Proxy(load.server.port).running(DELAY) as proxy:
            tools = _tools(bench, proxy.port, "--together")
            if load is many:
                tools.pop("mbsync", None)
            bench.fresh(series, tools, load)
        _table(report, f"First pull of {load.name} at {DELAY * 1000:.0f} ms", series, load)
        report.figures.append(
            Figure(f"first pull at 40 ms, {load.name}", series.ratio("mailarchive", "drain"), 1.3, "× drain")
        )
    return report


def _tools(bench: Bench, port: int, *drain: str) -> dict[str, Callable[[Path], Command]]:
    tools: dict[str, Callable[[Path], Command]] = {
        "drain": lambda _: programs.drain_imap(port, *drain),
        "mailarchive": lambda folder: bench.pull(folder / "archive", port),
    }
    if "mbsync" in bench.peers:
        tools["mbsync"] = lambda folder: programs.mbsync(folder, port)
    return tools


def _table(report: Report, title: str, series: Series, load: Load) -> None:
    octets = dict.fromkeys(series.runs, load.octets)
    report.runs(title, series, {"drain": "drain", "mbsync": "mbsync"}, octets)
