"""``mailarchive list``: the messages of the archive."""

import shutil
import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.render import clean, dump, fit, iso, pad, size, when
from mailarchive.cli.terminal import notice, out
from mailarchive.ops.selection import Selection

if TYPE_CHECKING:
    from mailarchive.ops.browse import MessageRow

_ID = 12
_COLUMNS = ((_ID, "<"), (16, "<"), (10, ">"), (5, "<"), (24, "<"), (28, "<"))
_HEADER = ("ID", "RECEIVED", "SIZE", "FLAGS", "MAILBOX", "FROM")
_LETTERS = {"\\seen": "S", "\\answered": "R", "\\flagged": "F", "\\draft": "D", "\\deleted": "T"}


def list_messages(
    archive: options.Archive = None,
    mailbox: options.Mailboxes = None,
    account: options.Account = None,
    since: options.Since = None,
    before: options.Before = None,
    gone: Annotated[bool, typer.Option("--gone", help="Only messages that vanished from the server.")] = False,
    moved: Annotated[
        bool, typer.Option("--moved", help="Only messages that left a mailbox for another of the account: from, to.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=0, help="At most N messages.")] = None,
    as_json: options.Json = False,
) -> int:
    """List messages.

    Flags: S seen, R answered, F flagged, D draft, T deleted.
    """
    from mailarchive.ops import browse

    selection = Selection(
        tuple(mailbox or ()),
        account,
        options.day(since, "--since"),
        options.day(before, "--before"),
        gone or moved,
        moved,
    )
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    rows = browse.messages(options.archive_directory(archive), selection, notice)
    for number, row in enumerate(islice(rows, limit)):
        if as_json:
            out(dump(as_object(row)))
            continue
        if number == 0:
            out(_line((*_HEADER[:-1], "NOW IN" if moved else _HEADER[-1], "SUBJECT"), columns))
        out(_line(_cells(row, moved=moved), columns))
    return 0


def as_object(row: "MessageRow") -> dict[str, object]:
    """Return a row for ``--json``."""
    return {
        "id": row.digest.hex(),
        "account": row.account,
        "mailbox": row.mailbox,
        "uid": row.uid,
        "bytes": row.size,
        "internaldate": iso(row.internaldate),
        "flags": list(row.flags),
        "gone": iso(row.gone_at),
        "moved_to": list(row.moved_to),
        "date": row.date,
        "from": row.sender,
        "subject": row.subject,
    }


def _cells(row: "MessageRow", *, moved: bool) -> tuple[str, ...]:
    letters = "".join(sorted({_LETTERS.get(flag.lower(), "") for flag in row.flags}))
    return (
        row.digest.hex()[:_ID],
        when(row.internaldate),
        size(row.size),
        letters,
        clean(row.mailbox),
        clean(", ".join(row.moved_to) if moved else row.sender),
        clean(row.subject),
    )


def _line(cells: tuple[str, ...], columns: int | None) -> str:
    """Return a line of fixed columns; cells are cut, and so is the line where a terminal is that narrow."""
    fixed = [
        pad(fit(cell, wide), wide, ">" if align == ">" else "<")
        for cell, (wide, align) in zip(cells, _COLUMNS, strict=False)
    ]
    line = "  ".join([*fixed, cells[-1]]).rstrip()
    return line if columns is None else fit(line, columns)
