"""What the processes do that are killed."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from mailarchive.archive.archive import Kind, open_for_writing
from mailarchive.clock import Stop, SystemClock
from mailarchive.config import Endpoint, account_of
from mailarchive.errors import StorageFailed
from mailarchive.model import Fetched, ListedMailbox, MailboxName, RemoteUid
from mailarchive.ops import plan
from mailarchive.ops.events import ignore
from mailarchive.ops.export import export
from mailarchive.ops.naming import Wishes
from mailarchive.ops.pull import PullAccount, PullOptions, pull
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.selection import Selection
from mailarchive.remote import memory
from mailarchive.sources.base import Spool
from mailarchive.sources.memory import MemoryAccount, MemoryOpenMailbox, MemorySource
from mailarchive.sources.registry import connect
from mailarchive.targets import imap
from tests.fault.archives import MBOX, account_at_first, change, ignore_text, message, pull_memory, shrink
from tests.fault.deaths import Death, Failing, Mortal
from tests.integration.restores import restore_at
from tests.integration.sites import account_at
from tests.servers.still_clock import StillClock

KILLED = -signal.SIGKILL
PIECE, LARGE = 700, 1000
DAY = datetime(2024, 2, 29, tzinfo=UTC)


def pull_twice(root: Path, at: int, death: Death, kind: Kind = MBOX) -> None:
    """Make an archive, let things change, pull again; die before the ``at``-th call that changes a file."""
    shrink(kind)
    Mortal(root, at, death).install()
    _pull_twice(root)


def export_maildir(root: Path, destination: Path, at: int) -> None:
    """Export to a Maildir; die before the ``at``-th call that changes a file."""
    Mortal(destination, at, "kill").install()
    export(root, destination, "maildir", Selection(gone=None), ignore)


def account_of_large() -> MemoryAccount:
    """Return an account with two messages of several pieces and one of one."""
    account = MemoryAccount()
    account.create("INBOX")
    for number, size in enumerate((5 * PIECE, PIECE // 2, 3 * PIECE)):
        account.append("INBOX", message(number, size), (), DAY)
    return account


def pull_large(root: Path, at: int, death: Death, kind: Kind = MBOX) -> None:
    """Pull messages that come in pieces; die before the ``at``-th call that changes a file."""
    shrink(kind)
    plan.LARGE, memory.PIECE = LARGE, PIECE
    Mortal(root, at, death).install()
    pull_memory(root, account_of_large())


def pull_traced(root: Path) -> None:
    """Stop until a tracer is there, then do the same."""
    shrink()
    os.kill(os.getpid(), signal.SIGSTOP)
    _to_the_end(root)


def pull_failing(root: Path, at: int, number: int, kind: Kind = MBOX) -> None:
    """Do the same while the ``at``-th call that changes a file fails with ``number``."""
    shrink(kind)
    Failing(at, number).install()
    _to_the_end(root)


def _to_the_end(root: Path) -> None:
    try:
        _pull_twice(root)
    except StorageFailed as error:
        sys.exit(error.exit_code)


def _pull_twice(root: Path) -> None:
    account = account_at_first()
    pull_memory(root, account)
    change(account)
    pull_memory(root, account)


def open_again(root: Path, at: int, death: Death, kind: Kind = MBOX) -> None:
    """Open an archive for writing, which mends it; die before the ``at``-th call that changes a file."""
    shrink(kind)
    Mortal(root, at, death).install()
    with open_for_writing(root, "test", StillClock(), ignore_text):
        pass


def pull_over_imap(port: int, root: Path, connections: int) -> None:
    """Pull the account of the server on loopback at ``port``."""
    _pull(Endpoint("imap", "user", "127.0.0.1", port, "plain"), root, connections)


def pull_over_pop3(port: int, root: Path) -> None:
    """Pull the maildrop of the server on loopback at ``port``."""
    _pull(Endpoint("pop3", "user", "127.0.0.1", port, "plain"), root, 1)


def _pull(endpoint: Endpoint, root: Path, connections: int) -> None:
    shrink()
    clock, stop = SystemClock(), Stop()
    target = PullAccount(account_of(endpoint), connect(endpoint, lambda: "secret", clock=clock, stop=stop))
    pull(root, [target], PullOptions(connections=connections), observer=ignore, clock=clock, stop=stop)


def restore_over_imap(port: int, root: Path, into: str, connections: int, at_once: int) -> None:
    """Restore to the server on loopback at ``port``, with ``at_once`` messages in a command."""
    imap._MESSAGES_A_COMMAND = at_once
    shrink()
    restore_at(port, root, RestoreOptions(wishes=Wishes((into,)), connections=connections))


def pull_at(start: datetime, port: int, root: Path, connections: int, max_download: int | None = None) -> None:
    """Pull the account of the server on loopback at ``port``, on a clock that stands still at ``start``."""
    shrink()
    clock, stop = StillClock(start), Stop()
    target = account_at(port, "127.0.0.1", clock, stop)
    options = PullOptions(connections=connections, max_download=max_download)
    pull(root, [target], options, observer=ignore, clock=clock, stop=stop)


def hold(root: Path, pipe: Connection) -> None:
    """Open the archive for writing, say so, and keep it until the pipe is closed."""
    with open_for_writing(root, "test", SystemClock(), ignore_text):
        pipe.send("held")
        pipe.recv()


class _SteppingMailbox(MemoryOpenMailbox):
    """Says ``fetching`` through the pipe before each message, and waits for an answer."""

    def __init__(self, account: MemoryAccount, name: MailboxName, check: Callable[[], None], pipe: Connection) -> None:
        super().__init__(account, name, check)
        self._pipe = pipe

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        for uid in uids:
            self._pipe.send("fetching")
            self._pipe.recv()
            yield from super().fetch([uid], spool)


class _SteppingSource(MemorySource):
    """Opens mailboxes that wait before each message."""

    def __init__(self, account: MemoryAccount, pipe: Connection) -> None:
        super().__init__(account)
        self._pipe = pipe

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> MemoryOpenMailbox:
        return _SteppingMailbox(self._account, mailbox.name, self.check, self._pipe)


def pull_step_by_step(root: Path, pipe: Connection) -> None:
    """Pull, one message at each word through ``pipe``; then say ``done``."""
    shrink()
    account = account_at_first()
    target = PullAccount(account.account, lambda: _SteppingSource(account, pipe))
    pull(root, [target], PullOptions(connections=1), observer=ignore, clock=SystemClock(), stop=Stop())
    pipe.send("done")


def pull_maildrop(port: int, root: Path) -> None:
    """Pull the maildrop of a server on loopback."""
    shrink()
    endpoint, clock, stop = Endpoint("pop3", "user", "127.0.0.1", port, "plain"), StillClock(), Stop()
    target = PullAccount(account_of(endpoint), connect(endpoint, lambda: "secret", clock=clock, stop=stop), 1)
    pull(root, [target], PullOptions(), observer=ignore, clock=clock, stop=stop)
