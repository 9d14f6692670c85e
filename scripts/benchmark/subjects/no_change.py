"""Pulls of accounts in which nothing has changed."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts.benchmark import programs
from scripts.benchmark.bench import DELAY, Bench, Command
from scripts.benchmark.measuring import SIZES, Series
from scripts.benchmark.servers import Load, Proxy
from scripts.benchmark.tables import Figure, Report, amount

MESSAGES, MAILBOXES = 2_000, 500
_BASES = {"drain": "drain", "mbsync": "mbsync"}
_LISTS_UIDS = re.compile(r"UID (SEARCH|FETCH)", re.IGNORECASE)
_OPENS = re.compile(r"(EXAMINE|SELECT)\b", re.IGNORECASE)


def many_mailboxes(bench: Bench) -> Report:
    """2,000 messages in 500 mailboxes: first pull, then no change, at 0 and at 40 ms."""
    load = bench.servers.many(bench.count(MESSAGES), max(2, bench.count(MAILBOXES)))
    report = Report()
    series = Series()
    folders = bench.fresh(series, _first(bench, load.server.port), load, keep=("mailarchive", "mbsync"))
    report.runs(f"First pull of {load.name}", series, _BASES)
    archive, mail = folders["mailarchive"] / "archive", folders.get("mbsync")
    report.figures.append(_unchanged(bench, report, load, _again(bench, load.server.port, archive, mail), 0, 0.8))
    proxy = Proxy(load.server.port)
    archive, mail = bench.new_folder() / "archive", bench.new_folder() if "mbsync" in bench.peers else None
    commands = _again(bench, proxy.port, archive, mail)
    with proxy.running():
        bench.again(Series(), commands, runs=1)
    with proxy.running(DELAY):
        report.figures.append(_unchanged(bench, report, load, commands, DELAY, 0.1))
    with proxy.running():
        bench.again(Series(), {"mailarchive, commands counted": commands["mailarchive"]}, runs=1)
    said = [line.partition(" ")[2] for line in proxy.traffic.lines]
    opened = sum(_OPENS.match(line) is not None for line in said)
    what = f"no change, {load.name}"
    report.figures += [
        Figure(f"{what}: commands sent", len(said), 6, "", digits=0),
        Figure(f"{what}: mailboxes opened", opened, 0, "", digits=0),
    ]
    _conversation(report, what, said, proxy.traffic.sent)
    return report


def one_large_mailbox(bench: Bench) -> Report:
    """No change in one mailbox with 1,000, 10,000 and 100,000 messages: no listing of UIDs."""
    report = Report()
    by_count: dict[int, Series] = {}
    for load in [bench.servers.inbox(bench.count(full)) for full in SIZES]:
        archive, peer = bench.pulled(load), bench.synced(load)
        series = by_count[load.messages] = Series()
        commands = _again(bench, load.server.port, archive, None) | ({"mbsync": peer} if peer else {})
        bench.again(series, commands, load)
        report.runs(f"No change in {load.name} (drain: LIST-STATUS)", series, _BASES)
    report.grown("Growth of a pull without change", by_count)
    load = bench.servers.inbox(bench.count(SIZES[-1]))
    commands = {"mailarchive, commands counted": bench.pull(bench.pulled(load), load.server.port)}
    before = load.server.octets_sent()
    with load.recording() as said:
        bench.again(Series(), commands, runs=1)
    listings = sum(_LISTS_UIDS.match(line) is not None for line in said)
    what = f"no change, {load.name}"
    report.figures.append(Figure(f"{what}: commands that list UIDs", listings, 0, "", digits=0))
    _conversation(report, f"{what}, after the log-in", said, load.server.octets_sent() - before)
    return report


def _first(bench: Bench, port: int) -> dict[str, Callable[[Path], Command]]:
    tools: dict[str, Callable[[Path], Command]] = {
        "drain": lambda _: programs.drain_imap(port),
        "mailarchive": lambda folder: bench.pull(folder / "archive", port),
    }
    if "mbsync" in bench.peers:
        tools["mbsync"] = lambda folder: programs.mbsync(folder, port)
    return tools


def _again(bench: Bench, port: int, archive: Path, mail: Path | None) -> dict[str, Command]:
    commands = {"drain": programs.drain_imap(port, "--status"), "mailarchive": bench.pull(archive, port)}
    return commands | ({"mbsync": programs.mbsync(mail, port)} if mail else {})


def _unchanged(
    bench: Bench, report: Report, load: Load, commands: dict[str, Command], round_trip: float, limit: float
) -> Figure:
    series = Series()
    bench.again(series, commands, load)
    what = f"no change, {load.name}, {round_trip * 1000:.0f} ms"
    report.runs(f"{what.capitalize()} (drain: LIST-STATUS)", series, _BASES)
    return Figure(what, series.ratio("mailarchive", "mbsync"), limit, "× mbsync")


def _conversation(report: Report, what: str, said: Sequence[str], sent: int) -> None:
    shown = [re.sub(r"(LOGIN|AUTHENTICATE \S+).*", r"\1 …", line) for line in said]
    report.lines += [f"{what}: {len(said)} commands; the server sent {amount(sent)}:", ""]
    report.lines += [*(f"- `{line}`" for line in shown[:20]), ""]
