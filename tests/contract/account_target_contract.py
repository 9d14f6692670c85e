"""What every AccountTarget promises; an implementation subclasses AccountTargetContract and provides ``world``."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple, Protocol

import pytest

from mailarchive.errors import ConnectionLost, MailboxUnavailable, NoRoom
from mailarchive.mail.body import MemoryBody, SpooledBody
from mailarchive.mail.mailbox_name import encode_name, mailbox_name
from mailarchive.model import ListedMailbox, MailboxName, Outbound
from mailarchive.targets.accounts import NO_ROOM, AccountTarget, Copying, OpenTarget, Outcome
from tests.contract.source_contract import ALL_OCTETS, DATE, UNKNOWN, bodies, facts, message

LIMIT = 100_000
DATES = (
    DATE,
    datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2020, 2, 29, 3, 14, 7, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=-11, minutes=-30))),
)
ODD = (
    b"Subject: 8 bit\r\n\r\n" + ALL_OCTETS,
    b"From you\r\n>From me\r\n\r\n.\r\n",
    b"A: b\r\n\r\n)\r\nA1 OK done\r\n* BYE\r\n{5}\r\n{5+}\r\n~{5}\r\n",
    b"no header, and no end of line",
    b"\r\n",
    b"x",
    b"X-\xfc: \xe4\r\n\r\n" + b"y" * 20_000 + b"\r\n",
)


class Kept(NamedTuple):
    """A message that the account has."""

    uid: int
    octets: bytes
    flags: frozenset[str]
    date: datetime | None


class AccountWorld(Protocol):
    """An account with an INBOX that is empty, a connection to it, and what is there for others to see."""

    def connect(self) -> AccountTarget: ...

    def kept(self, path: str) -> list[Kept]:
        """Return the messages of a mailbox by ascending UID."""

    def subscribed(self) -> set[str]: ...

    def delete(self, path: str) -> None: ...

    def refuse_larger(self, octets: int) -> None:
        """Take no message with more octets; said before anybody connects."""

    def make_room(self, octets: int) -> None:
        """Take no more than so many octets in all; said before anybody connects."""


@contextmanager
def connected(world: AccountWorld) -> Iterator[AccountTarget]:
    target = world.connect()
    try:
        yield target
    finally:
        target.close()


def name_of(target: AccountTarget, *parts: str) -> MailboxName:
    """Return a name as the account shapes them."""
    prefix, delimiter = target.abilities()[:2]
    assert delimiter is not None
    return mailbox_name(prefix + delimiter.encode().join(map(encode_name, parts)), delimiter)


def listed(target: AccountTarget, name: MailboxName) -> ListedMailbox:
    """Return the one mailbox of this name that is listed."""
    (found,) = [mailbox for mailbox in target.mailboxes() if mailbox.name.raw == name.raw]
    return found


def inbox(target: AccountTarget) -> OpenTarget:
    return target.open(listed(target, mailbox_name(b"INBOX", None)))


def made(target: AccountTarget, *parts: str) -> ListedMailbox:
    """Make a mailbox and return it as it is listed."""
    name = name_of(target, *parts)
    target.create(name)
    return listed(target, name)


def outbound(octets: bytes, *flags: str, date: datetime | None = None) -> Outbound:
    return Outbound(MemoryBody(octets), frozenset(flags), date, b"\0" in octets)


def put(opened: OpenTarget, *messages: bytes, alone: bool = False) -> list[Outcome]:
    return list(opened.append(map(outbound, messages), alone=alone))


def places(outcomes: Sequence[Outcome]) -> list[int]:
    return [outcome.place for outcome in outcomes]


def is_subscribed(world: AccountWorld, path: str) -> bool:
    return path in world.subscribed()


class AccountTargetContract:
    """Subclasses define the fixture ``world``, and what of messages the server changes or does not take."""

    takes_empty = True
    """None if it is no matter."""
    keeps_zone = True

    @pytest.fixture
    def target(self, world: AccountWorld) -> Iterator[AccountTarget]:
        with connected(world) as target:
            yield target

    def shown(self, octets: bytes) -> bytes:
        """Return what the server makes of a message."""
        return octets

    def kept(self, world: AccountWorld, path: str) -> list[bytes]:
        return [one.octets for one in world.kept(path)]

    def are_there(self, world: AccountWorld, target: AccountTarget, path: str, outcomes: Sequence[Outcome]) -> None:
        """Assert that all were put into an empty mailbox, and that UIDs are told where the account tells them."""
        uids = [one.uid for one in world.kept(path)]
        told = [outcome.uid for outcome in outcomes]
        assert [outcome.refused for outcome in outcomes] == [None] * len(uids)
        assert places(outcomes) == [*range(len(uids))]
        assert told == uids or (not target.abilities().tells_uids and set(told) == {None})

    # -- the account -------------------------------------------------------------------------------------------------

    def test_the_account_has_a_name_and_a_protocol(self, target: AccountTarget) -> None:
        assert target.account.name
        assert target.account.protocol

    def test_abilities_are_those_of_the_account_on_each_connection(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        first = target.abilities()
        assert first.delimiter
        assert all(octets is None or octets > 0 for octets in (first.append_limit, first.room))
        with connected(world) as other:
            assert other.abilities() == first

    def test_inbox_is_listed_with_the_cursor_that_opening_gives(self, target: AccountTarget) -> None:
        (found,) = [mailbox for mailbox in target.mailboxes() if mailbox.name.parts == ("INBOX",)]
        opened = inbox(target)
        assert opened.cursor.messages == 0
        assert opened.uids() == []
        assert found.cursor is None or found.cursor.uidvalidity == opened.cursor.uidvalidity

    def test_a_connection_may_be_closed_twice_and_is_lost_then(self, world: AccountWorld) -> None:
        target = world.connect()
        opened = inbox(target)
        target.close()
        target.close()
        with pytest.raises(ConnectionLost):
            target.mailboxes()
        with pytest.raises(ConnectionLost):
            put(opened, message(1))
        assert self.kept(world, "INBOX") == []

    # -- mailboxes ---------------------------------------------------------------------------------------------------

    def test_a_mailbox_is_made_once_and_subscribed_to(self, world: AccountWorld, target: AccountTarget) -> None:
        work = made(target, "Work")
        assert target.open(work).cursor.messages == 0
        assert is_subscribed(world, "Work")
        put(target.open(work), message(1))
        again = made(target, "Work")
        assert again.name == work.name
        assert self.kept(world, "Work") == [message(1)]

    def test_a_mailbox_is_made_below_others_that_are_there_or_not(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        made(target, "a")
        for parts in (("a", "b"), ("c", "d", "e")):
            assert made(target, *parts).name.parts[-len(parts) :] == parts
        put(target.open(listed(target, name_of(target, "a", "b"))), message(1))
        assert self.kept(world, "a/b") == [message(1)]
        assert self.kept(world, "a") == self.kept(world, "c/d/e") == []

    def test_names_of_any_kind_are_made_and_opened(self, world: AccountWorld, target: AccountTarget) -> None:
        paths = [
            "Entwürfe & mehr",
            "日本",
            'a "quoted" name',
            "back\\slash",
            "x'y(z)",
            "&",
            "work",
            "Work",
            "trailing ",
        ]
        for number, path in enumerate(paths):
            put(target.open(made(target, path)), message(number))
        for number, path in enumerate(paths):
            assert self.kept(world, path) == [message(number)]
        assert {*paths} <= world.subscribed()

    def test_a_mailbox_for_a_use_is_there_whether_its_use_can_be_said_or_not(self, target: AccountTarget) -> None:
        name = name_of(target, "Kept")
        target.create(name, "\\Archive")
        target.create(name, "\\Archive")
        assert listed(target, name).special_use <= {"\\Archive"}

    def test_a_name_that_is_not_taken_is_unavailable_and_others_are_not(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        with pytest.raises(MailboxUnavailable):
            target.create(name_of(target, "a", "", "b"))
        put(target.open(made(target, "Work")), message(1))
        assert self.kept(world, "Work") == [message(1)]

    def test_a_mailbox_that_is_not_there_is_unavailable_and_others_are_not(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        gone = ListedMailbox(name_of(target, "Gone"))
        with pytest.raises(MailboxUnavailable):
            target.open(gone)
        with pytest.raises(MailboxUnavailable):
            target.look(gone)
        assert places(put(inbox(target), message(1))) == [0]

    def test_a_mailbox_that_vanishes_while_it_is_open_takes_nothing_and_others_do(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        work = made(target, "Work")
        opened = target.open(work)
        world.delete("Work")
        with suppress(MailboxUnavailable, ConnectionLost):
            assert all(outcome.refused is not None for outcome in put(opened, message(1)))
        with connected(world) as other:
            with pytest.raises(MailboxUnavailable):
                other.open(work)
            assert places(put(inbox(other), message(2))) == [0]

    def test_what_others_put_there_is_seen_by_who_opens_or_looks(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        with connected(world) as other:
            put(inbox(other), message(1), message(2))
        for opened in (inbox(target), target.look(listed(target, mailbox_name(b"INBOX", None)))):
            assert opened.cursor.messages == 2
            uids = opened.uids()
            assert uids == [one.uid for one in world.kept("INBOX")]
            assert bodies(opened, uids) == dict(zip(uids, (message(1), message(2)), strict=True))
            assert dict(opened.headers([uids[1], UNKNOWN])) == {uids[1]: b"Subject: 2\r\n\r\n"}
            assert facts(opened, [*uids, UNKNOWN]).keys() == {*uids}

    def test_keywords_and_system_flags_are_kept_where_nothing_else_is_said(self, target: AccountTarget) -> None:
        permanent = inbox(target).permanent
        assert permanent.takes_any
        assert all(flag == flag.lower() for flag in permanent.flags)

    # -- appending ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("alone", [False, True], ids=["together", "alone"])
    def test_messages_are_kept_in_their_order_octet_for_octet(
        self, world: AccountWorld, target: AccountTarget, alone: bool
    ) -> None:
        outcomes = put(inbox(target), *ODD, alone=alone)
        assert self.kept(world, "INBOX") == [self.shown(octets) for octets in ODD]
        self.are_there(world, target, "INBOX", outcomes)

    def test_lone_line_ends_are_what_the_server_makes_of_them(self, world: AccountWorld, target: AccountTarget) -> None:
        lf = b"Subject: lf\n\nbare\nlf"
        put(inbox(target), lf)
        assert self.kept(world, "INBOX") == [self.shown(lf)]

    def test_nul_is_kept_where_it_is_taken(self, world: AccountWorld, target: AccountTarget) -> None:
        nul = b"Subject: nul\r\n\r\n\0 and \0\r\n"
        outcomes = put(inbox(target), message(1), nul, message(2))
        if target.abilities().takes_nul:
            assert self.kept(world, "INBOX") == [message(1), self.shown(nul), message(2)]
            self.are_there(world, target, "INBOX", outcomes)
        else:
            assert [outcome.refused is None for outcome in outcomes] == [True, False, True]
            assert self.kept(world, "INBOX") == [message(1), message(2)]

    def test_an_empty_message_is_kept_or_refused_and_holds_nothing_up(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        outcomes = put(inbox(target), message(1), b"", message(2))
        assert sorted(places(outcomes)) == [0, 1, 2]
        refused = {outcome.place for outcome in outcomes if outcome.refused is not None}
        assert refused == (set() if self.takes_empty else {1})
        assert self.kept(world, "INBOX") == [message(1), *([] if refused else [b""]), message(2)]

    def test_a_large_message_is_kept_from_a_file_between_small_ones(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        large = b"Subject: large\r\n\r\n" + ALL_OCTETS * ((3 << 20) // len(ALL_OCTETS)) + b"\r\n"
        streamed = Outbound(SpooledBody(io.BytesIO(large), len(large)))
        outcomes = [*inbox(target).append([outbound(message(1)), streamed, outbound(message(2))])]
        assert self.kept(world, "INBOX") == [message(1), large, message(2)]
        self.are_there(world, target, "INBOX", outcomes)

    def test_many_messages_are_kept_each_once_in_their_order(self, world: AccountWorld, target: AccountTarget) -> None:
        messages = [message(number) for number in range(1000)]
        outcomes = put(inbox(target), *messages)
        assert self.kept(world, "INBOX") == messages
        self.are_there(world, target, "INBOX", outcomes)

    @pytest.mark.parametrize("alone", [False, True], ids=["together", "alone"])
    def test_nothing_to_append_is_nothing(self, world: AccountWorld, target: AccountTarget, alone: bool) -> None:
        assert put(inbox(target), alone=alone) == []
        assert self.kept(world, "INBOX") == []

    def test_dates_are_kept_with_their_moment_and_zone(self, world: AccountWorld, target: AccountTarget) -> None:
        [*inbox(target).append(outbound(message(1), date=date) for date in DATES)]
        opened = inbox(target)
        told = [one.internaldate for one in opened.facts(opened.uids())]
        for found in (told, [one.date for one in world.kept("INBOX")]):
            assert found == [*DATES]
            if self.keeps_zone:
                assert [date and date.utcoffset() for date in found] == [date.utcoffset() for date in DATES]

    def test_flags_and_keywords_are_kept(self, world: AccountWorld, target: AccountTarget) -> None:
        kinds: list[tuple[str, ...]] = [(), ("\\Seen",), ("\\Flagged", "\\Answered", "\\Draft"), ("$Forwarded", "Work")]
        [*inbox(target).append(outbound(message(1), *flags) for flags in kinds)]
        assert [one.flags for one in world.kept("INBOX")] == [frozenset(flags) for flags in kinds]

    @pytest.mark.parametrize("alone", [False, True], ids=["together", "alone"])
    def test_what_is_refused_does_not_hold_up_others(self, world: AccountWorld, alone: bool) -> None:
        world.refuse_larger(LIMIT)
        large = b"Subject: large\r\n\r\n" + b"x" * LIMIT
        messages = [large if number in {0, 3, 4, 9} else message(number) for number in range(10)]
        with connected(world) as target:
            tells_uids = target.abilities().tells_uids
            outcomes = put(inbox(target), *messages, alone=alone)
            assert places(put(inbox(target), message(10))) == [0]
        there = world.kept("INBOX")
        refused = [outcome for outcome in outcomes if outcome.refused is not None]
        taken = [outcome for outcome in outcomes if outcome.refused is None]
        assert sorted(places(refused)) == [0, 3, 4, 9]
        assert {outcome.uid for outcome in refused} == {None}
        assert sorted(places(taken)) == [1, 2, 5, 6, 7, 8]
        assert [one.octets for one in there] == [message(number) for number in (1, 2, 5, 6, 7, 8, 10)]
        assert [outcome.uid for outcome in sorted(taken)] == [one.uid for one in there[:-1]] or not tells_uids

    @pytest.mark.parametrize("alone", [False, True], ids=["together", "alone"])
    def test_what_was_not_yielded_is_not_there_when_there_is_no_room(self, world: AccountWorld, alone: bool) -> None:
        size = 4096
        messages = [(message(number) + b"x" * size)[: size - 2] + b"\r\n" for number in range(10)]
        world.make_room(2 * size)
        outcomes: list[Outcome] = []
        with connected(world) as target, pytest.raises(NoRoom):
            outcomes.extend(inbox(target).append(map(outbound, messages), alone=alone))
        there = {outcome.place for outcome in outcomes if outcome.refused is None}
        assert len(there) == 2
        assert self.kept(world, "INBOX") == [messages[place] for place in sorted(there)]
        assert {outcome.code for outcome in outcomes if outcome.refused is not None} <= {NO_ROOM}

    def test_appending_alone_may_be_given_up_after_any_message(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        outcomes = inbox(target).append(map(outbound, map(message, range(5))), alone=True)
        assert [next(iter(outcomes)).place, next(iter(outcomes)).place] == [0, 1]
        assert self.kept(world, "INBOX")[:2] == [message(0), message(1)]
        assert len(world.kept("INBOX")) <= 3

    def test_two_connections_put_into_two_mailboxes_side_by_side(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        work = made(target, "Work")
        with connected(world) as other:
            here, there = inbox(target), other.open(work)
            both = zip(
                here.append(outbound(message(number)) for number in range(5)),
                there.append(outbound(message(number)) for number in range(5, 10)),
                strict=True,
            )
            assert [(one.place, two.place) for one, two in both] == [(number, number) for number in range(5)]
        assert self.kept(world, "INBOX") == [message(number) for number in range(5)]
        assert self.kept(world, "Work") == [message(number) for number in range(5, 10)]

    # -- copying -----------------------------------------------------------------------------------------------------

    def test_copies_have_the_octets_the_date_and_the_flags_and_their_uids_are_told(
        self, world: AccountWorld, target: AccountTarget
    ) -> None:
        work, play = made(target, "Work"), made(target, "Play")
        put(target.open(play), message(0))
        [*inbox(target).append(outbound(octets, "\\Seen", "Done", date=DATES[1]) for octets in ODD)]
        originals = world.kept("INBOX")
        uids = [one.uid for one in originals]
        wanted = [
            Copying(uids, work.name, target.look(work).cursor.uidvalidity),
            Copying([uids[1], uids[3], uids[4]], play.name, target.look(play).cursor.uidvalidity),
        ]
        told = [*target.look(listed(target, mailbox_name(b"INBOX", None))).copy(wanted)]
        for copying, path, before, uids_there in zip(wanted, ("Work", "Play"), (0, 1), told, strict=True):
            there = world.kept(path)[before:]
            by_uid = {one.uid: one for one in originals}
            assert [one[1:] for one in there] == [by_uid[uid][1:] for uid in copying.uids]
            assert uids_there == dict(zip(copying.uids, [one.uid for one in there], strict=True)) or (
                not target.abilities().tells_uids and uids_there == {}
            )
        assert world.kept("INBOX") == originals

    def test_nothing_to_copy_is_nothing(self, target: AccountTarget) -> None:
        assert [*inbox(target).copy([])] == []
