"""A server on loopback, an archive of its account, and what must be true of the two after a pull."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from mailarchive.clock import Clock, Stop
from mailarchive.config import Endpoint, account_of
from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.events import Detail, Event, Notice, Waiting
from mailarchive.ops.pull import PullAccount, PullOptions, pull
from mailarchive.ops.report import PullReport
from mailarchive.remote.dial import Timeouts
from mailarchive.remote.patience import Crew, OnWait
from mailarchive.sources.imap import ImapSource
from mailarchive.sources.retrying import RetryingSource
from tests.fault.archives import adds_up, held, no_damage
from tests.servers.still_clock import StillClock

COUNT = 40


def mail(number: int, size: int = 300) -> bytes:
    """Return a message that no other number has."""
    return (
        b"Subject: %d\r\n\r\n" % number + hashlib.sha256(b"%d" % number).hexdigest().encode() * (size // 64) + b"\r\n"
    )


def filled(count: int = COUNT, capabilities: frozenset[str] | set[str] = CAPABILITIES) -> LoopbackAccount:
    """Return an account with ``count`` messages in INBOX and a few elsewhere."""
    account = LoopbackAccount(capabilities=frozenset(capabilities))
    if "INBOX" not in account:
        account.create("INBOX")
    account.create("Other")
    for number in range(count):
        account.append("INBOX", mail(number), internaldate=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number))
    for number in range(5):
        account.append("Other", mail(1000 + number))
    return account


def account_at(
    port: int,
    host: str,
    clock: Clock,
    stop: Stop,
    *,
    stall: float = 5.0,
    on_wait: OnWait | None = None,
    waits: bool = False,
) -> PullAccount:
    """Return the account of a loopback server, over connections that are made again when they are lost."""
    endpoint, crew = Endpoint("imap", "user", host, port, "plain"), Crew()
    open_one = partial(ImapSource, account_of(endpoint), endpoint, lambda: "secret", Timeouts(5.0, stall))

    def lasting() -> RetryingSource:
        return RetryingSource(open_one, clock=clock, stop=stop, on_wait=on_wait, waits=waits, crew=crew)

    return PullAccount(account_of(endpoint), lasting)


def _printed(name: str, delimiter: str | None) -> str:
    return "/".join(name.split(delimiter) if delimiter else [name])


class Site:
    """A server and an archive of its account."""

    def __init__(self, server: LoopbackServer, root: Path) -> None:
        self.server = server
        self.root = root
        self.told: list[str] = []
        self.details: list[str] = []
        self.waits: list[Waiting] = []
        self.clock: StillClock | None = None
        self.host = "127.0.0.1"

    @property
    def account(self) -> LoopbackAccount:
        return self.server.account

    def observe(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.told.append(event.text)
        elif isinstance(event, Detail):
            self.details.append(event.text)

    def pull(
        self,
        options: PullOptions | None = None,
        stall: float = 5.0,
        stop: Stop | None = None,
        *,
        waits: bool = False,
    ) -> PullReport:
        """Pull with a clock on which waiting takes no time; the counts must add up."""
        clock, stop = self.clock or StillClock(), stop or Stop()
        self.waits.clear()

        def on_wait(seconds: float, reason: str) -> None:
            self.waits.append(Waiting(self.account.user, seconds, reason))

        target = account_at(self.server.port, self.host, clock, stop, stall=stall, on_wait=on_wait, waits=waits)
        options = options or PullOptions(connections=1)
        return adds_up(pull(self.root, [target], options, observer=self.observe, clock=clock, stop=stop))

    def is_whole(self) -> None:
        """Assert that the archive has what the account has, and is sound."""
        expected = {
            (_printed(box.name, self.account.delimiter), message.uid): message.octets
            for box in self.account.mailboxes()
            for message in self.account.messages(box.name)
        }
        assert held(self.root) == expected
        no_damage(self.root)

    def fetched_once(self, allowed: int = 1) -> None:
        assert max(self.server.counts.body_fetches.values(), default=0) <= allowed
