"""Measure mailarchive beside its peers and a raw drain of the same mail, each process as a whole.

Everything runs on loopback, in interleaved runs; medians are printed. A drain is a client that reads the same answers
from the socket and throws them away. The ratios are what counts: the seconds belong to the machine.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from inspect import cleandoc
from pathlib import Path

from scripts.benchmark import programs
from scripts.benchmark.bench import Bench, say
from scripts.benchmark.measuring import ROOT
from scripts.benchmark.subjects.blocks import blocks
from scripts.benchmark.subjects.changes import flags, incremental
from scripts.benchmark.subjects.disk import disk
from scripts.benchmark.subjects.first_pull import delay, first_pull, maildir
from scripts.benchmark.subjects.growth import growth, memory
from scripts.benchmark.subjects.importing import importing
from scripts.benchmark.subjects.no_change import many_mailboxes, one_large_mailbox
from scripts.benchmark.subjects.pop3 import pop3
from scripts.benchmark.subjects.reading import reading
from scripts.benchmark.subjects.restore import restore
from scripts.benchmark.subjects.start_up import start_up
from scripts.benchmark.tables import Report, targets
from tests.servers.dovecot import missing

SUBJECTS: dict[str, Callable[[Bench], Report]] = {
    "start-up": start_up,
    "first-pull": first_pull,
    "maildir": maildir,
    "delay": delay,
    "pop3": pop3,
    "disk": disk,
    "blocks": blocks,
    "many-mailboxes": many_mailboxes,
    "growth": growth,
    "memory": memory,
    "reading": reading,
    "import": importing,
    "restore": restore,
    "one-large-mailbox": one_large_mailbox,
    "incremental": incremental,
    "flags": flags,
}
"""In the order in which they run: the last ones change the mail of a server that others have measured before."""

_QUICK = 0.05
_PROGRAM = ROOT / "scripts/mailarchive"
_DOVECOT = "dovecot-imapd dovecot-pop3d"


def _about(subject: str) -> list[str]:
    """Return the sentences about a subject."""
    return cleandoc(SUBJECTS[subject].__doc__ or "").split("\n\n")


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    width = max(map(len, SUBJECTS))
    listed = "\n".join(f"  {name:{width}}  {_about(name)[0]}" for name in SUBJECTS)
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        epilog=f"subjects:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help="what to measure (default: all); see below")
    parser.add_argument("--runs", type=int, help="how many interleaved runs (default: 3)")
    parser.add_argument("--scale", type=float, help="so much of the mail: 0.1 (default: 1)")
    parser.add_argument("--quick", action="store_true", help=f"one run of {_QUICK} of the mail: does it work at all?")
    parser.add_argument("--work", type=Path, help="where everything is written (default: the temporary folder)")
    parser.add_argument(
        "--program", type=Path, default=_PROGRAM, help="another mailarchive (default: scripts/mailarchive)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all runs there as well")
    options = parser.parse_args()
    options.runs = options.runs or (1 if options.quick else 3)
    options.scale = options.scale or (_QUICK if options.quick else 1)
    if unknown := set(options.subjects) - set(SUBJECTS):
        parser.error(f"there is no subject {', '.join(sorted(unknown))}")
    return options


def measured(bench: Bench, names: Sequence[str]) -> tuple[dict[str, Report], list[str]]:
    """Run subjects; return what they found, and the names of those that failed. Ctrl-C ends with what there is."""
    reports: dict[str, Report] = {}
    failed: list[str] = []
    for name in [name for name in SUBJECTS if name in names]:
        begin = time.monotonic()
        say(f"{name}:")
        try:
            reports[name] = SUBJECTS[name](bench)
        except KeyboardInterrupt:
            return reports, [*failed, name]
        except Exception:  # noqa: BLE001 - what the others found in half an hour is not lost for one that fails
            traceback.print_exc()
            failed.append(name)
        say(f"{name} took {time.monotonic() - begin:.0f} s")
    return reports, failed


def printed(options: argparse.Namespace, reports: dict[str, Report]) -> None:
    """Print the figures with their targets, then all tables."""
    scale = "" if options.scale == 1 else f", {options.scale:g} of the mail: the targets are meant for all of it"
    print(
        f"Medians of {options.runs} interleaved runs, Dovecot on loopback, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores{scale}.\n"
    )
    figures = [figure for report in reports.values() for figure in report.figures]
    if figures:
        print("\n".join(targets(figures)), end="\n\n")
    for name, report in reports.items():
        print(f"## {name}\n\n{' '.join(_about(name))}\n")
        print("\n".join(report.lines))


def written(path: Path, reports: dict[str, Report]) -> None:
    """Write figures and runs as JSON."""
    everything = {
        name: {
            "figures": [
                {"what": one.what, "value": one.value, "unit": one.unit, "limit": one.limit, "met": one.is_met}
                for one in report.figures
            ],
            "runs": {title: series.plain() for title, series in report.series.items()},
        }
        for name, report in reports.items()
    }
    path.write_text(json.dumps(everything, indent=1) + "\n")


def main() -> None:
    """Measure and print."""
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers are stopped and folders removed then too
    if not programs.provide_package("Dovecot", _DOVECOT, lambda: missing() is not None):
        sys.exit(2)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "mailarchive")], check=False)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work, ignore_cleanup_errors=True) as work:
        bench = Bench(options.runs, options.scale, Path(work), str(options.program.absolute()))
        try:
            reports, failed = measured(bench, options.subjects or list(SUBJECTS))
            printed(options, reports)  # before all is removed, which takes a while
            if options.json:
                written(options.json, reports)
        finally:
            sys.stdout.flush()
            bench.servers.close()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
