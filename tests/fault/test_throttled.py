"""A server that asks for patience gets it where waiting is wanted, and nothing that came is asked for again."""

import io
import threading
from collections.abc import Callable

import pytest

from mailarchive.errors import (
    FetchRefused,
    MailboxUnavailable,
    RefusesEverything,
    SourceError,
    Throttled,
    TooManyConnections,
    TurnedAway,
)
from mailarchive.model import RemoteUid
from mailarchive.ops.fetching import NotFetched, fetch_each
from mailarchive.remote.imap.mailbox import ImapMailbox
from tests.fault.imap_scripts import INBOX, opened, scripted
from tests.fault.troubled import Trouble, World, failing, raising
from tests.servers.scripted_imap import CUT, Rule, once
from tests.servers.still_clock import StillClock

TOLD = Throttled("slower", seconds=299.961)


def uids_of(world: World) -> list[RemoteUid]:
    mailbox = world.opened()
    return [message.uid for message in mailbox.fetch(mailbox.uids(), io.BytesIO)]


@pytest.mark.parametrize(
    "step", ["connect", "mailboxes", "open", "uids", "facts", "flags", "flags_since", "headers", "fetch", "pieces"]
)
def test_at_every_step_it_waits_as_told_and_goes_on(step: str) -> None:
    world = World(raising(step, TOLD), waits=True)
    mailbox = world.opened()
    uids = mailbox.uids()
    assert [facts.uid for facts in mailbox.facts(uids)] == uids
    assert [uid for uid, _flags in mailbox.flags(uids)] == uids
    assert [uid for uid, _flags in mailbox.flags_since(0)] == uids
    assert [uid for uid, _octets in mailbox.headers(uids)] == uids
    assert [message.uid for message in mailbox.fetch(uids, io.BytesIO)] == uids
    assert b"".join(mailbox.pieces(1, 0)) == b"0"
    assert world.waits == [(299.961, "slower")]
    assert sum(world.clock.sleeps) == pytest.approx(299.961)
    assert max(world.clock.sleeps) <= 5.0


def test_the_connection_is_kept_where_it_is_still_good() -> None:
    world = World(raising("fetch", None, TOLD), waits=True)
    assert uids_of(world) == list(range(1, 11))
    assert world.connections == 1
    gone = World(raising("fetch", None, Throttled("bye", seconds=10.0, connected=False)), waits=True)
    assert uids_of(gone) == list(range(1, 11))
    assert gone.connections == 2
    for account in (world.account, gone.account):
        assert set(account.fetches.values()) == {1}


def test_without_a_told_time_waits_double_up_to_a_quarter_of_an_hour() -> None:
    world = World(raising("connect", *[Throttled("later")] * 8), waits=True)
    assert uids_of(world) == list(range(1, 11))
    assert [seconds for seconds, _reason in world.waits] == [30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]


def test_what_comes_makes_the_next_wait_short_again() -> None:
    world = World(raising("fetch", None, Throttled("1"), Throttled("2"), None, None, Throttled("3")), waits=True)
    assert uids_of(world) == list(range(1, 11))
    assert [seconds for seconds, _reason in world.waits] == [30.0, 60.0, 30.0]


def test_without_waiting_the_wish_is_the_end_after_what_came() -> None:
    world = World(raising("fetch", None, None, TOLD))
    mailbox = world.opened()
    arriving = mailbox.fetch(range(1, 11), io.BytesIO)
    assert [next(arriving).uid, next(arriving).uid] == [1, 2]
    with pytest.raises(Throttled, match="slower"):
        next(arriving)
    assert world.waits == []


def test_who_is_turned_away_tries_again_soon_before_it_takes_it_for_a_wish() -> None:
    world = World(raising("connect", *[TurnedAway("later")] * 4))
    assert uids_of(world) == list(range(1, 11))
    assert [seconds for seconds, _reason in world.waits] == [1.0, 2.0, 4.0, 8.0]
    impatient = World(raising("connect", *[TurnedAway("later")] * 9))
    with pytest.raises(TurnedAway):
        impatient.source()
    assert len(impatient.waits) == 4
    patient = World(raising("connect", *[TurnedAway("later")] * 6), waits=True)
    assert uids_of(patient) == list(range(1, 11))
    assert [seconds for seconds, _reason in patient.waits] == [1.0, 2.0, 4.0, 8.0, 30.0, 60.0]


class Alarm(StillClock):
    """Calls ``ring`` at the third sleep."""

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__()
        self.ring = ring

    def sleep(self, seconds: float, stop: threading.Event) -> bool:
        super().sleep(seconds, stop)
        if len(self.sleeps) == 3:
            self.ring()
        return stop.is_set()


@pytest.mark.parametrize("by", ["stop", "close"])
def test_waiting_ends_with_stop_and_with_close(by: str) -> None:
    world = World(raising("mailboxes", Throttled("later", seconds=86_400.0)), waits=True)
    world.clock = Alarm(lambda: world.stop.set() if by == "stop" else source.close())
    source = world.source()
    with pytest.raises(Throttled) as caught:
        source.mailboxes()
    assert len(world.clock.sleeps) == 3
    assert "--wait" not in caught.value.hint


def test_a_mailbox_at_which_the_server_asks_for_patience_is_not_given_up() -> None:
    world = World(raising("open", *[Throttled("later")] * 5), waits=True)
    assert uids_of(world) == list(range(1, 11))
    assert len(world.waits) == 5


def test_a_connection_too_many_leaves_if_others_are_at_work() -> None:
    world = World(raising("connect", None, TooManyConnections("full"), TooManyConnections("full")))
    first = world.source()
    with pytest.raises(TooManyConnections) as caught:
        world.source()
    assert caught.value.spare
    first.close()
    with pytest.raises(TooManyConnections) as caught:
        world.source()
    assert not caught.value.spare


def test_a_further_connection_does_not_wait_while_others_are_at_work() -> None:
    world = World(raising("connect", None, TOLD), waits=True)
    first = world.source()
    with pytest.raises(Throttled) as caught:
        world.source()
    assert (caught.value.spare, world.waits) == (True, [])
    first.close()


def test_the_only_connection_waits_until_there_is_room() -> None:
    world = World(raising("connect", TooManyConnections("full")), waits=True)
    assert uids_of(world) == list(range(1, 11))
    assert [seconds for seconds, _reason in world.waits] == [30.0]


def test_two_that_are_refused_at_once_do_not_both_leave() -> None:
    world = World(failing("mailboxes", 1, 2, error=TooManyConnections))
    first, second = world.source(), world.source()
    with pytest.raises(TooManyConnections) as caught:
        first.mailboxes()
    assert caught.value.spare
    with pytest.raises(TooManyConnections) as caught:
        second.mailboxes()
    assert not caught.value.spare


# -- refused messages --------------------------------------------------------------------------------------------------


def refusing(code: str, *uids: int) -> Trouble:
    """Refuse some messages with a response code, always."""

    def trouble(step: str, at: RemoteUid | None) -> None:
        if step == "fetch" and at in uids:
            raise FetchRefused(f"[{code}] Server error", code=code)

    return trouble


class LargeWorld(World):
    """The same with sixty messages."""

    def __init__(self, trouble: Trouble, *, waits: bool) -> None:
        super().__init__(trouble, waits=waits)
        for number in range(10, 60):
            self.account.append("INBOX", b"%d" % number)


def pulled(world: World) -> tuple[list[RemoteUid], list[RemoteUid], SourceError | None]:
    """Return which messages came, which were refused for good, and what ended it."""
    came: list[RemoteUid] = []
    refused: list[RemoteUid] = []
    mailbox = world.opened()
    try:
        for item in fetch_each(mailbox, mailbox.uids(), io.BytesIO):
            (refused if isinstance(item, NotFetched) else came).append(item.uid)
    except SourceError as error:
        return came, refused, error
    return came, refused, None


@pytest.mark.parametrize("code", ["UNAVAILABLE", "LIMIT", "INUSE"])
def test_single_messages_that_are_refused_for_ever_do_not_slow_anything_down(code: str) -> None:
    world = LargeWorld(refusing(code, 7, 8, 40), waits=True)
    came, refused, error = pulled(world)
    assert (refused, error, world.waits) == ([7, 8, 40], None, [])
    assert len(came) == 57


@pytest.mark.parametrize("code", ["UNAVAILABLE", "LIMIT", "INUSE"])
def test_when_everything_is_refused_with_such_a_code_it_is_throttling(code: str) -> None:
    world = LargeWorld(refusing(code, *range(1, 61)), waits=False)
    came, refused, error = pulled(world)
    assert (came, len(refused), type(error)) == ([], 19, Throttled)


def test_when_it_ends_after_a_while_all_the_rest_comes() -> None:
    refused = refusing("LIMIT", *range(1, 61))
    world = LargeWorld(lambda step, uid: refused(step, uid) if len(world.waits) < 3 else None, waits=True)
    came, failed, error = pulled(world)
    assert (len(came), len(failed), error) == (41, 19, None)
    assert set(world.account.fetches.values()) == {1}
    assert [seconds for seconds, _reason in world.waits] == [30.0, 60.0, 120.0]


def test_it_is_not_believed_for_ever() -> None:
    world = LargeWorld(refusing("UNAVAILABLE", *range(1, 61)), waits=True)
    _came, _refused, error = pulled(world)
    assert type(error) is RefusesEverything
    assert [seconds for seconds, _reason in world.waits] == [30.0, 60.0, 120.0, 240.0]


def test_another_code_is_no_throttling() -> None:
    _came, _refused, error = pulled(LargeWorld(refusing("SERVERBUG", *range(1, 61)), waits=False))
    assert type(error) is RefusesEverything


# -- over the wire -----------------------------------------------------------------------------------------------------

A = b"* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n"
B = b"* 2 FETCH (UID 2 BODY[] {1}\r\nb)\r\n"
OVER = b"%T NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)\r\n"


def coming(mailbox: ImapMailbox, *uids: int) -> tuple[list[RemoteUid], Throttled]:
    """Return what comes before the server asks for patience."""
    found: list[RemoteUid] = []
    with pytest.raises(Throttled) as caught:
        found.extend(message.uid for message in mailbox.fetch(uids, io.BytesIO))
    return found, caught.value


@pytest.mark.parametrize(
    ("answer", "seconds", "answered"),
    [
        (A + OVER, None, False),
        (A + b"%T NO Request is throttled. Suggested Backoff Time: 2500 milliseconds\r\n", 2.5, False),
        (A + b"%T BAD Request is throttled. Suggested Backoff Time: 2500 milliseconds\r\n", 2.5, False),
        (A + b"%T OK Success [THROTTLED]\r\n", None, True),
        (A + b"* OK [THROTTLED] slowly\r\n%T OK Success\r\n", None, True),
        (A + b"* NO Request is throttled. Suggested Backoff Time: 2500 milliseconds\r\n%T OK done\r\n", 2.5, True),
        (A + b"* BYE [OVERQUOTA] Account exceeded command or bandwidth limits.\r\n" + CUT, None, False),
    ],
)
def test_what_came_with_the_wish_is_kept(answer: bytes, seconds: float | None, answered: bool) -> None:
    with opened((rb"UID FETCH", answer)) as (mailbox, server):
        came, error = coming(mailbox, 1, 2)
    assert came == [1]
    assert (error.seconds, error.answered, error.connected) == (seconds, answered, b"BYE" not in answer)
    assert sum(command.startswith(b"UID FETCH") for command in server.commands) == 1


def test_what_was_on_the_way_is_kept_and_nothing_more_is_asked_for() -> None:
    """Some 12,000 octets of UIDs are two commands, 30,000 are five."""
    uids = range(1, 10_001, 2)
    search = b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, 10_001)) + b"\r\n%T OK\r\n"
    rules: tuple[Rule, ...] = (
        (rb"UID SEARCH", search),
        (rb"UID FETCH 1,", OVER),
        (rb"UID FETCH", b"* 2 FETCH (UID 4999 BODY[] {1}\r\nb)\r\n%T OK\r\n"),
    )
    with opened(*rules) as (mailbox, server):
        came, _error = coming(mailbox, *uids)
        mailbox.uids()
    asked = [command for command in server.commands if command.startswith(b"UID FETCH")]
    assert len(asked) == 2
    assert len(came) <= 1


def test_a_wish_that_comes_with_another_answer_is_heeded_after_the_next_messages() -> None:
    rules = ((rb"UID SEARCH", b"* SEARCH 1 2\r\n%T OK Success [THROTTLED]\r\n"), (rb"UID FETCH", A + B + b"%T OK\r\n"))
    with opened(*rules) as (mailbox, _server):
        assert mailbox.uids() == [1, 2]
        came, error = coming(mailbox, 1, 2)
        assert (came, error.answered) == ([1, 2], True)
        assert [message.uid for message in mailbox.fetch([1, 2], io.BytesIO)] == [1, 2]


def test_a_full_disk_at_the_server_is_no_wish() -> None:
    answer = A + b"* NO [OVERQUOTA] You are over your quota\r\n%T OK\r\n"
    with opened((rb"UID FETCH", answer)) as (mailbox, _server):
        assert [message.uid for message in mailbox.fetch([1], io.BytesIO)] == [1]


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ((rb"LIST", OVER), Throttled),
        ((rb"LIST", b"%T NO [UNAVAILABLE] not now\r\n"), TurnedAway),
        ((rb"LIST", b"* LIST () NIL INBOX\r\n%T NO Suggested Backoff Time: 1000 milliseconds\r\n"), Throttled),
        ((rb"STATUS", OVER), Throttled),
    ],
)
def test_a_listing_that_is_refused_for_now_is_throttling(rule: Rule, error: type[Throttled]) -> None:
    listed = (rb"LIST", b"* LIST () NIL INBOX\r\n* LIST () NIL Other\r\n%T OK\r\n")
    with scripted(rule, listed) as (source, _server), pytest.raises(Throttled) as caught:
        source.mailboxes()
    assert type(caught.value) is error


def test_after_a_listing_that_was_refused_the_connection_is_good() -> None:
    listed = (rb"LIST", b"* LIST () NIL INBOX\r\n* LIST () NIL Other\r\n%T OK\r\n")
    status = b"* STATUS INBOX (UIDVALIDITY 1)\r\n%T OK\r\n"
    with scripted((rb"STATUS", once(OVER, status)), listed) as (source, _server):
        with pytest.raises(Throttled):
            source.mailboxes()
        assert [str(mailbox.name) for mailbox in source.mailboxes()] == ["INBOX", "Other"]


def test_a_mailbox_that_is_unavailable_is_only_that() -> None:
    with (
        scripted((rb"EXAMINE", b"%T NO [UNAVAILABLE] broken\r\n")) as (source, _server),
        pytest.raises(MailboxUnavailable),
    ):
        source.open(INBOX)
    with scripted((rb"EXAMINE", OVER)) as (source, _server), pytest.raises(Throttled):
        source.open(INBOX)
