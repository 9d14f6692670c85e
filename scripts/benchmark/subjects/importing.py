"""The import of one large mbox, and of the same again."""

import sys
from pathlib import Path

from mailarchive.loopback.corpus import realistic
from mailarchive.mail import mboxrd
from mailarchive.mail.eol import lf_text
from scripts.benchmark.bench import Bench, Command
from scripts.benchmark.measuring import Series
from scripts.benchmark.tables import Figure, Report

MESSAGES = 18_500
"""About 1 GB of generated mail."""
_DRAIN = "import sys, hashlib; hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256')"


def importing(bench: Bench) -> Report:
    """Import an mbox of 1 GB into a new archive, and again; a drain reads it and takes its SHA-256."""
    report, series, again = Report(), Series(), Series()
    path = bench.new_folder() / "all.mbox"
    octets = _write(path, bench.count(MESSAGES))
    tools = {
        "drain": lambda _: [sys.executable, "-I", "-S", "-c", _DRAIN, str(path)],
        "import": lambda folder: _import(bench, folder / "archive", path),
    }
    folders = bench.fresh(series, tools, keep=("import",))
    bench.again(again, {"import again": _import(bench, folders["import"] / "archive", path)})
    title = f"Import of an mbox of {octets / 1e6:.0f} MB"
    report.runs(title, series, {"drain": "drain"}, dict.fromkeys(series.runs, octets))
    report.runs(f"{title}, again", again, octets={"import again": octets})
    report.figures.append(Figure("import of an mbox", series.rate("import", octets), 150, "MB/s", least=True, digits=0))
    return report


def _import(bench: Bench, archive: Path, path: Path) -> Command:
    return bench.mailarchive(archive, "import", str(path), "--quiet")


def _write(path: Path, count: int) -> int:
    with path.open("wb") as file:
        for mail in realistic(count):
            text, _ = lf_text(mail.octets)
            file.write(mboxrd.encode(text, final=mail.octets.endswith(b"\n"), date=mail.internaldate))
        return file.tell()
