"""``mailarchive status``: how old each account's last complete run is."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.render import clean, count, dump, iso, plural, table, when
from mailarchive.cli.terminal import out, say
from mailarchive.cli.watchdog import check_metrics
from mailarchive.clock import SystemClock
from mailarchive.config import account_of
from mailarchive.configuration import AccountEntry, configuration_file, load
from mailarchive.errors import ExitCode, MailArchiveError, UsageError

if TYPE_CHECKING:
    from mailarchive.ops.status import AccountStatus

_KEPT = "What is deleted at the server stays in the archive."
_NAGIOS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def status(
    accounts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ACCOUNT]...", help="Accounts by name (else all).", show_default=False),
    ] = None,
    archive: options.Archive = None,
    stale: Annotated[
        str | None,
        typer.Option(
            "--stale", metavar="TIME", help="How old a complete run may be, like 3d (else 3 days, or 3 times `every`)."
        ),
    ] = None,
    as_json: options.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what is not well.")] = False,
    nagios: Annotated[
        bool, typer.Option("--nagios", help="One line and the exit codes of a Nagios plugin: 0, 1, 2, 3.")
    ] = False,
    metrics: Annotated[
        Path | None,
        typer.Option("--metrics", metavar="FILE", help="Write it in the text form of Prometheus, too."),
    ] = None,
    config: options.Config = None,
) -> int:
    """Say when each account was pulled last as a whole, what it has, and what could not be fetched.

    Exit code 3 if an account had no complete run for too long.
    """
    if nagios:
        return _as_plugin(accounts or [], archive, stale, config)
    found = _found(accounts or [], archive, stale, config)
    if metrics is not None:
        _write_metrics(metrics, found)
    if as_json:
        for one in found:
            out(dump({**asdict(one), "complete": iso(one.complete), "last": iso(one.last)}))
    else:
        _print(found, quiet=quiet)
    return _exit_code(found)


def _write_metrics(file: Path, found: "Sequence[AccountStatus]") -> None:
    from mailarchive.ops.metrics import write_metrics

    check_metrics(file)
    write_metrics(file, found, [])


def _exit_code(found: "Sequence[AccountStatus]") -> int:
    errors = max((one.exit_code for one in found), default=0)
    return errors or (ExitCode.PARTIAL if any(one.stale for one in found) else ExitCode.COMPLETE)


def _found(names: Sequence[str], archive: Path | None, stale: str | None, config: Path | None) -> "list[AccountStatus]":
    """Return how the accounts of the configuration stand, and those that only an archive knows. Raises UsageError."""
    from mailarchive.ops.status import Expected, patience_of
    from mailarchive.ops.status import status as status_of

    given = options.span(stale, "--stale")
    named = options.named_archive(archive)
    directory = options.archive_directory(named, config)
    entries = [
        entry
        for entry in load(configuration_file(config)).accounts.values()
        if named is None or entry.archive == directory
    ]
    found: list[AccountStatus] = []
    for place in dict.fromkeys([*(entry.archive for entry in entries), *([] if entries else [directory])]):
        expected = [
            Expected(entry.name, account_of(entry.endpoint).name, patience_of(entry.every, given))
            for entry in entries
            if entry.archive == place
        ]
        found += status_of(place, expected, SystemClock(), patience_of(None, given))
    return _named(found, names, entries)


def _named(
    found: "list[AccountStatus]", names: Sequence[str], entries: Sequence[AccountEntry]
) -> "list[AccountStatus]":
    chosen = [one for one in found if not names or {one.name, one.account} & set(names)]
    for name in names:
        if not any(name in {one.name, one.account} for one in chosen):
            known = ", ".join(dict.fromkeys([*(entry.name for entry in entries), *(one.name for one in found)]))
            raise UsageError(f"there is no account {name!r}", hint=f"there are: {known or 'none'}")
    if not chosen:
        raise UsageError("there is no account yet", hint="give a URL: mailarchive pull imaps://user@host")
    return chosen


def _print(found: "Sequence[AccountStatus]", *, quiet: bool) -> None:
    shown = [one for one in found if not quiet or one.stale or one.error]
    if shown:
        header = ("ACCOUNT", "LAST COMPLETE RUN", "LAST RUN", "MESSAGES", "GONE", "FAILED", "")
        for line in table(header, map(_cells, shown), "<<<>>><"):
            out(line)
    for one in shown:
        if one.error:
            say(f"mailarchive: {clean(one.error)}")
    if not quiet:
        out(_KEPT)


def _cells(one: "AccountStatus") -> tuple[str, ...]:
    return (
        one.name or one.archive,
        when(one.complete),
        when(one.last),
        count(one.messages),
        count(one.gone),
        count(one.failed),
        one.error or one.why,
    )


def _as_plugin(names: Sequence[str], archive: Path | None, stale: str | None, config: Path | None) -> int:
    """Print one line with performance data, and return the exit code of a Nagios plugin."""
    try:
        found = _found(names, archive, stale, config)
    except MailArchiveError as error:
        out(clean(f"MAILARCHIVE {_NAGIOS[3]} - {error}").replace("|", "/"))
        return 3
    bad = [one for one in found if one.stale or one.error]
    failed = sum(one.failed for one in found)
    code = 2 if bad else 1 if failed else 0
    said = "; ".join(f"{one.name or one.archive}: {one.error or one.why}" for one in bad)
    if not said:
        said = f"{plural(len(found), 'account')} complete" + (f", {plural(failed, 'message')} failed" if failed else "")
    ages = [(datetime.now(UTC) - one.complete) // timedelta(seconds=1) for one in found if one.complete]
    data = f"accounts={len(found)} stale={len(bad)} failed={failed} oldest={max(ages, default=0)}s"
    out(clean(f"MAILARCHIVE {_NAGIOS[code]} - {said}").replace("|", "/") + f" | {data}")
    return code
