"""What a pull is asked to do, and what surrounds it."""

from datetime import date
from typing import NamedTuple

from mailarchive.clock import Clock, Stop
from mailarchive.model import Account
from mailarchive.ops.events import Observer
from mailarchive.sources.base import SourceFactory


class PullOptions(NamedTuple):
    """What to pull. ``mailboxes`` and ``exclude`` are case-sensitive globs over the printed mailbox name."""

    mailboxes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: date | None = None
    dry_run: bool = False
    connections: int | None = None
    """How many to each account; None: as many as pay, up to a few."""
    paranoid: bool = False
    """Download what could be linked, and compare."""
    gone_alarm: float = 0.5
    """The share of a mailbox that may vanish between two runs without a warning."""
    max_download: int | None = None
    """Octets that may be downloaded for an account on one day (UTC)."""
    newest_first: bool = False
    """Fetch the newest messages of each mailbox first."""


class PullAccount(NamedTuple):
    """An account and how to open connections to it."""

    account: Account
    connect: SourceFactory
    most_connections: int | None = None
    options: PullOptions | None = None
    """What is to be pulled from it, if not what is to be pulled from all."""
    host: str = ""
    """Accounts of one host are not all pulled at the same time."""
    name: str = ""
    """What the configuration calls it; empty if it does not name it."""


class Around(NamedTuple):
    """What surrounds a run: who watches, what time it is, and whether to stop."""

    observer: Observer
    clock: Clock
    stop: Stop
