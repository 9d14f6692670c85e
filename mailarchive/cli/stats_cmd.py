"""``mailarchive stats``: how much there is and what it costs."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from mailarchive.cli import options
from mailarchive.cli.render import count, dump, size
from mailarchive.cli.terminal import out

if TYPE_CHECKING:
    from mailarchive.ops.browse import Stats


def stats(archive: options.Archive = None, as_json: options.Json = False) -> int:
    """Compare what was received with what is on disk."""
    from mailarchive.ops import browse

    found = browse.stats(options.archive_directory(archive))
    if as_json:
        out(dump(asdict(found)))
    else:
        print_stats(found)
    return 0


def print_stats(found: "Stats") -> None:
    """Print the numbers with their names."""
    lines = (
        ("accounts", count(found.accounts)),
        ("mailboxes", count(found.mailboxes)),
        ("messages", f"{count(found.messages)} ({count(found.gone)} no longer at the server)"),
        ("unique messages", count(found.unique)),
        ("as received", size(found.received_bytes)),
        ("saved by deduplication", size(found.saved_by_deduplication)),
        ("on disk", f"{size(found.disk_bytes)} ({found.ratio:.1%} of what was received)"),
        ("catalog (derived)", size(found.catalog_bytes)),
    )
    for name, value in lines:
        out(f"{name:<24}{value}")
