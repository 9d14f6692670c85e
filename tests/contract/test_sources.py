import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from mailarchive.config import Endpoint, account_of
from mailarchive.errors import FetchRefused, MailboxUnavailable
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.mail.mailbox_name import encode_name
from mailarchive.sources.base import Source
from mailarchive.sources.imap import ImapSource
from mailarchive.sources.memory import MemoryAccount, MemorySource
from mailarchive.sources.pop3 import Pop3Source
from mailarchive.sources.registry import connect
from mailarchive.sources.retrying import RetryingSource
from tests.contract.source_contract import (
    DATE,
    Inbox,
    InboxContract,
    SourceContract,
    World,
    connected,
    message,
)
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import Cut
from tests.servers.scripted_pop3 import Pop3Server
from tests.servers.still_clock import StillClock


class MemoryWorld:
    def __init__(self) -> None:
        self.account = MemoryAccount()
        self.account.create("INBOX")

    def create(self, path: str) -> None:
        self.account.create(path)

    def delete(self, path: str) -> None:
        self.account.delete(path)

    def append(self, path: str, octets: bytes, flags: tuple[str, ...] = (), date: datetime = DATE) -> None:
        self.account.append(path, octets, flags, date)

    def set_flags(self, path: str, uid: int, flags: tuple[str, ...]) -> None:
        self.account.set_flags(path, uid, flags)

    def expunge(self, path: str, uid: int) -> None:
        self.account.expunge(path, uid)

    def connect(self) -> Source:
        return MemorySource(self.account)


class RetryingWorld(MemoryWorld):
    def connect(self) -> Source:
        return RetryingSource(lambda: MemorySource(self.account), clock=StillClock(), stop=threading.Event())


class LoopbackWorld:
    def __init__(self, server: LoopbackServer) -> None:
        self.server = server

    def create(self, path: str) -> None:
        self.server.account.create(path)

    def delete(self, path: str) -> None:
        self.server.account.delete(path)

    def append(self, path: str, octets: bytes, flags: tuple[str, ...] = (), date: datetime = DATE) -> None:
        self.server.account.append(path, octets, internaldate=date, flags=flags)

    def set_flags(self, path: str, uid: int, flags: tuple[str, ...]) -> None:
        self.server.account.set_flags(path, uid, flags)

    def expunge(self, path: str, uid: int) -> None:
        self.server.account.expunge(path, uid)

    def connect(self) -> Source:
        endpoint = Endpoint("imap", "user", self.server.host, self.server.port, "plain")
        return ImapSource(account_of(endpoint), endpoint, "secret")


class FaultyWorld(LoopbackWorld):
    """The second body of every connection is cut, and the source goes on."""

    def connect(self) -> Source:
        endpoint = Endpoint("imap", "user", self.server.host, self.server.port, "plain")
        return connect(endpoint, lambda: "secret", clock=StillClock(), stop=threading.Event())()


class DovecotWorld:
    def __init__(self, server: Dovecot) -> None:
        self.server = server

    def create(self, path: str) -> None:
        self.server.create(path)

    def delete(self, path: str) -> None:
        with self.server.login() as client:
            client.delete(_quoted(path))

    def append(self, path: str, octets: bytes, flags: tuple[str, ...] = (), date: datetime = DATE) -> None:
        self.server.load(path, octets, date, flags)

    def set_flags(self, path: str, uid: int, flags: tuple[str, ...]) -> None:
        with self.server.login() as client:
            client.select(_quoted(path))
            client.uid("STORE", str(uid), "FLAGS", f"({' '.join(flags)})")

    def expunge(self, path: str, uid: int) -> None:
        with self.server.login() as client:
            client.select(_quoted(path))
            client.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
            client.uid("EXPUNGE", str(uid))

    def connect(self) -> Source:
        endpoint = Endpoint("imap", self.server.user, self.server.host, self.server.port, "plain")
        return ImapSource(account_of(endpoint), endpoint, lambda: self.server.password)


def _quoted(path: str) -> str:
    name = encode_name(path).decode().replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}"'


class ScriptedWorld:
    """A POP3 server of our own, without most of what it may have."""

    def __init__(self, server: Pop3Server) -> None:
        self.server = server

    def append(self, path: str, octets: bytes, flags: tuple[str, ...] = (), date: datetime = DATE) -> None:
        self.server.deliver(octets)

    def expunge(self, path: str, uid: int) -> None:
        name = b"%08x" % uid
        self.server.letters = [letter for letter in self.server.letters if letter.uidl != name]

    def connect(self) -> Source:
        endpoint = Endpoint("pop3", "user", "127.0.0.1", self.server.port, "plain")
        return Pop3Source(account_of(endpoint), endpoint, "secret")


class DovecotMaildrop(DovecotWorld):
    def connect(self) -> Source:
        endpoint = Endpoint("pop3", self.server.user, self.server.host, self.server.ports.pop3, "plain")
        return Pop3Source(account_of(endpoint), endpoint, self.server.password)


class Pop3Contract(InboxContract):
    """POP3 has no way to say that a last line has no end."""

    def shown(self, octets: bytes) -> bytes:
        return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


class TestMemory(SourceContract):
    @pytest.fixture
    def world(self) -> World:
        return MemoryWorld()


class TestRetryingMemory(SourceContract):
    @pytest.fixture
    def world(self) -> World:
        return RetryingWorld()


class TestImapOverLoopback(SourceContract):
    @pytest.fixture
    def world(self) -> Iterator[World]:
        with LoopbackServer(LoopbackAccount()) as server:
            yield LoopbackWorld(server)


class TestImapWithoutExtensions(SourceContract):
    @pytest.fixture
    def world(self) -> Iterator[World]:
        with LoopbackServer(LoopbackAccount(capabilities=["IMAP4rev1", "CONDSTORE"])) as server:
            yield LoopbackWorld(server)


class TestImapThatIsCut(SourceContract):
    @pytest.fixture
    def world(self) -> Iterator[World]:
        with LoopbackServer(LoopbackAccount()) as server:
            server.faults.append(Cut(times=2, skip=1))
            yield FaultyWorld(server)


class TestImapOverDovecot(SourceContract):
    @pytest.fixture
    def world(self, start_dovecot: Callable[..., Dovecot]) -> World:
        return DovecotWorld(start_dovecot())


class TestPop3(Pop3Contract):
    @pytest.fixture
    def world(self) -> Iterator[Inbox]:
        with Pop3Server() as server:
            yield ScriptedWorld(server)


class TestPop3OneByOne(Pop3Contract):
    @pytest.fixture
    def world(self) -> Iterator[Inbox]:
        with Pop3Server(capabilities=None) as server:
            yield ScriptedWorld(server)
            assert server.most_ahead == 0


class TestPop3WithoutUidl(Pop3Contract):
    @pytest.fixture
    def world(self) -> Iterator[Inbox]:
        with Pop3Server(uidl="none") as server:
            yield ScriptedWorld(server)


class TestPop3WithoutUidlAndTop(Pop3Contract):
    @pytest.fixture
    def world(self) -> Iterator[Inbox]:
        with Pop3Server(uidl="blank", top=False) as server:
            yield ScriptedWorld(server)

    def test_headers_end_with_the_empty_line(self, world: Inbox) -> None:
        self.fill(world, message(1))
        with connected(world) as source:
            opened = source.open(source.mailboxes()[0])
            with pytest.raises(FetchRefused):
                list(opened.headers(opened.uids()))

    def test_texts_begin_with_what_follows_the_header(self, world: Inbox) -> None:
        self.fill(world, message(1))
        with connected(world) as source:
            opened = source.open(source.mailboxes()[0])
            with pytest.raises(FetchRefused):
                list(opened.beginnings(opened.uids(), 10))

    def test_a_fetch_or_headers_given_up_do_not_disturb_what_follows(self, world: Inbox) -> None:
        pytest.skip("there are no headers")


class TestPop3OverDovecot(Pop3Contract):
    @pytest.fixture
    def world(self, start_dovecot: Callable[..., Dovecot]) -> Inbox:
        return DovecotMaildrop(start_dovecot(pop3=True))


def test_a_renamed_mailbox_in_memory_keeps_its_uids_and_uidvalidity() -> None:
    account = MemoryAccount()
    account.create("old")
    account.append("old", b"x")
    before = account.listed()[0]
    account.rename("old", "new/place")
    [after] = account.listed()
    assert after.name.parts == ("new", "place")
    assert after.cursor == before.cursor
    assert account.contents() == {"new/place": {1: b"x"}}


def test_a_mailbox_in_memory_that_is_numbered_anew_has_another_uidvalidity() -> None:
    account = MemoryAccount()
    account.create("INBOX")
    account.append("INBOX", b"x", ["\\Seen"])
    account.expunge("INBOX", account.append("INBOX", b"y"))
    account.append("INBOX", b"z")
    before = account.listed()[0].cursor
    opened = MemorySource(account).open(account.listed()[0])
    account.renew("INBOX")
    after = account.listed()[0].cursor
    assert before is not None
    assert after is not None
    assert after.uidvalidity != before.uidvalidity
    assert account.contents() == {"INBOX": {1: b"x", 2: b"z"}}
    with pytest.raises(MailboxUnavailable):
        opened.uids()


def test_a_memory_account_counts_how_often_each_body_was_fetched() -> None:
    account = MemoryAccount()
    account.create("INBOX")
    uid = account.append("INBOX", b"x", internaldate=datetime(2024, 1, 1, tzinfo=UTC))
    source = MemorySource(account)
    opened = source.open(source.mailboxes()[0])
    list(opened.facts([uid]))
    assert not account.fetches
    list(opened.fetch([uid], lambda: pytest.fail("no spool is needed")))
    assert account.fetches == {("INBOX", 1, uid): 1}
