"""Whatever happens in an account and on the way: after each pull the archive is what the account is."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mailarchive.clock import Stop
from mailarchive.errors import ConnectionLost, FetchRefused
from mailarchive.model import Fetched, ListedMailbox, RemoteUid
from mailarchive.ops.events import ignore
from mailarchive.ops.pull import PullAccount, PullOptions, pull
from mailarchive.ops.report import PullReport
from mailarchive.sources.base import OpenMailbox, Source, Spool
from mailarchive.sources.memory import MemoryAccount, MemorySource
from mailarchive.sources.retrying import RetryingSource
from tests.fault.archives import adds_up, held, in_account
from tests.property.machine import ArchiveMachine, flags, paths, picks
from tests.property.mail_strategies import mail_octets
from tests.servers.still_clock import StillClock


class Trouble:
    """What goes wrong at the server: messages that it refuses or leaves out, and connections that it loses."""

    def __init__(self) -> None:
        self.refused: set[bytes] = set()
        self.omitted: set[bytes] = set()
        self.lose_after: list[int] = []


class TroubledMailbox:
    """An open mailbox whose ``fetch`` has trouble."""

    def __init__(self, mailbox: OpenMailbox, trouble: Trouble) -> None:
        self._mailbox = mailbox
        self._trouble = trouble

    def __getattr__(self, name: str) -> object:
        return getattr(self._mailbox, name)

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        left = self._trouble.lose_after.pop() if self._trouble.lose_after else -1
        for fetched in self._mailbox.fetch(uids, spool):
            octets = b"".join(fetched.body.chunks())
            if octets in self._trouble.refused:
                raise FetchRefused("the server refused to send messages: internal error")
            if octets in self._trouble.omitted:
                continue
            if left == 0:
                raise ConnectionLost("the connection was cut")
            left -= 1
            yield fetched

    def halves(self, uid: RemoteUid, spool: Spool) -> Fetched:
        found = self._mailbox.halves(uid, spool)
        self._check(b"".join(found.body.chunks()))
        return found

    def pieces(self, uid: RemoteUid, offset: int, before: bytes = b"") -> Iterator[bytes]:
        pieces = list(self._mailbox.pieces(uid, offset, before))
        if not offset:
            self._check(b"".join(pieces))
        return iter(pieces)

    def _check(self, octets: bytes) -> None:
        if octets in self._trouble.refused | self._trouble.omitted:
            raise FetchRefused("the server refused to send messages: internal error")


class TroubledSource:
    """A MemorySource whose mailboxes have trouble."""

    def __init__(self, account: MemoryAccount, trouble: Trouble) -> None:
        self._source = MemorySource(account)
        self._trouble = trouble

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> TroubledMailbox:
        return TroubledMailbox(self._source.open(mailbox, first), self._trouble)


class PullMachine(ArchiveMachine):
    """An account that changes, and an archive that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.account = MemoryAccount()
        self.account.create("INBOX")
        self.trouble = Trouble()

    # -- the account changes ---------------------------------------------------------------------------------------

    def pick(self, number: int) -> tuple[str, int] | None:
        """Return some message, by path and uid."""
        there = [(path, uid) for path, messages in self.account.contents().items() for uid in messages]
        return there[number % len(there)] if there else None

    @rule(path=paths, octets=mail_octets, names=flags, days=st.none() | st.integers(0, 9000))
    def append(self, path: str, octets: bytes, names: set[str], days: int | None) -> None:
        if path in self.account.contents():
            date = None if days is None else datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=days)
            self.account.append(path, octets, names, date)

    @rule(path=paths, count=st.integers(1, 12), seed=picks)
    def append_many(self, path: str, count: int, seed: int) -> None:
        if path in self.account.contents():
            for number in range(count):
                self.account.append(path, b"Subject: %d\r\n\r\n" % (seed + number) + b"%d " % seed * 100)

    @rule(path=paths)
    def create(self, path: str) -> None:
        if path not in self.account.contents():
            self.account.create(path)

    @rule(path=paths)
    def delete(self, path: str) -> None:
        if path in self.account.contents() and path != "INBOX":
            self.account.delete(path)

    @rule(old=paths, new=paths)
    def rename(self, old: str, new: str) -> None:
        there = self.account.contents()
        if old in there and new not in there and old != "INBOX":
            self.account.rename(old, new)

    @rule(path=paths)
    def renew(self, path: str) -> None:
        if path in self.account.contents():
            self.account.renew(path)

    @rule(number=picks)
    def expunge(self, number: int) -> None:
        if picked := self.pick(number):
            self.account.expunge(*picked)

    @rule(number=picks, names=flags)
    def set_flags(self, number: int, names: set[str]) -> None:
        if picked := self.pick(number):
            self.account.set_flags(*picked, names)

    @rule(number=picks, path=paths)
    def copy(self, number: int, path: str) -> None:
        if (picked := self.pick(number)) and path in self.account.contents():
            self.account.append(path, self.account.contents()[picked[0]][picked[1]])

    # -- trouble ---------------------------------------------------------------------------------------------------

    @rule(number=picks, omitted=st.booleans())
    def spoil(self, number: int, omitted: bool) -> None:
        if picked := self.pick(number):
            octets = self.account.contents()[picked[0]][picked[1]]
            (self.trouble.omitted if omitted else self.trouble.refused).add(octets)

    @rule()
    def heal(self) -> None:
        self.trouble.omitted.clear()
        self.trouble.refused.clear()

    @rule(after=st.integers(0, 8))
    def lose(self, after: int) -> None:
        self.trouble.lose_after.append(after)

    # -- the archive follows ---------------------------------------------------------------------------------------

    def run_pull(self, connections: int) -> PullReport:
        clock, stop = StillClock(), Stop()

        def connect() -> Source:
            return RetryingSource(
                lambda: TroubledSource(self.account, self.trouble),  # type: ignore[arg-type, return-value]
                clock=clock,
                stop=stop,
            )

        options = PullOptions(connections=connections)
        target = PullAccount(self.account.account, connect)
        return adds_up(pull(self.root, [target], options, observer=ignore, clock=clock, stop=stop))

    @rule(connections=st.sampled_from([1, 1, 3]))
    def pull(self, connections: int) -> None:
        report = self.run_pull(connections)
        account = report.accounts[0]
        spoiled = self.trouble.refused | self.trouble.omitted
        expected = in_account(self.account)
        archived = held(self.root)
        assert archived.keys() <= expected.keys()
        assert all(octets == expected[key] for key, octets in archived.items())
        missing = {key for key in expected if key not in archived}
        assert all(expected[key] in spoiled for key in missing), (account.error, missing)
        assert len(missing) == sum(box.failed for box in account.mailboxes)
        assert (report.status == "complete") == (not missing)
        self.flags_agree(archived.keys())
        self.kept()
        if not missing:
            self.account.fetches.clear()
            assert self.run_pull(connections).status == "complete"
            assert not self.account.fetches

    def flags_agree(self, keys: Collection[tuple[str, int]]) -> None:
        recorded = self.recorded_flags()
        for listed in self.account.listed():
            for uid, message in self.account.find(listed.name)[1].messages.items():
                if (str(listed.name), uid) in keys:
                    assert recorded[str(listed.name), uid] == message.facts.flags


PullMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestPullMachine = pytest.mark.no_cover(PullMachine.TestCase)
