"""``mailarchive mailboxes``: what is in the archive, by mailbox."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailarchive.cli import options
from mailarchive.cli.render import count, dump, iso, size, table, when
from mailarchive.cli.terminal import out

if TYPE_CHECKING:
    from mailarchive.ops.browse import MailboxRow


def mailboxes(archive: options.Archive = None, account: options.Account = None, as_json: options.Json = False) -> int:
    """List the mailboxes.

    MESSAGES and UNSEEN are at the server as of the last pull; GONE have vanished from it and are kept.
    """
    from mailarchive.ops import browse

    rows = browse.mailboxes(options.archive_directory(archive), account)
    print_mailboxes(rows, as_json=as_json)
    return 0


def print_mailboxes(rows: "Iterable[MailboxRow]", *, as_json: bool = False) -> None:
    """Print a table, or one JSON object a line."""
    if as_json:
        for row in rows:
            out(dump(_as_object(row)))
        return
    cells = [
        (
            row.account,
            row.mailbox if row.present else f"{row.mailbox} (deleted)",
            count(row.messages),
            count(row.unseen),
            count(row.gone),
            size(row.octets),
            when(row.last_pull),
        )
        for row in rows
    ]
    for line in table(("ACCOUNT", "MAILBOX", "MESSAGES", "UNSEEN", "GONE", "SIZE", "LAST PULL"), cells, "<<>>>><"):
        out(line)


def _as_object(row: "MailboxRow") -> dict[str, object]:
    return {
        "account": row.account,
        "mailbox": row.mailbox,
        "messages": row.messages,
        "unseen": row.unseen,
        "gone": row.gone,
        "bytes": row.octets,
        "last_pull": iso(row.last_pull),
        "present": row.present,
    }
