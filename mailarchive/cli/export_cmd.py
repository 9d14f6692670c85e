"""``mailarchive export``: messages out of the archive, as files."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from mailarchive.cli import options
from mailarchive.cli.progress import watching
from mailarchive.cli.render import dump, plural, size
from mailarchive.cli.terminal import out, out_octets, say
from mailarchive.errors import UsageError

if TYPE_CHECKING:
    from mailarchive.ops.export import Format
    from mailarchive.targets.registry import Write

_PIPE = Path("-")


def export(
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="A directory; made if it does not exist. - is a pipe, for an mbox.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="mbox|eml|maildir|thunderbird",
            help="A file a mailbox (mbox), a file a message (eml), Maildir++ (also an existing one), local folders.",
        ),
    ] = "mbox",
    one_file: Annotated[bool, typer.Option("--one-file", help="One mbox of all; DEST is the new file.")] = False,
    labels_header: Annotated[
        bool,
        typer.Option("--labels-header", help="Flags and labels as header fields: Status, X-Keywords, X-Gmail-Labels."),
    ] = False,
    archive: options.Archive = None,
    mailbox: options.Mailboxes = None,
    account: options.Account = None,
    since: options.Since = None,
    before: options.Before = None,
    gone: Annotated[bool, typer.Option("--gone", help="Only messages that vanished from the server.")] = False,
    moved: Annotated[
        bool, typer.Option("--moved", help="Only messages that left a mailbox for another of the account.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=0, help="At most N messages.")] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Write messages into a directory as files, or as an mbox to a file or pipe.

    An .eml file is the message octet for octet, dated when it was received. In a Maildir lines end in LF.
    """
    from mailarchive.ops.export import export as run_export
    from mailarchive.ops.selection import Selection

    selection = Selection(
        tuple(mailbox or ()),
        account,
        options.day(since, "--since"),
        options.day(before, "--before"),
        gone=True if gone or moved else None,
        moved=moved,
    )
    is_piped = destination == _PIPE
    format_ = _format(form, is_one=one_file or is_piped, marked=labels_header)
    goal = _pipe(as_json=as_json) if is_piped else options.directory(destination)
    with watching("export", quiet=quiet) as watcher:
        report = run_export(
            options.archive_directory(archive), goal, format_, selection, watcher, marked=labels_header, limit=limit
        )
    if as_json:
        out(dump(asdict(report)))
    elif not quiet:
        there = f"; {plural(report.skipped, 'message')} there already" if report.skipped else ""
        where = "to standard output" if is_piped else f"to {plural(report.files, 'file')}{there}"
        (say if is_piped else out)(f"{plural(report.messages, 'message')} ({size(report.octets)}) written {where}")
    return 0


def _format(form: str, *, is_one: bool, marked: bool) -> "Format":
    """Return the format that the options ask for. Raises UsageError."""
    from mailarchive.targets.registry import Format

    formats: dict[str, Format] = {name: name for name in get_args(Format) if name != "one-mbox"}
    if form not in formats:
        raise UsageError(f"there is no format {form!r}", hint=f"choose one: --format {'|'.join(formats)}")
    if form != "mbox" and is_one:
        raise UsageError(f"one file of all messages is an mbox, not {form}", hint=f"leave out --format {form}")
    if form != "mbox" and marked:
        raise UsageError(
            f"--labels-header is for an mbox, not {form}",
            hint="an .eml file is exactly the message" if form == "eml" else f"{form} keeps flags without it",
        )
    return "one-mbox" if is_one else formats[form]


def _pipe(*, as_json: bool) -> "Write":
    """Return what writes to standard output. Raises UsageError if messages should not go there."""
    if sys.stdout.isatty():
        raise UsageError(
            "messages are not written to a terminal", hint="send them somewhere: mailarchive export - > all.mbox"
        )
    if as_json:
        raise UsageError(
            "--json and messages cannot both go to standard output", hint="leave out --json, or name a file"
        )
    return out_octets
