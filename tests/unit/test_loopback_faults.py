"""Each fault does what it says, seen by a client that reads lines."""

import imaplib
import socket
from collections.abc import Iterator

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.faults import Fault
from mailarchive.loopback.server import LoopbackServer
from tests.servers import faulty


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    account = LoopbackAccount()
    for number in range(1, 5):
        account.append("INBOX", b"Subject: %d\r\n\r\n%b\r\n" % (number, b"x" * 200))
    with LoopbackServer(account) as server:
        yield server


def fetch(server: LoopbackServer, uids: str = "1:4", items: str = "UID RFC822.SIZE BODY.PEEK[]") -> bytes:
    """Return everything that the server sends after EXAMINE for one UID FETCH, up to its tagged answer or the end."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection, connection.makefile("rwb") as stream:
        stream.write(
            b"a LOGIN user secret\r\nb EXAMINE INBOX\r\nc UID FETCH %b (%b)\r\n" % (uids.encode(), items.encode())
        )
        stream.flush()
        connection.settimeout(1)
        received = b""
        while b"\r\nc " not in received:
            try:
                line = stream.readline()
            except TimeoutError:
                return received.partition(b"b OK")[2] + b"<stalled>"
            if not line:
                return received.partition(b"b OK")[2] + b"<end>"
            received += line
    return received.partition(b"b OK")[2]


@pytest.mark.parametrize(
    ("fault", "expected", "unexpected"),
    [
        (faulty.Cut(uids={2}, after=30), [b"UID 1 ", b"UID 2 ", b"<end>"], [b"UID 3 "]),
        (faulty.Stall(uids={2}, after=30), [b"UID 2 ", b"<stalled>"], [b"UID 3 "]),
        (faulty.Bye(uids={3}), [b"UID 2 ", b"* BYE Session expired\r\n<end>"], [b"UID 3 "]),
        (faulty.Refuse(uids={3}), [b"UID 2 ", b"c NO [UNAVAILABLE]"], [b"UID 3 "]),
        (faulty.Omit(uids={2, 3}), [b"UID 1 ", b"UID 4 ", b"c OK"], [b"UID 2 ", b"UID 3 "]),
        (faulty.Alter(uids={2}, items={"RFC822.SIZE": b"7"}), [b"UID 2 RFC822.SIZE 7 ", b"RFC822.SIZE 216 "], []),
        (faulty.Alter(without=frozenset({"RFC822.SIZE"})), [b"UID 2 BODY[] {216}"], [b"RFC822.SIZE"]),
        (faulty.Alter(last=("UID",)), [b"(RFC822.SIZE 216 BODY[] {216}\r\n", b" UID 4)\r\n"], []),
        (faulty.BodyAs(uids={2}), [b"UID 2 RFC822.SIZE 216 BODY[] NIL)"], []),
        (faulty.BodyAs(uids={2}, form="quoted"), [b'UID 2 RFC822.SIZE 216 BODY[] "Subject: 2'], []),
        (faulty.BodyAs(uids={2}, form="missing"), [b"UID 2 RFC822.SIZE 216)"], []),
        (faulty.Truncate(uids={2}, octets=5), [b"UID 2 RFC822.SIZE 216 BODY[] {5}\r\nSubje)"], []),
        (faulty.Interject(uids={2}, lines=("* 1 EXPUNGE",)), [b"* 1 EXPUNGE\r\n* 2 FETCH (UID 2"], []),
        (faulty.Trickle(octets=50), [b"UID 1 ", b"UID 4 ", b"c OK"], []),
        (faulty.RefuseCommand(name="UID FETCH"), [b"c NO [UNAVAILABLE]"], [b"FETCH ("]),
        (faulty.ByeAtCommand(name="UID FETCH"), [b"* BYE", b"<end>"], [b"FETCH ("]),
        (faulty.CutAtCommand(name="UID FETCH"), [b"<end>"], [b"BYE"]),
        (faulty.StallAtCommand(name="UID FETCH"), [b"<stalled>"], [b"FETCH ("]),
        (faulty.SayBefore(name="UID FETCH", lines=("* 9 EXISTS",)), [b"* 9 EXISTS\r\n", b"UID 4 "], []),
        (faulty.SlowCommands(seconds=0.001), [b"UID 4 ", b"c OK"], []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Fault) else "",
)
def test_a_fault_does_what_it_says(
    server: LoopbackServer, fault: Fault, expected: list[bytes], unexpected: list[bytes]
) -> None:
    with faulty.faulty(server, fault):
        answer = fetch(server)
    assert [text for text in expected if text not in answer] == []
    assert [text for text in unexpected if text in answer] == []
    assert fetch(server).count(b"BODY[] {") == 4


def test_a_fault_strikes_after_skip_and_as_often_as_told(server: LoopbackServer) -> None:
    fault = faulty.Omit(times=2, skip=1)
    with faulty.faulty(server, fault):
        answer = fetch(server)
    assert fault.struck == 2
    assert [b"UID %d " % uid in answer for uid in (1, 2, 3, 4)] == [True, False, False, True]


def test_a_partial_fetch_may_be_answered_in_full(server: LoopbackServer) -> None:
    assert b"BODY[]<0> {10}\r\n" in fetch(server, "2", "BODY.PEEK[]<0.10>")
    with faulty.faulty(server, faulty.IgnorePartial(server=server)):
        assert b"BODY[] {216}\r\n" in fetch(server, "2", "BODY.PEEK[]<0.10>")


def test_search_may_find_less_than_there_is(server: LoopbackServer) -> None:
    client = imaplib.IMAP4("127.0.0.1", server.port)
    client.login("user", "secret")
    client.select(readonly=True)
    with faulty.faulty(server, faulty.ShortSearch(limit=2)):
        assert client.uid("SEARCH", "ALL")[1] == [b"1 2"]
    assert client.uid("SEARCH", "ALL")[1] == [b"1 2 3 4"]
    client.logout()


def test_a_mailbox_may_vanish_between_list_and_examine(server: LoopbackServer) -> None:
    server.account.create("Gone")
    vanish = faulty.ActBefore(name="EXAMINE", mailbox="Gone", act=lambda: server.account.delete("Gone"))
    client = imaplib.IMAP4("127.0.0.1", server.port)
    client.login("user", "secret")
    with faulty.faulty(server, vanish):
        assert client.select("INBOX", readonly=True)[0] == "OK"
        assert client.select("Gone", readonly=True)[0] == "NO"
    client.logout()


def test_the_greeting_may_be_bye(server: LoopbackServer) -> None:
    with faulty.faulty(server, faulty.GreetWithBye()), pytest.raises(imaplib.IMAP4.error):
        imaplib.IMAP4("127.0.0.1", server.port)
