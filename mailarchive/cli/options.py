"""The options and arguments that several commands share."""

import os
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mailarchive.configuration import configuration_file, load
from mailarchive.configuration.values import size_of, span_of
from mailarchive.errors import UsageError

LONGEST_NAME, LONGEST_PATH = 255, 3500

Archive = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        metavar="DIR",
        help="The archive [MAILARCHIVE_ARCHIVE, else the first of the configuration, else ~/mail-archive].",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The configuration [MAILARCHIVE_CONFIG, else the platform's place]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing when all is well.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more on standard error.")]
Mailboxes = Annotated[
    list[str] | None, typer.Option("--mailbox", "-m", metavar="GLOB", help="Only these mailboxes; may be repeated.")
]
Account = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Only this account, like me@host.")]
Since = Annotated[str | None, typer.Option("--since", metavar="DATE", help="Only mail received on this day or later.")]
Before = Annotated[str | None, typer.Option("--before", metavar="DATE", help="Only mail received before this day.")]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", "-x", metavar="GLOB", help="Not these mailboxes; may be repeated.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing that has a usual answer: take that.")]
JsonObject = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
Wait = Annotated[
    bool,
    typer.Option("--wait", help="When the server asks for patience, wait and go on (at a terminal: always)."),
]
CaFile = Annotated[
    Path | None, typer.Option("--ca-file", metavar="FILE", help="Trust the certificate authorities in this file.")
]
PasswordCommand = Annotated[
    str | None, typer.Option("--password-command", metavar="CMD", help="Take the first line that CMD prints.")
]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="Take the first line of FILE.")
]


def octets(text: str | None, option: str) -> int | None:
    """Return the octets that an option names, like 2GB or 1.5GiB. Raises UsageError."""
    if text is None:
        return None
    found = size_of(text)
    if found is None:
        raise UsageError(f"{option} {text!r} is not a size", hint="write it like 500MB, 2GB or 1.5GiB")
    return found


def span(text: str | None, option: str) -> timedelta | None:
    """Return the span of time that an option names, like 30m, 6h or 3d. Raises UsageError."""
    if text is None:
        return None
    found = span_of(text)
    if found is None:
        raise UsageError(
            f"{option} {text!r} is not a span of time",
            hint="write it like 30m, 6h, 3d or 2w: minutes, hours, days, weeks",
        )
    return found


def named_archive(given: Path | None) -> Path | None:
    """Return the archive that ``--archive`` or MAILARCHIVE_ARCHIVE names."""
    named = os.environ.get("MAILARCHIVE_ARCHIVE")
    return given or (Path(named) if named else None)


def archive_directory(given: Path | None, config: Path | None = None) -> Path:
    """Return the archive that is named, else the first of the configuration, else ``~/mail-archive``; absolute.

    Raises UsageError.
    """
    path = named_archive(given)
    if path is None:
        path = next(iter(load(configuration_file(config)).archives.values()), Path("~/mail-archive"))
    try:
        return directory(path)
    except RuntimeError:
        raise UsageError("there is no home directory to look in", hint="name the archive with --archive DIR") from None


def directory(given: Path) -> Path:
    """Return a directory that the command line names, absolute. Raises UsageError, and RuntimeError without a home."""
    path = given.expanduser().absolute()
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts) or len(os.fsencode(path)) > LONGEST_PATH:
        raise UsageError(
            f"{path.name[:40]}… is too long for the name of a directory",
            hint=f"a name may have {LONGEST_NAME} octets, and a whole path {LONGEST_PATH}",
        )
    return path


def day(text: str | None, option: str) -> date | None:
    """Return the day that an option names, like 2024-03-01. Raises UsageError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a day", hint="write it like 2024-03-01") from None
