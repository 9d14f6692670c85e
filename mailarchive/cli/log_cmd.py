"""``mailarchive log``: the runs that wrote to the archive, and what they found."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.render import clean, count, dump, iso, plural, seconds, size, table, when
from mailarchive.cli.terminal import out

if TYPE_CHECKING:
    from mailarchive.ops.browse import RunRow
    from mailarchive.ops.history import MailboxChange, MessageChange, RunHistory

    Change = MailboxChange | MessageChange

SHOWN = 20
"""So many messages of a run are shown without ``--all``."""
_HEADER = (
    "RUN",
    "COMMAND",
    "BEGIN",
    "TIME",
    "EXIT",
    "NEW",
    "KNOWN",
    "FAILED",
    "GONE",
    "FLAGS",
    "DOWNLOADED",
    "RESTORED",
)
_ALIGN = "><<>>>>>>>>>"


def log(
    archive: options.Archive = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=0, help="Only the last N runs.")] = None,
    messages: Annotated[
        bool, typer.Option("--messages", help="Also what happened: new, gone, moved, and to mailboxes.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help=f"All messages of a run, not only {SHOWN}.")] = False,
    as_json: options.Json = False,
) -> int:
    """List the runs and how they ended, oldest first."""
    from mailarchive.ops import browse, history

    directory = options.archive_directory(archive)
    rows = deque(browse.runs(directory), maxlen=limit)
    if messages or everything:
        past = history.history(directory, len(rows), None if everything or as_json else SHOWN)
        (_dump_history if as_json else _print_history)(rows, past)
    elif as_json:
        for row in rows:
            out(dump(_as_object(row)))
    else:
        for line in table(_HEADER, map(_cells, rows), _ALIGN):
            out(line)
    return 0


def _print_history(rows: "Iterable[RunRow]", past: "Iterable[RunHistory]") -> None:
    """Print each run, and what it found indented below it."""
    header, *lines = table(_HEADER, map(_cells, rows), _ALIGN)
    out(header)
    for line, run in zip(lines, past, strict=False):
        out(line)
        for change in _changes(run):
            out(f"    {_sentence(change)}")
        if run.left_out:
            out(f"    and {plural(run.left_out, 'more message')} (--all shows them)")


def _dump_history(_rows: "Iterable[RunRow]", past: "Iterable[RunHistory]") -> None:
    """Print each run, and each change that it found, as an object of its own."""
    for run in past:
        out(dump(_as_object(run.run)))
        for change in _changes(run):
            out(dump({"run": run.run.number, **_change(change)}))


def _changes(run: "RunHistory") -> "Sequence[Change]":
    return [*run.mailboxes, *run.messages]


def _sentence(change: "Change") -> str:
    from mailarchive.ops.history import MessageChange

    name = clean(change.mailbox if change.was is None else f"{change.was} -> {change.mailbox}")
    if isinstance(change, MessageChange):
        linked = "  (recognised)" if change.linked and change.event == "new" else ""
        return f"{change.event:<5}  {change.digest.hex()[:12]}  {name}  {clean(change.subject)}{linked}"
    messages = f" ({plural(change.messages, 'message')})" if change.messages else ""
    return f"mailbox {change.event}: {name}{messages}"


def _change(change: "Change") -> dict[str, object]:
    from mailarchive.ops.history import MailboxChange

    common = {"account": change.account, "mailbox": change.mailbox, "from": change.was}
    if isinstance(change, MailboxChange):
        return {"change": f"mailbox {change.event}", **common, "messages": change.messages}
    return {
        "change": change.event,
        **common,
        "id": change.digest.hex(),
        "uid": change.uid,
        "bytes": change.size,
        "recognised": change.linked,
        "subject": change.subject,
    }


def _cells(row: "RunRow") -> tuple[str, ...]:
    return (
        str(row.number),
        row.command,
        when(row.begin),
        "-" if row.end is None else seconds((row.end - row.begin).total_seconds()),
        "never ended" if row.exit_code is None else str(row.exit_code),
        count(row.new),
        count(row.known),
        count(row.failed),
        count(row.gone),
        count(row.flags_changed),
        size(row.downloaded_bytes),
        count(row.restored),
    )


def _as_object(row: "RunRow") -> dict[str, object]:
    return {
        "run": row.number,
        "command": row.command,
        "begin": iso(row.begin),
        "end": iso(row.end),
        "exit_code": row.exit_code,
        "listed": row.listed,
        "new": row.new,
        "known": row.known,
        "failed": row.failed,
        "excluded": row.excluded,
        "gone": row.gone,
        "flags_changed": row.flags_changed,
        "downloaded_bytes": row.downloaded_bytes,
        "restored": row.restored,
    }
