"""What every Source promises; an implementation subclasses InboxContract or SourceContract and provides ``world``."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import BinaryIO, Protocol

import pytest

from mailarchive.errors import ConnectionLost, FetchRefused, MailboxUnavailable, PiecesUnsupported
from mailarchive.model import Fetched, ListedMailbox, MessageFacts, RemoteUid
from mailarchive.sources.base import OpenMailbox, Source
from mailarchive.targets.accounts import OpenTarget

DATE = datetime(2024, 2, 29, 23, 59, 58, tzinfo=timezone(timedelta(hours=-7)))
UNKNOWN = 987_654
LARGE = 5 << 20
ALL_OCTETS = bytes({*range(1, 256)} - {10, 13}) + b"\r\n"


class Inbox(Protocol):
    """An account that the test changes, and a source that looks at it. ``uid`` counts what was appended, from 1."""

    def append(self, path: str, octets: bytes, flags: tuple[str, ...] = (), date: datetime = DATE) -> None: ...

    def expunge(self, path: str, uid: int) -> None: ...

    def connect(self) -> Source: ...


class World(Inbox, Protocol):
    """One that has mailboxes and flags, whose messages have just these uids, and in which changes are seen at once."""

    def create(self, path: str) -> None: ...

    def delete(self, path: str) -> None: ...

    def set_flags(self, path: str, uid: int, flags: tuple[str, ...]) -> None: ...


@contextmanager
def connected(world: Inbox) -> Iterator[Source]:
    source = world.connect()
    try:
        yield source
    finally:
        source.close()


def named(source: Source, path: str) -> ListedMailbox:
    """Return the listed mailbox that prints as ``path``."""
    return next(mailbox for mailbox in source.mailboxes() if str(mailbox.name) == path)


def no_spool() -> BinaryIO:
    raise AssertionError("a small message must not be spooled")


def octets(message: Fetched) -> bytes:
    """Return the whole body and close it."""
    whole = b"".join(message.body.chunks())
    assert len(whole) == message.body.size
    message.body.close()
    return whole


def bodies(mailbox: OpenMailbox | OpenTarget, uids: list[RemoteUid]) -> dict[RemoteUid, bytes]:
    found = [(message.uid, octets(message)) for message in mailbox.fetch(uids, no_spool)]
    assert len({uid for uid, _octets in found}) == len(found)
    return dict(found)


def facts(mailbox: OpenMailbox | OpenTarget, uids: list[RemoteUid]) -> dict[RemoteUid, MessageFacts]:
    found = list(mailbox.facts(uids))
    assert len({one.uid for one in found}) == len(found)
    return {one.uid: one for one in found}


def message(number: int, text: str = "Hello") -> bytes:
    return b"Subject: %d\r\n\r\n%s\r\n" % (number, text.encode())


def inbox(source: Source) -> OpenMailbox:
    return source.open(named(source, "INBOX"))


class InboxContract:
    """What every source promises. Subclasses define the fixture ``world`` with an INBOX that is empty."""

    def shown(self, octets: bytes) -> bytes:
        """Return what the server makes of a message."""
        return octets

    def fill(self, world: Inbox, *messages: bytes) -> None:
        for one in messages:
            world.append("INBOX", one)

    def test_the_account_has_a_name_and_a_protocol(self, world: Inbox) -> None:
        with connected(world) as source:
            assert source.account.name
            assert source.account.protocol

    def test_a_cursor_stays_equal_while_nothing_changes(self, world: Inbox) -> None:
        self.fill(world, message(1), message(2))
        with connected(world) as source:
            before = named(source, "INBOX").cursor
            assert before is not None
            assert before.messages == 2
            assert inbox(source).cursor.messages == 2
            source.leave(lambda: None)
        with connected(world) as source:
            assert named(source, "INBOX").cursor == before

    def test_an_empty_mailbox_has_nothing(self, world: Inbox) -> None:
        with connected(world) as source:
            opened = inbox(source)
            assert opened.cursor.messages == 0
            assert opened.uids() == []
            assert list(opened.facts([1])) == []
            assert bodies(opened, [1]) == {}
            assert list(opened.flags_since(1)) == []

    def test_uids_are_in_order_last_and_leave_out_what_is_expunged(self, world: Inbox) -> None:
        self.fill(world, message(1), message(2), message(3))
        with connected(world) as source:
            before = inbox(source).uids()
            source.leave(lambda: None)
        world.expunge("INBOX", 2)
        self.fill(world, message(4))
        with connected(world) as source:
            opened = inbox(source)
            after = opened.uids()
            assert [*bodies(opened, after).values()] == [self.shown(message(number)) for number in (1, 3, 4)]
        assert len(set(before)) == len(before) == 3
        assert after[:2] == [before[0], before[2]]
        assert after[2] not in before

    def test_facts_come_for_those_that_exist(self, world: Inbox) -> None:
        self.fill(world, message(1), message(2), message(3, "longer"))
        with connected(world) as source:
            opened = inbox(source)
            first, second, third = opened.uids()
            assert set(facts(opened, [third, first, UNKNOWN])) == {first, third}
            assert {one.uid: one.size for one in opened.facts([first, second, third])} == {
                first: len(message(1)),
                second: len(message(2)),
                third: len(message(3, "longer")),
            }
            assert list(opened.facts([])) == []

    def test_headers_end_with_the_empty_line(self, world: Inbox) -> None:
        self.fill(world, b"Subject: one\r\nFrom: a@b\r\n\r\nbody\r\n\r\nmore\r\n", b"\r\nno header\r\n")
        with connected(world) as source:
            opened = inbox(source)
            first, second = opened.uids()
            found = dict(opened.headers([first, second, UNKNOWN]))
        assert found == {first: b"Subject: one\r\nFrom: a@b\r\n\r\n", second: b"\r\n"}

    def test_texts_begin_with_what_follows_the_header(self, world: Inbox) -> None:
        lines = b"".join(b"line %d\r\n" % number for number in range(9, 700))
        self.fill(world, b"Subject: one\r\n\r\n.short\r\n", b"Subject: two\r\n\r\n" + lines, b"A: b\r\n\r\n")
        with connected(world) as source:
            opened = inbox(source)
            uids = opened.uids()
            found = dict(opened.beginnings([*uids, UNKNOWN], 2048))
        one, two, three = (found[uid] for uid in uids)
        assert (one, three) == (b".short\r\n", b"")
        assert lines.startswith(two)
        assert 200 < len(two) <= 2048

    def test_messages_arrive_octet_for_octet(self, world: Inbox) -> None:
        sent = [
            b"Subject: x\r\n\r\n" + bytes({*range(1, 256)} - {10, 13}) + b"\r\n",
            b"From you\r\n>From me\r\n\r\n",
            b"A: " + b"y" * 200_000 + b"\r\n\r\n)\r\nA1 OK done\r\n* BYE\r\n{5}\r\n+OK\r\n-ERR\r\n",
            b"no end of line",
            b"A: b\r\n\r\n.\r\n.x\r\n..\r\n\r\n.\r\n",
        ]
        self.fill(world, *sent)
        with connected(world) as source:
            opened = inbox(source)
            uids = opened.uids()
            found = bodies(opened, uids)
        assert [found[uid] for uid in uids] == [self.shown(one) for one in sent]

    def test_only_what_is_asked_for_is_fetched(self, world: Inbox) -> None:
        self.fill(world, message(1), message(2), message(3))
        with connected(world) as source:
            opened = inbox(source)
            first, _second, third = opened.uids()
            assert bodies(opened, [third, first, third, UNKNOWN]) == {first: message(1), third: message(3)}
            assert bodies(opened, []) == {}

    def test_a_large_message_arrives_whole_and_can_be_read_twice(self, world: Inbox) -> None:
        large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * (LARGE // 18)
        self.fill(world, large, message(2))
        with connected(world) as source:
            opened = inbox(source)
            first, second = opened.uids()
            found = {one.uid: one.body for one in opened.fetch([first, second], io.BytesIO)}
        assert found[first].size == len(large)
        assert b"".join(found[first].chunks()) == large
        assert b"".join(found[first].chunks()) == large
        assert b"".join(found[second].chunks()) == message(2)

    def test_many_messages_with_gaps_arrive_each_once(self, world: Inbox) -> None:
        self.fill(world, *map(message, range(1, 41)))
        gaps = range(2, 41, 3)
        for uid in gaps:
            world.expunge("INBOX", uid)
        with connected(world) as source:
            opened = inbox(source)
            uids = opened.uids()
            assert set(facts(opened, uids)) == set(uids)
            found = bodies(opened, uids)
        assert [found[uid] for uid in uids] == [message(number) for number in range(1, 41) if number not in gaps]

    def test_a_fetch_or_headers_given_up_do_not_disturb_what_follows(self, world: Inbox) -> None:
        self.fill(world, message(1), message(2), message(3))
        with connected(world) as source:
            opened = inbox(source)
            uids = opened.uids()
            next(iter(opened.fetch(uids, no_spool)))
            next(iter(opened.headers(uids)))
            assert bodies(opened, [uids[1]]) == {uids[1]: message(2)}
            assert inbox(source).uids() == uids

    def test_after_close_the_connection_is_lost(self, world: Inbox) -> None:
        self.fill(world, message(1))
        source = world.connect()
        opened = inbox(source)
        source.close()
        source.close()
        with pytest.raises(ConnectionLost):
            source.mailboxes()
        with pytest.raises(ConnectionLost):
            opened.uids()

    def test_a_message_that_is_not_there_has_no_pieces_and_no_halves(self, world: Inbox) -> None:
        self.fill(world, message(1))
        with connected(world) as source:
            opened = inbox(source)
            with pytest.raises(FetchRefused):
                list(opened.pieces(UNKNOWN, 0))
            with pytest.raises(FetchRefused):
                opened.halves(UNKNOWN, io.BytesIO)


class SourceContract(InboxContract):
    """What sources promise that have mailboxes, flags, lasting numbers, and parts of messages: IMAP, and in memory."""

    @pytest.fixture
    def source(self, world: World) -> Iterator[Source]:
        with connected(world) as source:
            yield source

    @pytest.fixture
    def three(self, world: World) -> World:
        for number in (1, 2, 3):
            world.append("INBOX", message(number), ("\\Seen",) if number == 2 else ())
        return world

    def test_every_mailbox_is_listed_with_the_cursor_that_opening_it_gives(self, three: World, source: Source) -> None:
        three.create("Sent")
        listed = source.mailboxes()
        assert {"INBOX", "Sent"} <= {str(mailbox.name) for mailbox in listed}
        for mailbox in listed:
            assert mailbox.cursor is not None
            cursor = source.open(mailbox).cursor
            assert cursor.uidvalidity == mailbox.cursor.uidvalidity
            assert cursor.uidnext == mailbox.cursor.uidnext
            assert cursor.messages == mailbox.cursor.messages
            assert cursor.highestmodseq is not None

    def test_names_of_any_kind_are_listed_and_can_be_opened(self, world: World, source: Source) -> None:
        paths = ["Entwürfe & mehr", "日本/語", 'a "quoted" name', "work", "Work", "x'y(z)*%", "trailing "]
        for number, path in enumerate(paths):
            world.create(path)
            for _message in range(number + 1):
                world.append(path, message(number))
        listed = {str(mailbox.name): mailbox for mailbox in source.mailboxes()}
        for number, path in enumerate(paths):
            assert source.open(listed[path]).cursor.messages == number + 1

    def test_parts_of_a_name_are_split_at_the_delimiter(self, world: World, source: Source) -> None:
        world.create("a/b/c")
        assert named(source, "a/b/c").name.parts == ("a", "b", "c")

    def test_a_cursor_changes_with_an_append(self, three: World, source: Source) -> None:
        before = named(source, "INBOX").cursor
        three.append("INBOX", message(4))
        assert named(source, "INBOX").cursor != before

    def test_a_cursor_changes_with_flags(self, three: World, source: Source) -> None:
        before = named(source, "INBOX").cursor
        three.set_flags("INBOX", 1, ("\\Flagged",))
        assert named(source, "INBOX").cursor != before

    def test_a_cursor_changes_with_an_expunge(self, three: World, source: Source) -> None:
        before = named(source, "INBOX").cursor
        three.expunge("INBOX", 3)
        assert named(source, "INBOX").cursor != before

    def test_facts_are_those_of_the_message(self, three: World, source: Source) -> None:
        found = facts(source.open(named(source, "INBOX")), [2])[2]
        assert found.size == len(message(2))
        assert found.internaldate == DATE
        assert found.internaldate is not None
        assert found.internaldate.tzinfo is not None
        assert found.flags == {"\\Seen"}

    def test_flags_come_for_those_that_exist(self, three: World, source: Source) -> None:
        three.set_flags("INBOX", 3, ("\\Flagged", "$Forwarded"))
        found = dict(source.open(named(source, "INBOX")).flags([3, 2, 1, UNKNOWN]))
        assert found == {1: frozenset(), 2: {"\\Seen"}, 3: {"\\Flagged", "$Forwarded"}}

    def test_flags_since_a_cursor_are_those_that_changed(self, three: World, source: Source) -> None:
        before = source.open(named(source, "INBOX")).cursor.highestmodseq
        assert before is not None
        three.set_flags("INBOX", 1, ("\\Answered",))
        changed = dict(source.open(named(source, "INBOX")).flags_since(before))
        assert changed == {1: {"\\Answered"}}

    def test_fetching_does_not_set_seen(self, three: World, source: Source) -> None:
        opened = source.open(named(source, "INBOX"))
        assert len(bodies(opened, opened.uids())) == 3
        assert dict(source.open(named(source, "INBOX")).flags([1]))[1] == frozenset()

    def test_a_mailbox_that_vanished_is_unavailable_and_the_others_are_not(self, three: World, source: Source) -> None:
        three.create("Gone")
        gone = named(source, "Gone")
        three.delete("Gone")
        with pytest.raises(MailboxUnavailable):
            source.open(gone)
        assert source.open(named(source, "INBOX")).uids() == [1, 2, 3]

    def test_a_fetch_that_is_given_up_does_not_disturb_what_follows(self, three: World, source: Source) -> None:
        three.create("Other")
        three.append("Other", message(9))
        opened = source.open(named(source, "INBOX"))
        next(iter(opened.fetch([1, 2, 3], no_spool)))
        assert bodies(opened, [2]) == {2: message(2)}
        other = source.open(named(source, "Other"))
        assert bodies(other, other.uids()) == {1: message(9)}

    def test_two_connections_do_not_disturb_each_other(self, three: World, source: Source) -> None:
        with connected(three) as other:
            here, there = source.open(named(source, "INBOX")), other.open(named(other, "INBOX"))
            assert bodies(here, [1]) == bodies(there, [1])

    def test_pieces_begin_anywhere_and_make_the_message(self, world: World, source: Source) -> None:
        large = b"Subject: large\r\n\r\n" + ALL_OCTETS * (LARGE // len(ALL_OCTETS)) + b"end"
        world.append("INBOX", large)
        opened = source.open(named(source, "INBOX"))
        for offset in (0, 1, LARGE // 2, len(large) - 1, len(large)):
            pieces = list(opened.pieces(1, offset, large[max(0, offset - 64) : offset]))
            assert b"".join(pieces) == large[offset:]
            assert max(map(len, pieces), default=0) <= 1 << 20
        assert b"".join(opened.pieces(1, 10)) == large[10:]
        assert dict(source.open(named(source, "INBOX")).flags([1]))[1] == frozenset()

    def test_pieces_do_not_go_on_where_other_octets_were(self, three: World, source: Source) -> None:
        opened = source.open(named(source, "INBOX"))
        with pytest.raises(PiecesUnsupported):
            list(opened.pieces(2, 10, b"something"))

    def test_halves_make_the_message(self, world: World, source: Source) -> None:
        sent = [
            b"A: b\r\n\r\nFrom\r\n\r\nx",
            b"\r\nno header",
            b"A: b\r\n\r\n",
            b"A: b\r\n\r\n" + ALL_OCTETS * 20_000,
        ]
        for one in sent:
            world.append("INBOX", one)
        opened = source.open(named(source, "INBOX"))
        assert [octets(opened.halves(uid, io.BytesIO)) for uid in range(1, len(sent) + 1)] == sent
        assert dict(source.open(named(source, "INBOX")).flags([1]))[1] == frozenset()
