"""A server may send much, but not without end: that takes neither all memory nor for ever."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import pytest

from mailarchive.errors import FetchRefused, MailboxUnavailable, ProtocolViolation
from mailarchive.remote import meter
from mailarchive.remote.imap.fetch import bodies, facts_of
from mailarchive.remote.imap.wire import Wire
from tests.fault.imap_scripts import INBOX, opened, scripted


@contextmanager
def flooded(line: Callable[[int], bytes], lines: int | None = None, end: bytes = b"") -> Iterator[Wire]:
    """Yield a wire on which ``line(0)``, ``line(1)`` … arrive, without end or ``lines`` of them and ``end``."""
    near, far = socket.socketpair()

    def send() -> None:
        with suppress(OSError), far:
            for start in count(0, 1000):
                stop = min(start + 1000, lines) if lines is not None else start + 1000
                far.sendall(b"".join(line(number) for number in range(start, stop)))
                if stop == lines:
                    far.sendall(end)
                    return

    thread = threading.Thread(target=send, daemon=True)
    wire = Wire(near, "mail.example:993")
    thread.start()
    try:
        yield wire
    finally:
        wire.abandon()
        thread.join()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_RESPONSES", 5_000)
    monkeypatch.setattr(meter, "_OCTETS", 1 << 20)


@pytest.mark.no_cover
def test_a_hundred_thousand_mailboxes_pass() -> None:
    def line(number: int) -> bytes:
        return b'* LIST (\\HasNoChildren) "/" "Archive/2024/%d"\r\n* STATUS "Archive/2024/%d" (MESSAGES 7)\r\n' % (
            number,
            number,
        )

    with flooded(line, 100_000, b"A1 OK done\r\n") as wire:
        status, answers = wire.run(b'LIST "" "*"')
    assert status.ok
    assert len(answers) == 200_000


ENDLESS = {
    "list": lambda number: b'* LIST () "/" "%d"\r\n' % number,
    "ok": lambda _number: b"* OK still here\r\n",
    "bad": lambda _number: b"* BAD what?\r\n",
    "exists": lambda number: b"* %d EXISTS\r\n" % number,
    "fetch": lambda number: b"* 1 FETCH (UID %d FLAGS ())\r\n" % (number + 1),
    "other fetch": lambda number: b"* 1 FETCH (FLAGS () UID {1}\r\n1)\r\n",
    "body": lambda number: b"* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n",
    "other body": lambda number: b"* 1 FETCH (UID 1 BODY[] {1}\r\nx FLAGS ())\r\n",
    "go ahead": lambda _number: b"+ go on\r\n",
    "empty": lambda _number: b"\r\n",
    "unknown": lambda _number: b"* XYZZY\r\n",
    "large": lambda _number: b"* LIST () NIL {100000}\r\n" + b"x" * 100_000 + b"\r\n",
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in ENDLESS.items()])
@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda wire: wire.run(b"NOOP"), id="collected"),
        pytest.param(lambda wire: sum(1 for _ in wire.until(wire.start(b"NOOP"))), id="each"),
        pytest.param(lambda wire: list(bodies(wire, [b"1:3"], {1, 2, 3}, io.BytesIO)), id="bodies"),
        pytest.param(lambda wire: list(facts_of(wire, b"UID FETCH 1:* (FLAGS)")), id="facts"),
    ],
)
def test_a_stream_without_end_is_a_protocol_violation(
    monkeypatch: pytest.MonkeyPatch, line: Callable[[int], bytes], read: Callable[[Wire], object]
) -> None:
    monkeypatch.setattr(meter, "MOST_MESSAGES", 1_000)
    with flooded(line) as wire, pytest.raises(ProtocolViolation, match="does not stop answering"):
        read(wire)


@pytest.mark.no_cover
def test_what_a_mailbox_of_many_messages_needs_may_come() -> None:
    messages = 400_000

    def line(number: int) -> bytes:
        return b"* %d FETCH (UID %d FLAGS (\\Seen))\r\n" % (number + 1, number + 1)

    with flooded(line, messages, b"A1 OK done\r\n") as wire:
        wire.exists = messages
        assert sum(1 for _ in facts_of(wire, b"UID FETCH 1:* (UID FLAGS)")) == messages


def test_a_mailbox_of_more_messages_than_there_are_is_not_read() -> None:
    examine = b"* 4294967295 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n%T OK done\r\n"
    with scripted((rb"EXAMINE", examine)) as (source, _server), pytest.raises(MailboxUnavailable, match="4294967295"):
        source.open(INBOX)


def test_a_search_that_finds_more_than_there_is_is_not_believed() -> None:
    found = b"* SEARCH" + b" 1" * 1_000_000 + b"\r\n%T OK done\r\n"
    fetched = b"* 1 FETCH (UID 4)\r\n* 2 FETCH (UID 5)\r\n* 3 FETCH (UID 6)\r\n%T OK done\r\n"
    with opened((rb"UID SEARCH", found), (rb"FETCH", fetched)) as (mailbox, _server):
        assert mailbox.uids() == [4, 5, 6]


def test_a_state_that_nobody_asked_for_is_not_kept() -> None:
    listed = (rb"LIST", b"* LIST () NIL INBOX\r\n%T OK\r\n")
    status = b"* STATUS Other (UIDVALIDITY 5 MESSAGES 1)\r\n* STATUS INBOX (UIDVALIDITY 9 MESSAGES 2)\r\n%T OK\r\n"
    with scripted((rb"STATUS", status), listed) as (source, _server):
        (inbox,) = source.mailboxes()
    assert inbox.cursor is not None
    assert inbox.cursor.uidvalidity == 9


@pytest.mark.no_cover
def test_after_a_flood_messages_are_not_refused_but_the_connection_is_lost() -> None:
    with flooded(ENDLESS["ok"]) as wire:
        with pytest.raises(ProtocolViolation):
            list(bodies(wire, [b"1"], {1}, io.BytesIO))
        with pytest.raises(Exception, match="closed") as caught:
            wire.run(b"NOOP")
        assert not isinstance(caught.value, FetchRefused)
