"""Pulls of what has changed, and how they grow with what is there."""

import io
from pathlib import Path

import zstandard

from scripts.benchmark import programs
from scripts.benchmark.bench import Bench, Command
from scripts.benchmark.measuring import SIZES, Series, quotient
from scripts.benchmark.servers import Load, more
from scripts.benchmark.tables import Figure, Report

NEW = 100
_SAME = 1.2


def incremental(bench: Bench) -> Report:
    """100 new messages where there are 1,000, 10,000 and 100,000, and 1 % new mail at 100,000."""
    report = Report()
    by_count: dict[int, Series] = {}
    journal: list[float] = []
    counts = [bench.count(full) for full in SIZES]
    for count in counts:
        by_count[count], added = _new_mail(bench, report, bench.servers.inbox(count), bench.count(NEW))
        journal.append(added)
    what = f"pull of {bench.count(NEW):,} new messages"
    report.grown(f"Growth of a {what}", by_count)
    _new_mail(bench, report, bench.servers.inbox(counts[-1]), max(1, counts[-1] // 100))
    seconds = [by_count[count].median("mailarchive") for count in counts]
    where = f"{what}, {counts[-1]:,} there"
    report.figures += [
        Figure(f"growth, {where}: seconds", quotient(seconds[-1], seconds[-2]), _SAME, f"× that at {counts[-2]:,}"),
        Figure(f"growth, {where}: journal", quotient(journal[-1], journal[-2]), _SAME, f"× that at {counts[-2]:,}"),
    ]
    return report


def _new_mail(bench: Bench, report: Report, load: Load, new: int) -> tuple[Series, float]:
    """Measure pulls of new mail; return them, and the octets of journal lines that such a pull adds."""
    archive, peer = bench.pulled(load), bench.synced(load)
    series = Series()
    port, title = load.server.port, f"{new:,} new messages, {load.messages:,} there"
    _both(bench, Series(), load, archive, peer)
    octets, before = load.octets, journal_octets(archive)
    for _ in range(bench.runs):
        first_new = load.messages + 1
        load.add(more(new, load.messages))
        bench.note(series, "drain", bench.run(programs.drain_imap(port, f"--uids={first_new}:*"), load))
        _both(bench, series, load, archive, peer)
    each = dict.fromkeys(series.runs, (load.octets - octets) // bench.runs)
    report.runs(title, series, {"drain": "drain", "mbsync": "mbsync"}, each)
    return series, (journal_octets(archive) - before) / bench.runs


def flags(bench: Bench) -> Report:
    """100 changed flags, where there are 10,000 and 100,000 messages."""
    report = Report()
    sent = {}
    for full in SIZES[1:]:
        load = bench.servers.inbox(bench.count(full))
        changed = bench.count(NEW)
        archive, peer = bench.pulled(load), bench.synced(load)
        series = Series()
        _both(bench, Series(), load, archive, peer)
        step = max(1, load.messages // changed)
        uids = ",".join(str(1 + nth * step) for nth in range(changed))
        for turn in range(bench.runs):
            load.store_flags(uids, add=turn % 2 == 0)
            _both(bench, series, load, archive, peer)
        report.runs(f"{changed:,} changed flags, {load.messages:,} messages", series, {"mbsync": "mbsync"})
        sent[full] = series.median("mailarchive", "sent")
    before, last = (bench.count(full) for full in SIZES[1:])
    name = f"growth, pull of {bench.count(NEW):,} changed flags, {last:,} messages: octets sent by the server"
    ratio = quotient(sent[SIZES[2]], sent[SIZES[1]])
    report.figures.append(Figure(name, ratio, _SAME, f"× that at {before:,}"))
    return report


def _both(bench: Bench, series: Series, load: Load, archive: Path, peer: Command | None) -> None:
    commands = {"mailarchive": bench.pull(archive, load.server.port)}
    bench.again(series, commands | ({"mbsync": peer} if peer else {}), load, runs=1)


def journal_octets(archive: Path) -> int:
    """Return the octets of all journal lines, decompressed."""
    total = sum(path.stat().st_size for path in (archive / "journal").glob("*.jsonl"))
    for path in (archive / "journal").glob("*.zst"):
        with path.open("rb") as file:
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            while octets := reader.read(io.DEFAULT_BUFFER_SIZE * 64):
                total += len(octets)
    return total
