"""What the mail takes on disk, beside others that keep the same mail."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from mailarchive.loopback.corpus import Mail, realistic, small
from scripts.benchmark.bench import Bench, Command, say
from scripts.benchmark.measuring import disk_octets, environment
from scripts.benchmark.tables import Figure, Report

COUNT = 10_000


def disk(bench: Bench) -> Report:
    """Octets on disk beside a Maildir, plain and gzipped, and restic and borg of it."""
    report = Report()
    for kind, limit in ((small, 0.18), (realistic, 0.48)):
        load = getattr(bench.servers, kind.__name__)(bench.count(COUNT))
        archive = bench.pulled(load)
        kept = {"mailarchive": disk_octets(archive)}
        kept["mailarchive, catalog only"] = sum(path.stat().st_size for path in archive.glob("catalog.sqlite3*"))
        for part in ("mail", "journal"):
            kept[f"mailarchive, {part}/ only"] = disk_octets(archive / part)
        with bench.folder() as folder:
            kept |= _others(bench, folder, kind(bench.count(COUNT)))
        rows = [[name, f"{octets / load.octets:.3f}", f"{octets:,}"] for name, octets in kept.items()]
        title = f"Disk: {load.name} ({load.octets / 1e6:.1f} MB received)"
        report.table(title, ["", "of the octets received", "octets"], rows)
        share = kept["mailarchive"] / load.octets
        report.figures.append(Figure(f"disk, {load.name}", share, limit, "of the octets received", digits=3))
        share = kept["mailarchive, mail/ only"] / load.octets
        report.figures.append(
            Figure(f"disk, {load.name}, mail/ only", share, limit, "of the octets received", digits=3)
        )
    return report


def _others(bench: Bench, folder: Path, mails: Iterable[Mail]) -> dict[str, int]:
    """Return the octets that others keep the same mail in, by their names."""
    plain, zipped = folder / "plain", folder / "gzip"
    for number, mail in enumerate(mails):
        for root, octets in ((plain, mail.octets), (zipped, gzip.compress(mail.octets, 6))):
            place = root / mail.mailbox / "cur"
            place.mkdir(parents=True, exist_ok=True)
            moment = int(mail.internaldate.timestamp())
            path = place / f"{moment}.M{number}P1.bench,S={len(mail.octets)}:2,S"
            path.write_bytes(octets)
            os.utime(path, (moment, moment))
    kept = {"Maildir": disk_octets(plain), "Maildir, gzip a file": disk_octets(zipped)}
    if "restic" in bench.peers:
        repository, password = folder / "restic", {"RESTIC_PASSWORD": "bench"}
        _run(["restic", "init", "--repo", str(repository), "--quiet"], password)
        _run(["restic", "backup", "--repo", str(repository), "--quiet", str(plain)], password)
        kept["restic of the Maildir"] = disk_octets(repository)
    if "borg" in bench.peers:
        for name, options in (("borg of the Maildir", []), ("the same, --compression zstd", ["--compression=zstd"])):
            repository, base = folder / f"borg{len(options)}", {"BORG_BASE_DIR": str(folder / "borg-home")}
            _run(["borg", "init", "--encryption=none", str(repository)], base)
            _run(["borg", "create", *options, f"{repository}::bench", str(plain)], base)
            kept[name] = disk_octets(repository)
    shutil.rmtree(plain)
    return kept


def _run(command: Command, extra: dict[str, str]) -> None:
    say(f"  {' '.join(command[:2])}")
    subprocess.run(command, env={**environment(), **extra}, check=True, capture_output=True)
