"""How long it takes until anything happens."""

import sys
from pathlib import Path

from scripts.benchmark.bench import Bench
from scripts.benchmark.measuring import Series
from scripts.benchmark.tables import Figure, Report

RUNS = 11
_TYPER, _CLIENT = "python -c 'import typer'", "python -c 'import typer, imapclient'"
_VERSION, _HELP, _PULL = "mailarchive --version", "mailarchive --help", "mailarchive pull, no change, one mailbox"


def start_up(bench: Bench) -> Report:
    """`--version`, `--help` and a no-change pull of one mailbox, beside Python and its imports."""
    load = bench.servers.inbox(bench.count(100))
    report, series = Report(), Series()
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        _TYPER: [sys.executable, "-c", "import typer"],
        _CLIENT: [sys.executable, "-c", "import typer, imapclient"],
        _VERSION: [bench.program, "--version"],
        "the same, as pip installs it": [str(Path(sys.executable).with_name("mailarchive")), "--version"],
        _HELP: [bench.program, "--help"],
        _PULL: bench.pull(bench.pulled(load), load.server.port),
    }
    bench.again(Series(), commands, runs=1)
    bench.again(series, commands, runs=max(bench.runs, RUNS) if bench.scale >= 1 else bench.runs)
    report.runs("Start-up", series, {"import typer": _TYPER, "import typer, imapclient": _CLIENT})
    report.figures += [
        Figure("start-up, --version", series.ratio(_VERSION, _TYPER), 1.3, "× import typer"),
        Figure(
            "start-up, no-change pull of one mailbox", series.ratio(_PULL, _CLIENT), 2, "× import typer, imapclient"
        ),
    ]
    return report
