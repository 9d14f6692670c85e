import io
import re
import threading
from typing import BinaryIO

import pytest

from mailarchive.errors import (
    ConnectionLost,
    FetchRefused,
    MailboxUnavailable,
    ProtocolViolation,
    Stalled,
    StorageFailed,
)
from mailarchive.mail.body import SpooledBody
from mailarchive.model import Fetched, MessageFacts, RemoteUid
from mailarchive.remote.imap.mailbox import ImapMailbox
from mailarchive.remote.receiving import LARGEST_IN_MEMORY
from tests.fault.imap_scripts import opened
from tests.servers.scripted_imap import CUT, STALL, once

OK = b"%T OK done\r\n"
A, B, C = (
    b"* %d FETCH (UID %d BODY[] {3}\r\n%s)\r\n" % (n, n, text) for n, text in ((1, b"aaa"), (2, b"bbb"), (3, b"ccc"))
)
ALL: dict[RemoteUid, bytes] = {1: b"aaa", 2: b"bbb", 3: b"ccc"}


def octets(message: Fetched) -> bytes:
    whole = b"".join(message.body.chunks())
    message.body.close()
    return whole


def fetched(mailbox: ImapMailbox, *uids: int) -> dict[RemoteUid, bytes]:
    found = [(message.uid, octets(message)) for message in mailbox.fetch(uids or [1, 2, 3], io.BytesIO)]
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize(
    "answer",
    [
        A + B + C,
        C + B + A,
        A + A + B + C + B,
        A
        + b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n"
        + B
        + b"* 4 EXISTS\r\n* OK [ALERT] hi {5}\r\n"
        + C
        + b"* 3 EXPUNGE\r\n",
        A + b"* 2 FETCH (BODY[] {3}\r\nbbb FLAGS (\\Seen) UID 2)\r\n" + C,
        A + b"* 2 FETCH (BODY[] {3}\r\nbbb UID 2)\r\n" + C,
        A + b'* 2 FETCH (UID 2 BODY[] "bbb")\r\n' + C,
        A + b"* 2 FETCH (UID 2 BODY[] ~{3}\r\nbbb)\r\n" + C,
        A + b"* 2 fetch (uid 2 body[] {3}\r\nbbb)\r\n" + C,
        A + b"* 0 FETCH (UID 2 BODY[] {3}\r\nbbb)\r\n" + C,
        A + b"* 2 FETCH (BODY[] {3}\r\nbbb) UID 2\r\n" + C,
        A + b"* 2 FETCH (RFC822.SIZE 99999 UID 2 BODY[] {3}\r\nbbb)\r\n" + C,
        A + b'* 2 FETCH (UID 2 X-GM-LABELS ({4}\r\na"\\b "q\\"") BODY[] {3}\r\nbbb)\r\n' + C,
        A + b"* 9 FETCH (BODY[] {3}\r\nxxx)\r\n" + B + b"* 8 FETCH (UID 8 BODY[] {3}\r\nxxx)\r\n" + C,
        A + b"* 2 FETCH (UID 2 BODY[] {3}\r\nbbb)\n" + b"\r\n" + C + b"* LIST () NIL {3}\r\nabc\r\n* 3 RECENT\r\n",
        A + b"* 1 FETCH (UID 1 BODY[] NIL)\r\n" + B + C,
        b"* 1 FETCH (UID 1 BODY[] NIL)\r\n" + A + B + C,
        b"* 1 FETCH (UID 1 BODY[HEADER] {2}\r\nxx BODY[] {3}\r\naaa)\r\n" + B + C,
    ],
)
def test_messages_arrive_however_the_answers_are_written(answer: bytes) -> None:
    with opened((rb"UID FETCH", answer + OK)) as (mailbox, _server):
        assert fetched(mailbox) == ALL


@pytest.mark.parametrize(
    "answer", [A + C, A + C + b"* 2 FETCH (UID 2 BODY[] NIL)\r\n", A + C + b"* 2 FETCH (UID 2)\r\n"]
)
def test_a_message_without_a_body_is_not_yielded(answer: bytes) -> None:
    with opened((rb"UID FETCH", answer + OK)) as (mailbox, _server):
        assert fetched(mailbox) == {1: b"aaa", 3: b"ccc"}


@pytest.mark.parametrize("body", [b"{0}\r\n", b'""'])
def test_an_empty_message_is_a_message(body: bytes) -> None:
    with opened((rb"UID FETCH", b"* 1 FETCH (UID 1 BODY[] " + body + b")\r\n" + OK)) as (mailbox, _server):
        assert fetched(mailbox) == {1: b""}


def test_messages_that_came_together_say_so() -> None:
    """What follows is there already, so that nobody waits for the network with a message in hand."""
    with opened((rb"UID FETCH", A + B + C + OK)) as (mailbox, _server):
        found = list(mailbox.fetch([1, 2, 3], io.BytesIO))
    assert [(message.uid, message.followed) for message in found] == [(1, True), (2, True), (3, False)]


def test_a_message_whose_follower_is_on_its_way_stands_alone() -> None:
    with opened((rb"UID FETCH", A + B[:-3] + STALL), stall=0.3) as (mailbox, _server):
        arriving = mailbox.fetch([1, 2, 3], io.BytesIO)
        first = next(arriving)
        assert (first.uid, first.followed) == (1, False)
        with pytest.raises(Stalled):
            next(arriving)


def test_a_refusal_is_raised_after_what_arrived_with_words_and_code() -> None:
    with opened((rb"UID FETCH", A + b"%T NO [LIMIT] Server error\x07\r\n")) as (mailbox, _server):
        arriving = mailbox.fetch([1, 2, 3], io.BytesIO)
        assert octets(next(arriving)) == b"aaa"
        with pytest.raises(FetchRefused, match=r"Server error\\x07") as caught:
            next(arriving)
        assert caught.value.code == "LIMIT"


def test_after_a_refusal_the_connection_is_of_use() -> None:
    with opened((rb"UID FETCH", once(b"%T BAD no\r\n", B + OK))) as (mailbox, _server):
        with pytest.raises(FetchRefused):
            fetched(mailbox)
        assert fetched(mailbox, 2) == {2: b"bbb"}


def test_the_server_is_asked_to_peek() -> None:
    with opened((rb"UID FETCH", A + OK)) as (mailbox, server):
        fetched(mailbox, 1)
    assert b"UID FETCH 1 (UID BODY.PEEK[])" in server.commands


def some_of(line: bytes) -> bytes:
    first = int(re.findall(rb"\d+", line)[0])
    return b"* 1 FETCH (UID %d BODY[] {3}\r\nabc)\r\n" % first + (b"%T NO some\r\n" if first == 1_000_000 else OK)


def test_many_uids_become_several_short_commands_and_all_are_answered_in_spite_of_a_refusal() -> None:
    found: list[Fetched] = []
    with opened((rb"UID FETCH", some_of)) as (mailbox, server):
        arriving = mailbox.fetch(range(1_000_000, 1_006_000, 2), io.BytesIO)
        with pytest.raises(FetchRefused, match="some"):
            list(map(found.append, arriving))
        sent = [line for line in server.commands if line.startswith(b"UID FETCH")]
    assert len(found) == len(sent) == 6
    assert max(map(len, sent)) < 8_000


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (A + CUT, ConnectionLost),
        (A + b"* 2 FETCH (UID 2 BODY[] {3}\r\nb" + CUT, ConnectionLost),
        (A + b"* 2 FETCH (UID 2 BODY[] {3}\r\nbbb" + CUT, ConnectionLost),
        (A + b"* 2 FETCH (UID 2 BODY[] {9999999}\r\nb" + CUT, ConnectionLost),
        (A + b"* 2 FETCH (UID" + CUT, ConnectionLost),
        (A + b"* BYE Session expired\r\n" + CUT, ConnectionLost),
        (A + b"* BYE Session expired\r\n" + STALL, ConnectionLost),
        (A + b"* 2 FETCH (UID 2 BODY[] {3}\r\nb" + STALL, Stalled),
        (A + STALL, Stalled),
        (A + b"rubbish\r\n" + B + OK, ProtocolViolation),
        (A + b"A999 OK done\r\n" + B + OK, ProtocolViolation),
        (A + b"* 2 FETCH (UID 2 BODY[] (\r\n" + OK, ProtocolViolation),
        (A + b"* 2 FETCH UID 2\r\n" + OK, ProtocolViolation),
    ],
)
def test_what_arrived_before_a_fault_is_kept(answer: bytes, error: type[Exception]) -> None:
    with opened((rb"UID FETCH", answer), stall=0.3) as (mailbox, _server):
        arriving = mailbox.fetch([1, 2, 3], io.BytesIO)
        assert octets(next(arriving)) == b"aaa"
        with pytest.raises(error):
            next(arriving)


def test_bye_is_told_in_the_servers_words() -> None:
    rule = (rb"UID FETCH", b"* BYE Session expired\r\n" + CUT)
    with opened(rule) as (mailbox, _server), pytest.raises(ConnectionLost, match="Session expired"):
        fetched(mailbox)


class Spools:
    """Makes spools and remembers them."""

    def __init__(self) -> None:
        self.made: list[io.BytesIO] = []

    def __call__(self) -> BinaryIO:
        self.made.append(io.BytesIO())
        return self.made[-1]


LARGE = b"0123456789abcdef" * (LARGEST_IN_MEMORY // 16 + 1)


@pytest.mark.parametrize("rest", [b")\r\n", b" UID 2)\r\n", b" FLAGS (\\Seen) UID 2)\r\n"])
def test_a_large_message_is_spooled(rest: bytes) -> None:
    uid = b"" if b"UID" in rest else b"UID 2 "
    spools = Spools()
    answer = A + b"* 2 FETCH (%sBODY[] {%d}\r\n" % (uid, len(LARGE)) + LARGE + rest + C + OK
    with opened((rb"UID FETCH", answer)) as (mailbox, _server):
        found = {message.uid: message.body for message in mailbox.fetch([1, 2, 3], spools)}
    assert isinstance(found[2], SpooledBody)
    assert found[2].size == len(LARGE)
    assert max(map(len, found[2].chunks())) <= 1 << 20
    assert b"".join(found[2].chunks()) == LARGE
    assert b"".join(found[3].chunks()) == b"ccc"
    found[2].close()
    assert [spool.closed for spool in spools.made] == [True]


def test_the_spool_of_a_message_nobody_asked_for_is_closed() -> None:
    spools = Spools()
    answer = b"* 9 FETCH (UID 9 BODY[] {%d}\r\n" % len(LARGE) + LARGE + b")\r\n" + A + OK
    with opened((rb"UID FETCH", answer)) as (mailbox, _server):
        assert [message.uid for message in mailbox.fetch([1], spools)] == [1]
    assert [spool.closed for spool in spools.made] == [True]


def test_the_spool_of_a_message_that_is_cut_off_is_closed() -> None:
    spools = Spools()
    answer = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(LARGE) + LARGE[:-1] + CUT
    with opened((rb"UID FETCH", answer)) as (mailbox, _server), pytest.raises(ConnectionLost):
        list(mailbox.fetch([1], spools))
    assert [spool.closed for spool in spools.made] == [True]


def test_a_spool_that_is_full_is_a_failure_of_storage_and_not_of_the_connection() -> None:
    class Full(io.BytesIO):
        def write(self, _octets: object) -> int:
            raise OSError(28, "No space left on device")

    answer = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(LARGE) + LARGE + b")\r\n" + OK
    with opened((rb"UID FETCH", answer)) as (mailbox, _server):
        with pytest.raises(StorageFailed, match="No space left"):
            list(mailbox.fetch([1], Full))
        with pytest.raises(ConnectionLost):
            mailbox.uids()


def test_a_large_message_that_nobody_waits_for_is_skipped_without_a_spool() -> None:
    spools = Spools()
    answer = A + b"* 2 FETCH (UID 2 BODY[] {%d}\r\n" % len(LARGE) + LARGE + b")\r\n" + OK
    with opened((rb"UID FETCH", answer), (rb"UID SEARCH", b"* SEARCH 1 2 3\r\n" + OK)) as (mailbox, _server):
        next(mailbox.fetch([1, 2], spools))
        assert mailbox.uids() == [1, 2, 3]
    assert spools.made == []


def test_closing_from_another_thread_wakes_the_one_that_reads() -> None:
    with opened((rb"UID FETCH", A + STALL), stall=60.0) as (mailbox, _server):
        arriving = mailbox.fetch([1, 2], io.BytesIO)
        next(arriving)
        closer = threading.Timer(0.05, mailbox._session.close)
        closer.start()
        with pytest.raises(ConnectionLost):
            next(arriving)
        closer.join()


FACT = b'* 1 FETCH (UID 1 FLAGS (\\Seen) INTERNALDATE " 1-Jan-2024 10:00:00 +0000" RFC822.SIZE 5)\r\n'


def described(mailbox: ImapMailbox, *uids: int) -> dict[RemoteUid, MessageFacts]:
    found = list(mailbox.facts(uids))
    assert len(found) == len({facts.uid for facts in found})
    return {facts.uid: facts for facts in found}


@pytest.mark.parametrize(
    "answer",
    [
        FACT,
        b'* 1 FETCH (RFC822.SIZE 5 INTERNALDATE "01-Jan-2024 10:00:00 +0000" FLAGS (\\Recent \\Seen) UID 1)\r\n',
        b'* 1 FETCH (UID 1 FLAGS ("\\\\Seen") INTERNALDATE {26}\r\n01-Jan-2024 10:00:00 +0000 RFC822.SIZE 5)\r\n',
        b"* 1 FETCH (UID 1 FLAGS (\\Answered))\r\n* 1 FETCH (FLAGS (\\Draft))\r\n" + FACT + b"* 2 EXPUNGE\r\n",
        FACT + FACT + b"* 7 FETCH (UID 7 FLAGS () RFC822.SIZE 1)\r\n",
    ],
)
def test_facts_are_read_however_they_are_written(answer: bytes) -> None:
    with opened((rb"UID FETCH", answer + OK)) as (mailbox, _server):
        found = described(mailbox, 1, 2)
    assert set(found) == {1}
    assert found[1].size == 5
    assert found[1].flags == {"\\Seen"}
    assert found[1].internaldate is not None


@pytest.mark.parametrize(
    ("capability", "items"),
    [
        (b"", b"(UID FLAGS INTERNALDATE RFC822.SIZE)"),
        (b" OBJECTID", b"(UID FLAGS INTERNALDATE RFC822.SIZE EMAILID THREADID)"),
        (b" X-GM-EXT-1", b"(UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID X-GM-THRID X-GM-LABELS)"),
    ],
)
def test_account_wide_ids_are_asked_for_where_they_are_offered(capability: bytes, items: bytes) -> None:
    with opened((rb"UID FETCH", OK), capabilities=b"IMAP4rev1" + capability) as (mailbox, server):
        assert described(mailbox, 1, 2, 3) == {}
    assert b"UID FETCH 1:3 " + items in server.commands


def test_a_mailbox_with_gaps_is_described_by_one_range() -> None:
    search = b"* SEARCH 10 20 30\r\n" + OK
    with opened((rb"UID SEARCH", search), (rb"UID FETCH", OK)) as (mailbox, server):
        described(mailbox, 10, 20, 30)
        mailbox.uids()
        described(mailbox, 10, 20, 30)
        described(mailbox, 10, 30)
    asked = [line.split()[2] for line in server.commands if line.startswith(b"UID FETCH")]
    assert asked == [b"10,20,30", b"10:30", b"10,30"]


def test_nearly_all_of_a_large_mailbox_is_described_by_one_range() -> None:
    uids = range(1, 40_001)
    wanted = [uid for uid in uids if uid % 20]
    search = b"* SEARCH " + b" ".join(b"%d" % uid for uid in uids) + b"\r\n" + OK
    with opened((rb"UID SEARCH", search), (rb"FETCH", OK), (rb"UID FETCH", OK)) as (mailbox, server):
        mailbox.uids()
        list(mailbox.facts(wanted))
    assert [line.split()[2] for line in server.commands if line.startswith(b"UID FETCH")] == [b"1:39999"]


def sizeless(line: bytes) -> bytes:
    if b"SIZE" in line:
        return b"%T NO size is too costly\r\n"
    return b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Jan-2024 10:00:00 +0000")\r\n' + OK


def test_when_sizes_are_refused_the_rest_is_asked_for() -> None:
    with opened((rb"UID FETCH", sizeless)) as (mailbox, _server):
        found = described(mailbox, 1)
    assert found[1].size is None
    assert found[1].internaldate is not None


def all_but_five(line: bytes) -> bytes:
    first, _, last = line.split()[2].partition(b":")
    asked = range(int(first), int(last or first) + 1)
    if 5 in asked:
        return b"%T NO five is broken\r\n"
    return b"".join(b'* 1 FETCH (UID %d FLAGS (\\Seen) INTERNALDATE "x")\r\n' % uid for uid in asked) + OK


def test_one_message_that_cannot_be_described_is_bare_and_the_others_are_not() -> None:
    with opened((rb"UID FETCH", all_but_five)) as (mailbox, _server):
        found = described(mailbox, *range(1, 10))
        flags = dict(mailbox.flags(range(1, 10)))
    assert found[5] == MessageFacts(5)
    assert {uid for uid, facts in found.items() if facts.flags} == {1, 2, 3, 4, 6, 7, 8, 9}
    assert set(flags) == {1, 2, 3, 4, 6, 7, 8, 9}


def test_a_server_that_describes_nothing_is_not_asked_for_ever() -> None:
    with opened((rb"UID FETCH", b"%T NO never\r\n")) as (mailbox, server):
        assert described(mailbox, *range(1, 5_001)) == {uid: MessageFacts(uid) for uid in range(1, 5_001)}
    assert len(server.commands) < 500


def test_what_arrived_before_a_refusal_is_not_asked_again() -> None:
    rules = ((rb"UID FETCH 1:2", FACT + b"%T NO\r\n"), (rb"UID FETCH 2", b"%T OK\r\n"))
    with opened(*rules) as (mailbox, _server):
        assert set(described(mailbox, 1, 2)) == {1}


def test_flags_since_a_modseq_are_asked_by_changedsince() -> None:
    line = b"* 1 FETCH (UID 1 MODSEQ (9) FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 MODSEQ (9))\r\n"
    with opened((rb"UID FETCH", line + OK)) as (mailbox, server):
        assert dict(mailbox.flags_since(5)) == {1: {"\\Seen"}}
    assert b"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 5)" in server.commands


def test_when_changedsince_is_refused_all_flags_are_asked_for() -> None:
    rules = ((rb"UID FETCH .*CHANGEDSINCE", b"%T BAD\r\n"), (rb"UID FETCH", FACT + OK))
    with opened(*rules) as (mailbox, _server):
        assert dict(mailbox.flags_since(5)) == {1: {"\\Seen"}}


def test_when_no_flags_can_be_had_the_mailbox_is_unavailable() -> None:
    with (
        opened((rb"UID FETCH", b"%T NO never\r\n")) as (mailbox, _server),
        pytest.raises(MailboxUnavailable, match="never"),
    ):
        list(mailbox.flags_since(5))


def test_nothing_that_changes_a_mailbox_is_ever_sent() -> None:
    with opened((rb"UID FETCH", FACT + A + OK), (rb"UID SEARCH", b"* SEARCH 1 2 3\r\n" + OK)) as (mailbox, server):
        mailbox.uids()
        described(mailbox, 1)
        fetched(mailbox, 1)
    verbs = {line.split()[0] for line in server.commands} | {b" ".join(line.split()[:2]) for line in server.commands}
    assert verbs.isdisjoint(
        {b"SELECT", b"STORE", b"UID STORE", b"EXPUNGE", b"UID EXPUNGE", b"CLOSE", b"APPEND", b"DELETE"}
    )
    assert server.commands[-1] == b"LOGOUT"
