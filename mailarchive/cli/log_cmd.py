"""``mailarchive log``: the runs that wrote to the archive."""

from collections import deque
from typing import Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.render import count, dump, iso, seconds, size, table, when
from mailarchive.cli.terminal import out
from mailarchive.ops.browse import RunRow


def log(
    archive: options.Archive = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=0, help="Only the last N runs.")] = None,
    as_json: options.Json = False,
) -> int:
    """List the runs and how they ended, oldest first."""
    from mailarchive.ops import browse

    rows = deque(browse.runs(options.archive_directory(archive)), maxlen=limit)
    if as_json:
        for row in rows:
            out(dump(_as_object(row)))
        return 0
    header = ("RUN", "COMMAND", "BEGIN", "TIME", "EXIT", "NEW", "KNOWN", "FAILED", "GONE", "FLAGS", "DOWNLOADED")
    for line in table(header, (_cells(row) for row in rows), "><<>>>>>>>>"):
        out(line)
    return 0


def _cells(row: RunRow) -> tuple[str, ...]:
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
    )


def _as_object(row: RunRow) -> dict[str, object]:
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
    }
