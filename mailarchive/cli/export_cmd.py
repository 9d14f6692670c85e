"""``mailarchive export``: messages out of the archive, as files."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.progress import watching
from mailarchive.cli.render import dump, plural, size
from mailarchive.cli.terminal import out
from mailarchive.errors import UsageError


def export(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A directory; made if it does not exist.")],
    form: Annotated[str, typer.Option("--format", metavar="mbox|eml", help="mbox: a file a mailbox; eml: a message.")],
    archive: options.Archive = None,
    mailbox: options.Mailboxes = None,
    account: options.Account = None,
    since: options.Since = None,
    before: options.Before = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Write messages into a directory as files.

    An .eml file is the message octet for octet, dated when it was received.
    """
    from mailarchive.ops.export import export as run_export
    from mailarchive.ops.selection import Selection

    if form not in {"mbox", "eml"}:
        raise UsageError(f"there is no format {form!r}", hint="choose --format mbox or --format eml")
    selection = Selection(
        tuple(mailbox or ()), account, options.day(since, "--since"), options.day(before, "--before"), gone=None
    )
    with watching("export", quiet=quiet) as watcher:
        report = run_export(
            options.archive_directory(archive),
            options.directory(destination),
            "mbox" if form == "mbox" else "eml",
            selection,
            watcher,
        )
    if as_json:
        out(dump(asdict(report)))
    elif not quiet:
        there = f"; {plural(report.skipped, 'message')} there already" if report.skipped else ""
        out(
            f"{plural(report.messages, 'message')} ({size(report.octets)}) written "
            f"to {plural(report.files, 'file')}{there}"
        )
    return 0
