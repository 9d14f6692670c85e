"""``mailarchive schedule``: let this machine pull again and again."""

import os
import platform
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.render import clean, clean_lines
from mailarchive.cli.terminal import notice, out, say
from mailarchive.cli.tokens import is_in_keyring
from mailarchive.configuration import AccountEntry, configuration_file, load
from mailarchive.errors import UsageError

if TYPE_CHECKING:
    from mailarchive.ops.schedule import Scheduler, Step
    from mailarchive.ops.timetable import Job

UseSystemd = Annotated[bool, typer.Option("--systemd", help="A timer and a service of systemd.")]
UseCron = Annotated[bool, typer.Option("--cron", help="A line in your crontab.")]
UseLaunchd = Annotated[bool, typer.Option("--launchd", help="An agent of macOS.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would be written and run.")]
_DEFAULT = timedelta(hours=1)
_WAYS = "name another way to it in the configuration (mailarchive account add has them)"
_LINGER = "timers of a user stop at log-out, unless: loginctl enable-linger"


def show(systemd: UseSystemd = False, cron: UseCron = False, launchd: UseLaunchd = False) -> int:
    """Show what is scheduled."""
    found = [step for scheduler in _schedulers(systemd, cron, launchd) for step in scheduler.show()]
    _print(found)
    if not found:
        out("Nothing is scheduled; see: mailarchive schedule install --help")
    return 0


def install(
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="TIME", help="How often: 30m, 1h, 6h, 1d (else the shortest of the accounts)."),
    ] = None,
    systemd: UseSystemd = False,
    cron: UseCron = False,
    launchd: UseLaunchd = False,
    dry_run: DryRun = False,
    config: options.Config = None,
) -> int:
    """Pull all accounts of the configuration again and again, beginning now; what was scheduled before is replaced.

    Runs never overlap: one that finds another at work ends with 11, and the next goes on. What the runs say is in the
    journal (systemd), in mail (cron), or in ~/Library/Logs (launchd).
    """
    scheduler = _schedulers(systemd, cron, launchd)[0]
    entries = _entries(config)
    for sentence in _out_of_reach(entries, scheduler.name):
        notice(sentence)
    job = _job(entries, options.span(every, "--every"), configuration_file(config))
    if dry_run:
        _print(scheduler.plan(job))
        return 0
    scheduler.install(job)
    out(f"Scheduled with {scheduler.name}; see: mailarchive schedule show")
    if scheduler.name == "systemd":
        say(f"mailarchive: {_LINGER}")
    return 0


def remove(systemd: UseSystemd = False, cron: UseCron = False, launchd: UseLaunchd = False) -> int:
    """Schedule nothing any more; archives and configuration stay as they are."""
    was_there = [scheduler.remove() for scheduler in _schedulers(systemd, cron, launchd)]
    out("Removed." if any(was_there) else "Nothing was scheduled.")
    return 0


def _schedulers(systemd: bool, cron: bool, launchd: bool) -> "list[Scheduler]":
    """Return what was chosen, else what this machine has, the best first. Raises UsageError."""
    from mailarchive.ops.schedule import Cron, Launchd, Systemd

    home = Path.home()
    units = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "systemd" / "user"
    agents = Launchd(home / "Library" / "LaunchAgents", home / "Library" / "Logs" / "mailarchive.log")
    chosen: list[Scheduler] = []
    chosen += [Systemd(units)] if systemd else []
    chosen += [Cron()] if cron else []
    chosen += [agents] if launchd else []
    if len(chosen) > 1:
        raise UsageError("--systemd, --cron and --launchd exclude each other")
    if chosen:
        return chosen
    found: list[Scheduler] = []
    found += [agents] if platform.system() == "Darwin" else []
    found += [Systemd(units)] if shutil.which("systemctl") and Path("/run/systemd/system").is_dir() else []
    found += [Cron()] if shutil.which("crontab") else []
    if not found:
        raise UsageError("this machine has neither systemd nor cron nor launchd", hint="name one: --systemd, --cron")
    return found


def _entries(config: Path | None) -> list[AccountEntry]:
    """Return the accounts that are pulled. Raises UsageError if there is none."""
    file = configuration_file(config)
    entries = list(load(file).accounts.values())
    if not entries:
        raise UsageError(f"{file} has no account", hint="add one: mailarchive account add you@example.org")
    return entries


def _out_of_reach(entries: "Sequence[AccountEntry]", scheduler: str) -> Iterator[str]:
    """Yield what a scheduled run perhaps lacks to log in. Raises UsageError for what it lacks for certain."""
    for entry in entries:
        kind = entry.credential.kind if entry.credential else "oauth" if entry.oauth else None
        if kind == "prompt":
            raise UsageError(
                f"the password of {entry.name} is asked for at a terminal, where there is none", hint=_WAYS
            )
        if kind == "systemd" and scheduler != "systemd":
            raise UsageError(f"the password of {entry.name} is only there in a service of systemd", hint=_WAYS)
        if kind == "environment" and entry.credential:
            yield f"{entry.name}: {scheduler} does not know {entry.credential.value} unless it is told there too"
        elif kind is None and entry.endpoint.auth != "oauth":
            yield f"{entry.name}: the configuration does not say where its password is, and {scheduler} cannot ask"
        elif scheduler == "cron" and (kind == "keyring" or (entry.oauth and is_in_keyring(entry))):
            yield f"{entry.name}: cron cannot reach the keyring of a desktop"


def _job(entries: "Sequence[AccountEntry]", every: timedelta | None, file: Path) -> "Job":
    """Return the pull of all accounts."""
    from mailarchive.ops.timetable import Job

    spans = [entry.every for entry in entries if entry.every is not None]
    archives = list(dict.fromkeys(entry.archive for entry in entries))
    command = [*_program(), "pull", "--quiet", "--config", str(file)]
    return Job(
        command,
        every or min(spans, default=_DEFAULT),
        [*archives, file.parent],
        sorted({entry.credential.value for entry in entries if _is_of_systemd(entry) and entry.credential}),
        any(entry.credential is not None and entry.credential.kind == "command" for entry in entries),
        zlib.crc32(f"{platform.node()} {file}".encode()),
    )


def _is_of_systemd(entry: AccountEntry) -> bool:
    return entry.credential is not None and entry.credential.kind == "systemd"


def _program() -> list[str]:
    """Return how this program was called, by its absolute path."""
    named = os.environ.get("MAILARCHIVE_COMMAND") or sys.argv[0]
    path = shutil.which(named)
    return [str(Path(path).absolute())] if path else [sys.executable, "-P", "-m", "mailarchive"]


def _print(steps: "Sequence[Step]") -> None:
    for step in steps:
        out(f"# {clean(step.what)}")
        if step.text:
            out(clean_lines(step.text.rstrip("\n")))
            out("")
