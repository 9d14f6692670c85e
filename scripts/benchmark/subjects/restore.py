"""Everything into a new account, near and far."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.benchmark import programs
from scripts.benchmark.bench import DELAY, Bench, Command, say
from scripts.benchmark.measuring import Series
from scripts.benchmark.servers import INBOX, Load, Proxy
from scripts.benchmark.tables import Figure, Report
from tests.servers.dovecot import Dovecot

COUNT = 10_000
TOGETHER, TWO, MANY = 400, 2, 100
_FEW = 500
"""So many messages are sent one by one: at 40 ms each takes a round trip."""
_SINGLE = """
protocol imap {
  imap_capability = IMAP4rev1 SASL-IR LITERAL+ UIDPLUS NAMESPACE LIST-EXTENDED LIST-STATUS
}
"""
"""A Dovecot that does not offer MULTIAPPEND."""

Tool = Callable[[Path, int], Command]


def restore(bench: Bench) -> Report:
    """10,000 small messages at 0 and at 40 ms, with MULTIAPPEND and without.

    Beside clients that only append: 400 messages a command and two commands on the way, single ones with 100 on the
    way, and one after the other (500 of them); and mbsync pushing a Maildir.
    """
    report = Report()
    load = bench.servers.small(bench.count(COUNT))
    archive, messages = bench.pulled(load), _written(bench, load)
    many = _tools(bench, load, archive, messages)
    single = {"raw": _raw(messages, 1, MANY), "mailarchive": _restore(bench, archive)}
    for delay in (0.0, DELAY):
        for how, tools, limit, extra in (
            ("with MULTIAPPEND", many, 2.0, ""),
            ("without MULTIAPPEND", single, 1.5, _SINGLE),
        ):
            title = f"{load.name} at {delay * 1000:.0f} ms, {how}"
            say(f" {title}")
            series = _in_turn(bench, tools, delay, extra)
            bases = {name: name for name in tools if name != "mailarchive"}
            report.runs(f"Restore of {title}", series, bases, dict.fromkeys(series.runs, load.octets))
            report.figures.append(Figure(f"restore, {title}", series.ratio("mailarchive", "raw"), limit, "× raw"))
    return report


def _tools(bench: Bench, load: Load, archive: Path, messages: Path) -> dict[str, Tool]:
    tools: dict[str, Tool] = {
        "raw": _raw(messages, TOGETHER, TWO),
        "single": _raw(messages, 1, MANY),
        "one by one": _raw(messages, 1, 1, _FEW),
        "mailarchive": _restore(bench, archive),
    }
    if (synced := bench.synced(load)) is not None:
        mail = Path(synced[-2]).parent / "mail"
        tools["mbsync"] = lambda folder, port: programs.mbsync_push(folder, port, mail)
    return tools


def _raw(messages: Path, together: int, ahead: int, most: int = 0) -> Tool:
    return lambda _folder, port: programs.push_imap(port, messages, together, ahead, most)


def _restore(bench: Bench, archive: Path) -> Tool:
    def command(folder: Path, port: int) -> Command:
        shutil.copytree(archive, folder / "archive")
        return bench.mailarchive(
            folder / "archive", "restore", f"imap://{programs.USER}@{programs.HOST}:{port}", "--quiet"
        )

    return command


def _written(bench: Bench, load: Load) -> Path:
    path = bench.new_folder() / "messages"
    with path.open("wb") as file:
        for octets in load.server.messages(INBOX).values():
            file.write(b"%d\n" % len(octets) + octets)
    return path


def _in_turn(bench: Bench, tools: Mapping[str, Tool], delay: float, extra: str) -> Series:
    """Run tools in turn, each with an account of its own that is empty."""
    series = Series()
    for _ in range(bench.runs):
        for name, tool in tools.items():
            with Dovecot(extra=extra) as target, bench.folder() as folder, Proxy(target.port).running(delay) as proxy:
                bench.note(series, name, bench.run(tool(folder, proxy.port)))
    return series
