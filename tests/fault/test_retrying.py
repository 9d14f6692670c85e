import io
import threading
from collections.abc import Iterator

import pytest

from mailarchive.config import Endpoint, account_of
from mailarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    FetchRefused,
    MailboxUnavailable,
    PiecesUnsupported,
    ProtocolViolation,
    SourceError,
    SourceUnreachable,
    Stalled,
    TlsFailed,
)
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.model import Fetched, RemoteUid
from mailarchive.remote import memory
from mailarchive.sources.base import Source
from mailarchive.sources.registry import connect
from mailarchive.sources.retrying import RetryingSource
from tests.fault.troubled import World, at_uid, failing
from tests.servers.faulty import Bye, ByeAtCommand, Cut, GreetWithBye, Refuse
from tests.servers.still_clock import StillClock


@pytest.mark.parametrize("error", [ConnectionLost, Stalled, ProtocolViolation, SourceUnreachable])
@pytest.mark.parametrize(
    "step", ["connect", "mailboxes", "open", "uids", "facts", "flags", "flags_since", "headers", "fetch"]
)
def test_every_step_survives_a_lost_connection(step: str, error: type[SourceError]) -> None:
    world = World(failing(step, 1, error=error))
    mailbox = world.opened()
    uids = mailbox.uids()
    assert uids == list(range(1, 11))
    assert [facts.uid for facts in mailbox.facts(uids)] == uids
    assert [uid for uid, _flags in mailbox.flags(uids)] == uids
    assert [uid for uid, _flags in mailbox.flags_since(0)] == uids
    assert [uid for uid, _octets in mailbox.headers(uids)] == uids
    assert [message.uid for message in mailbox.fetch(uids, io.BytesIO)] == uids
    assert world.connections == 2
    assert world.waits == [(1.0, f"{step} failed")]


@pytest.mark.parametrize("step", ["facts", "flags", "flags_since", "headers", "fetch"])
def test_what_has_come_is_not_asked_again(step: str) -> None:
    world = World(failing(step, 4, 8))
    mailbox = world.opened()
    uids = mailbox.uids()
    found: dict[str, list[RemoteUid]] = {
        "facts": [facts.uid for facts in mailbox.facts(uids)],
        "flags": [uid for uid, _flags in mailbox.flags(uids)],
        "flags_since": [uid for uid, _flags in mailbox.flags_since(0)],
        "headers": [uid for uid, _octets in mailbox.headers(uids)],
        "fetch": [message.uid for message in mailbox.fetch(uids, io.BytesIO)],
    }
    assert found == dict.fromkeys(found, uids)
    assert set(world.account.fetches.values()) == {1}
    assert world.connections == 3


def test_waits_double_and_the_last_error_is_raised() -> None:
    world = World(failing("connect", *range(1, 100)))
    with pytest.raises(ConnectionLost, match="connect failed"):
        world.source()
    assert [seconds for seconds, _reason in world.waits] == [1.0, 2.0, 4.0, 8.0]
    assert world.connections == 5


def test_progress_makes_patience_new() -> None:
    world = World(failing("facts", *range(1, 40, 2)))
    mailbox = world.opened()
    assert len(list(mailbox.facts(mailbox.uids()))) == 10
    assert {seconds for seconds, _reason in world.waits} == {1.0}


@pytest.mark.parametrize("error", [AuthenticationFailed, TlsFailed])
def test_what_waiting_does_not_mend_is_raised_at_once(error: type[SourceError]) -> None:
    world = World(failing("connect", 1, error=error))
    with pytest.raises(error):
        world.source()
    assert world.connections == 1


def test_stop_ends_waiting_with_the_error_at_hand() -> None:
    world = World(failing("facts", 2))
    mailbox = world.opened()
    arriving = mailbox.facts([1, 2])
    next(arriving)
    world.stop.set()
    with pytest.raises(ConnectionLost, match="facts failed"):
        next(arriving)
    assert world.waits == []


def test_stop_during_the_wait_ends_it() -> None:
    world = World(failing("mailboxes", 1))
    source = RetryingSource(world.connect, clock=world.clock, stop=world.stop, on_wait=lambda _s, _r: world.stop.set())
    with pytest.raises(ConnectionLost):
        source.mailboxes()


def test_close_during_the_wait_ends_it() -> None:
    world = World(failing("mailboxes", 1))
    source = RetryingSource(world.connect, clock=world.clock, stop=world.stop, on_wait=lambda _s, _r: source.close())
    with pytest.raises(ConnectionLost):
        source.mailboxes()
    assert world.connections == 1


def test_a_mailbox_numbered_anew_meanwhile_is_unavailable() -> None:
    world = World(failing("facts", 2))
    mailbox = world.opened()
    arriving = mailbox.facts([1, 2])
    next(arriving)
    world.account.renew("INBOX")
    with pytest.raises(MailboxUnavailable, match="INBOX"):
        next(arriving)


def test_a_mailbox_that_vanished_meanwhile_is_unavailable() -> None:
    world = World(failing("uids", 1))
    mailbox = world.opened()
    world.account.delete("INBOX")
    with pytest.raises(MailboxUnavailable):
        mailbox.uids()


def test_a_mailbox_at_which_the_server_always_hangs_up_does_not_stop_the_others() -> None:
    world = World(failing("open", 1, 2, 3))
    source = world.source()
    [inbox] = source.mailboxes()
    with pytest.raises(MailboxUnavailable, match="INBOX"):
        source.open(inbox)
    assert source.open(inbox).uids() == list(range(1, 11))


def test_a_message_at_which_the_server_always_hangs_up_does_not_stop_the_others() -> None:
    world = World(at_uid(5))
    arriving = world.opened().fetch(range(1, 11), io.BytesIO)
    found: list[Fetched] = []
    with pytest.raises(FetchRefused, match="cut"):
        list(map(found.append, arriving))
    assert sorted(int(message.uid) for message in found) == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert set(world.account.fetches.values()) == {1}


def test_a_message_that_was_found_out_is_not_asked_again() -> None:
    world = World(at_uid(5))
    mailbox = world.opened()
    with pytest.raises(FetchRefused):
        list(mailbox.fetch([5], io.BytesIO))
    before = world.connections
    with pytest.raises(FetchRefused, match="cut"):
        list(mailbox.fetch([5], io.BytesIO))
    assert world.connections == before


def test_several_such_messages_are_all_gone_round() -> None:
    world = World(at_uid(1, 2, 6, 10))
    arriving = world.opened().fetch(range(1, 11), io.BytesIO)
    found: list[Fetched] = []
    with pytest.raises(FetchRefused):
        list(map(found.append, arriving))
    assert sorted(int(message.uid) for message in found) == [3, 4, 5, 7, 8, 9]


def test_when_no_message_at_all_can_be_had_the_connection_is_to_blame() -> None:
    world = World(at_uid(*range(1, 11)))
    with pytest.raises(ConnectionLost):
        list(world.opened().fetch(range(1, 11), io.BytesIO))


def test_a_message_the_server_does_not_send_is_not_waited_for() -> None:
    world = World()
    world.account.expunge("INBOX", 5)
    assert len(list(world.opened().fetch(range(1, 11), io.BytesIO))) == 9


def test_a_server_that_is_away_for_a_while_during_a_fetch_is_waited_for() -> None:
    cut, away = failing("fetch", 4), failing("connect", 2, 3, error=SourceUnreachable)

    def trouble(step: str, uid: RemoteUid | None) -> None:
        cut(step, uid)
        away(step, uid)

    world = World(trouble)
    assert len(list(world.opened().fetch(range(1, 11), io.BytesIO))) == 10
    assert [seconds for seconds, _reason in world.waits] == [1.0, 2.0, 4.0]
    assert set(world.account.fetches.values()) == {1}


def test_a_closed_source_does_not_connect_again() -> None:
    world = World()
    source = world.source()
    source.close()
    with pytest.raises(ConnectionLost):
        source.mailboxes()
    assert world.connections == 1


def lasting(server: LoopbackServer) -> Source:
    endpoint = Endpoint("imap", "user", server.host, server.port, "plain")
    return connect(endpoint, lambda: "secret", clock=StillClock(), stop=threading.Event())()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    account = LoopbackAccount()
    for number in range(30):
        account.append("INBOX", b"Subject: %d\r\n\r\n" % number + b"x" * 500)
    with LoopbackServer(account) as server:
        yield server


def test_a_server_that_cuts_says_bye_and_is_busy_is_read_to_the_end(server: LoopbackServer) -> None:
    server.faults += [
        GreetWithBye(times=2),
        ByeAtCommand(name="LIST"),
        ByeAtCommand(name="EXAMINE"),
        Cut(skip=5, times=2, after=100),
        Bye(skip=3, times=2),
    ]
    source = lasting(server)
    mailbox = source.open(source.mailboxes()[0])
    uids = mailbox.uids()
    assert [message.uid for message in mailbox.fetch(uids, io.BytesIO)] == uids == list(range(1, 31))
    source.close()


def test_a_server_that_refuses_one_message_says_so_once_the_others_before_it_are_here(server: LoopbackServer) -> None:
    server.faults.append(Refuse(uids={7}))
    source = lasting(server)
    arriving = source.open(source.mailboxes()[0]).fetch(range(1, 31), io.BytesIO)
    found: list[Fetched] = []
    with pytest.raises(FetchRefused, match="Server error") as caught:
        list(map(found.append, arriving))
    assert caught.value.code == "UNAVAILABLE"
    assert [message.uid for message in found] == [1, 2, 3, 4, 5, 6]
    source.close()


@pytest.mark.parametrize(
    ("user", "host", "port", "name"),
    [
        ("me", "mail.example", 993, "me@mail.example"),
        ("me", "mail.example", 143, "me@mail.example"),
        ("me@example.org", "mail.example", 1143, "me@example.org@mail.example:1143"),
        ("me", "::1", 993, "me@[::1]"),
        ("me", "::1", 1143, "me@[::1]:1143"),
    ],
)
def test_an_account_is_named_by_user_and_host(user: str, host: str, port: int, name: str) -> None:
    account = account_of(Endpoint("imap", user, host, port, "tls"))
    assert (account.name, account.protocol) == (name, "imap")


def in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Append a message of many pieces as number 11 and return it."""
    monkeypatch.setattr(memory, "PIECE", 100)
    octets = b"".join(b"%04d" % number for number in range(300))
    world.account.append("INBOX", octets)
    return octets


def test_pieces_go_on_behind_what_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(failing("pieces", 1, 3, 4, 8))
    octets = in_pieces(world, monkeypatch)
    pieces = list(world.opened().pieces(11, 0))
    assert b"".join(pieces) == octets
    assert len(pieces) == 12
    assert world.connections == 5


def test_a_message_that_changes_while_the_connection_is_lost_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(failing("pieces", 3))
    octets = in_pieces(world, monkeypatch)
    arriving = world.opened().pieces(11, 0)
    assert next(arriving) == octets[:100]
    world.account.find(world.account.listed()[0].name)[1].messages[11].octets = octets[1:]
    with pytest.raises(PiecesUnsupported):
        list(arriving)


@pytest.mark.parametrize("step", ["pieces", "halves"])
def test_a_message_whose_parts_always_end_the_connection_is_refused_and_the_next_is_not(step: str) -> None:
    def trouble(at: str, uid: RemoteUid | None) -> None:
        if at == step and uid == 1:
            raise ConnectionLost("cut")

    world = World(trouble)
    mailbox = world.opened()

    def ask(uid: int) -> bytes:
        if step == "pieces":
            return b"".join(mailbox.pieces(uid, 0))
        return b"".join(mailbox.halves(uid, io.BytesIO).body.chunks())

    with pytest.raises(FetchRefused, match="connection ends whenever"):
        ask(1)
    assert world.connections == 3
    assert ask(2) == b"1"


def test_a_message_that_is_known_to_end_the_connection_gets_one_chance_in_another_way() -> None:
    def trouble(at: str, uid: RemoteUid | None) -> None:
        if at in {"fetch", "pieces"} and uid == 1:
            raise ConnectionLost("cut")

    world = World(trouble)
    mailbox = world.opened()
    with pytest.raises(FetchRefused):
        list(mailbox.fetch([1], io.BytesIO))
    before = world.connections
    with pytest.raises(FetchRefused):
        list(mailbox.pieces(1, 0))
    assert world.connections == before + 1
    assert b"".join(mailbox.halves(1, io.BytesIO).body.chunks()) == b"0"


def test_a_server_that_ends_the_connection_at_every_message_is_given_up() -> None:
    def trouble(at: str, _uid: RemoteUid | None) -> None:
        if at in {"fetch", "pieces", "halves"}:
            raise ConnectionLost("cut")

    world = World(trouble)
    mailbox = world.opened()
    for uid in range(1, 6):
        with pytest.raises(FetchRefused):
            list(mailbox.pieces(uid, 0))
    with pytest.raises(ConnectionLost):
        list(mailbox.pieces(6, 0))
