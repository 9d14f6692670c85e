"""``mailarchive failures``: the messages that could not be fetched."""

from datetime import datetime
from typing import TYPE_CHECKING

from mailarchive.cli import options
from mailarchive.cli.render import count, dump, iso, table, when
from mailarchive.cli.terminal import out
from mailarchive.clock import SystemClock

if TYPE_CHECKING:
    from mailarchive.ops.browse import FailureRow


def failures(archive: options.Archive = None, account: options.Account = None, as_json: options.Json = False) -> int:
    """List the messages that could not be fetched, and why.

    Each pull tries again those that are due: at first all, later at growing distance.
    """
    from mailarchive.ops import browse

    now = SystemClock().now()
    rows = browse.failures(options.archive_directory(archive), account)
    if as_json:
        for row in rows:
            out(dump(_as_object(row, now)))
        return 0
    header = ("ACCOUNT", "MAILBOX", "UID", "TRIES", "LAST TRY", "NEXT TRY", "REASON")
    for line in table(header, (_cells(row, now) for row in rows), "<<>><<<"):
        out(line)
    return 0


def _cells(row: "FailureRow", now: datetime) -> tuple[str, ...]:
    following = "next pull" if row.next_try <= now else when(row.next_try)
    return row.account, row.mailbox, row.uid, count(row.tries), when(row.last_try), following, row.reason


def _as_object(row: "FailureRow", now: datetime) -> dict[str, object]:
    return {
        "account": row.account,
        "mailbox": row.mailbox,
        "uid": row.uid,
        "reason": row.reason,
        "tries": row.tries,
        "last_try": iso(row.last_try),
        "next_try": iso(row.next_try),
        "due": row.next_try <= now,
    }
