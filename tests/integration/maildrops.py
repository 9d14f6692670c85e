"""A POP3 server on loopback, an archive of its maildrop, and what must be true of the two after a pull."""

from functools import partial
from pathlib import Path

from mailarchive.archive.archive import open_for_reading
from mailarchive.clock import Stop
from mailarchive.config import Endpoint, account_of
from mailarchive.ops.events import Event, Notice
from mailarchive.ops.pull import PullAccount, PullOptions, pull
from mailarchive.ops.report import MailboxReport, PullReport
from mailarchive.remote.pop3 import Pace, Timeouts
from mailarchive.sources.pop3 import Pop3Source
from mailarchive.sources.registry import most_connections
from mailarchive.sources.retrying import RetryingSource
from tests.fault.archives import adds_up, ignore_text, no_damage
from tests.servers.scripted_pop3 import Pop3Server
from tests.servers.still_clock import StillClock


def letter(number: int, size: int = 100) -> bytes:
    """Return a message that no other number has."""
    return b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\n" % (number, number) + b".dots\r\n" * (size // 7)


class Maildrop:
    """A server and an archive of its maildrop."""

    def __init__(self, server: Pop3Server, root: Path) -> None:
        self.server = server
        self.root = root
        self.told: list[str] = []
        self.user = server.user

    def observe(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.told.append(event.text)

    def pull(self, options: PullOptions | None = None, *, stall: float = 30.0, stop: Stop | None = None) -> PullReport:
        """Pull with a clock on which waiting takes no time; the counts must add up."""
        endpoint = Endpoint("pop3", self.user, "127.0.0.1", self.server.port, "plain")
        account, clock, stop = account_of(endpoint), StillClock(), stop or Stop()
        timeouts = Timeouts(30.0, stall)
        open_one = partial(Pop3Source, account, endpoint, lambda: self.server.password, timeouts, pace=Pace())
        target = PullAccount(
            account, lambda: RetryingSource(open_one, clock=clock, stop=stop), most_connections(endpoint)
        )
        return adds_up(
            pull(self.root, [target], options or PullOptions(), observer=self.observe, clock=clock, stop=stop)
        )

    def inbox(self, options: PullOptions | None = None, *, stall: float = 30.0) -> MailboxReport:
        """Pull, which must be complete, and return the counts of the one mailbox."""
        report = self.pull(options, stall=stall)
        assert report.status == "complete", report
        [box] = report.accounts[0].mailboxes
        return box

    def kept(self) -> list[bytes]:
        """Return the octets of all messages that are present as far as the archive knows, sorted."""
        with open_for_reading(self.root, ignore_text) as archive:
            return sorted(
                b"".join(archive.octets(record.digest))
                for box in archive.catalog.mailboxes()
                for record in archive.catalog.placements(box.number, gone=False)
            )

    def is_whole(self) -> None:
        """Assert that the archive has what the maildrop has, and is sound."""
        assert self.kept() == sorted(one.octets for one in self.server.letters)
        no_damage(self.root)

    def nothing_was_sent(self) -> None:
        assert self.server.counts["RETR"] == 0
