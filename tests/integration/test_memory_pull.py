"""Corners of a pull that an account in memory can be brought into."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mailarchive.clock import Stop
from mailarchive.errors import ConnectionLost, MailboxUnavailable
from mailarchive.model import Fetched, ListedMailbox, MessageFacts, RemoteUid
from mailarchive.ops.events import ignore
from mailarchive.ops.pull import PullAccount, PullOptions, pull
from mailarchive.ops.report import PullReport
from mailarchive.ops.verify import verify
from mailarchive.sources.base import Source, Spool
from mailarchive.sources.memory import MemoryAccount, MemoryOpenMailbox, MemorySource
from tests.fault.archives import adds_up, held, in_account, pull_memory
from tests.servers.still_clock import StillClock

Fetch = Callable[[MemoryOpenMailbox, Sequence[RemoteUid], Spool], Iterator[Fetched]]


class Wrapped(MemoryOpenMailbox):
    """A mailbox whose ``fetch`` and ``facts`` can be broken by name of the mailbox."""

    broken: str = ""
    error: Exception | None = None
    left_out: frozenset[int] = frozenset()

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        if self.error is not None and str(self._name) == self.broken:
            raise self.error
        return super().fetch(uids, spool)

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        return (facts for facts in super().facts(uids) if facts.uid not in self.left_out)


class WrappedSource(MemorySource):
    """Opens mailboxes as ``Wrapped``."""

    def __init__(self, account: MemoryAccount, kind: type[Wrapped]) -> None:
        super().__init__(account)
        self._kind = kind

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> Wrapped:
        self.check()
        return self._kind(self._account, mailbox.name, self.check)


def pull_wrapped(root: Path, account: MemoryAccount, kind: type[Wrapped]) -> PullReport:
    def connect() -> Source:
        return WrappedSource(account, kind)

    target = PullAccount(account.account, connect)
    options = PullOptions(connections=1)
    return adds_up(pull(root, [target], options, observer=ignore, clock=StillClock(), stop=Stop()))


@pytest.fixture
def account() -> MemoryAccount:
    account = MemoryAccount()
    for path in ("a", "b", "c"):
        account.create(path)
        for number in range(3):
            account.append(path, b"Subject: %s %d\r\n\r\n" % (path.encode(), number))
    return account


def test_a_mailbox_that_breaks_while_it_is_read_does_not_hold_up_the_others(
    tmp_path: Path, account: MemoryAccount
) -> None:
    class Broken(Wrapped):
        broken = "b"
        error = MailboxUnavailable("b is being repaired")

    report = pull_wrapped(tmp_path / "archive", account, Broken)
    assert {name for name, _uid in held(tmp_path / "archive")} == {"a", "c"}
    assert report.status == "partial"
    assert report.exit_code == 3
    (b,) = [box for box in report.accounts[0].mailboxes if box.mailbox == "b"]
    assert (b.listed, b.failed) == (3, 3)
    assert pull_memory(tmp_path / "archive", account).status == "complete"
    assert held(tmp_path / "archive") == in_account(account)


def test_a_mailbox_that_was_replaced_for_a_while_is_what_it_was(tmp_path: Path, account: MemoryAccount) -> None:
    """The run in between knows only that the numbering is another; it is cut before it has read the mailbox."""

    class Lost(Wrapped):
        broken = "a"
        error = ConnectionLost("cut")

    root = tmp_path / "archive"
    assert pull_memory(root, account).status == "complete"
    account.rename("a", "kept")
    account.create("a")
    account.append("a", b"new")
    pull_wrapped(root, account, Lost)
    account.delete("a")
    account.rename("kept", "a")
    account.fetches.clear()
    assert adds_up(pull_memory(root, account)).status == "complete"
    assert held(root) == in_account(account)
    assert not account.fetches


def test_a_message_that_is_listed_but_not_described_is_not_forgotten(tmp_path: Path, account: MemoryAccount) -> None:
    class Silent(Wrapped):
        left_out = frozenset({2})

    pull_wrapped(tmp_path / "archive", account, Silent)
    assert adds_up(pull_memory(tmp_path / "archive", account)).status == "complete"
    assert held(tmp_path / "archive") == in_account(account)


@pytest.mark.parametrize("size", [0, 2**32, 2**63, 10**20 - 1])
def test_a_size_that_is_not_true_changes_nothing(tmp_path: Path, account: MemoryAccount, size: int) -> None:
    for listed in account.listed():
        for message in account.find(listed.name)[1].messages.values():
            message.facts = message.facts._replace(size=size)
    for _ in range(2):
        assert pull_memory(tmp_path / "archive", account).status == "complete"
    assert held(tmp_path / "archive") == in_account(account)
    assert verify(tmp_path / "archive", quick=False, observer=ignore).damage == []
