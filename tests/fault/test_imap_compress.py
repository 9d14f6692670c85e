"""COMPRESS=DEFLATE (RFC 4978): asked for where it is wanted, proven at once, and never twice where it does not work."""

import io
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailarchive.clock import Stop
from mailarchive.config import Compress, Endpoint, account_of
from mailarchive.errors import ConnectionLost, ProtocolViolation, Stalled
from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.options import PullAccount, PullOptions
from mailarchive.ops.pull import pull
from mailarchive.remote.compression import Compression
from mailarchive.remote.imap import Timeouts
from mailarchive.remote.imap import mailbox as imap
from mailarchive.remote.transport import Transport
from mailarchive.sources.imap import ImapSource
from mailarchive.sources.registry import connect
from tests.fault.archives import held
from tests.fault.imap_scripts import EXAMINE, INBOX
from tests.servers.certificates import make_certificate
from tests.servers.faulty import Cut, Stall, faulty
from tests.servers.scripted_imap import CUT, STALL, Rule, ScriptedServer
from tests.servers.still_clock import StillClock

COMMAND = "COMPRESS DEFLATE"
ASKED = COMMAND.encode()
OFFER = b"IMAP4rev1 COMPRESS=DEFLATE"
OK = b"%T OK done\r\n"


class TickingClock(StillClock):
    """Lets a second pass between any two looks at it."""

    def monotonic(self) -> float:
        self.sleeps.append(1.0)
        return super().monotonic()


def deflated(octets: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(octets) + deflater.flush(zlib.Z_SYNC_FLUSH)


def scripted_source(server: ScriptedServer, compression: Compression, stall: float = 5.0) -> ImapSource:
    endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "plain")
    return ImapSource(account_of(endpoint), endpoint, "secret", Timeouts(5.0, stall), compression)


def test_octets_right_behind_the_ok_are_compressed_already() -> None:
    answers = b"* 7 EXISTS\r\nA3 OK nothing\r\n"
    with ScriptedServer([(b"COMPRESS", b"%T OK active\r\n" + deflated(answers) + STALL)], OFFER) as server:
        source = scripted_source(server, Compression("always"))
        assert source._session.messages == 7
        source.close()


@pytest.mark.parametrize("refusal", [b"NO [COMPRESSIONACTIVE] TLS does it", b"BAD what?", b"NO [LIMIT] not now"])
def test_a_refusal_is_accepted_once_for_all_connections(refusal: bytes) -> None:
    told: list[str] = []
    compression = Compression("always", tell=told.append)
    with ScriptedServer([(b"COMPRESS", b"%T " + refusal + b"\r\n"), EXAMINE], OFFER) as server:
        for _ in range(2):
            source = scripted_source(server, compression)
            assert source.open(INBOX).cursor.messages == 3
            source.close()
        assert server.commands.count(ASKED) == 1
    assert len(told) == 1


@pytest.mark.parametrize(("wish", "capabilities"), [("never", OFFER), ("always", b"IMAP4rev1"), ("auto", OFFER)])
def test_it_is_not_asked_for_unwanted_or_where_it_is_not_offered(wish: Compress, capabilities: bytes) -> None:
    with ScriptedServer([EXAMINE], capabilities) as server:
        source = scripted_source(server, Compression(wish))
        source.open(INBOX)
        source.close()
        assert ASKED not in server.commands


PLAIN_LINES = b"* 3 EXISTS\r\nA3 OK nothing\r\n"


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (b"%T OK active\r\n" + PLAIN_LINES, ProtocolViolation),
        (b"%T OK active\r\n" + deflated(b"rubbish\r\n"), ProtocolViolation),
        (b"%T OK active\r\n" + CUT, ConnectionLost),
        (b"%T OK active\r\n" + deflated(b"A3 OK nothing\r\n")[:5] + CUT, ConnectionLost),
        (b"%T OK active\r\n", Stalled),
    ],
)
def test_a_server_that_cannot_do_what_it_offers_is_not_asked_again(after: bytes, error: type[Exception]) -> None:
    told: list[str] = []
    compression = Compression("always", tell=told.append)
    with ScriptedServer([(b"COMPRESS", after), EXAMINE], OFFER) as server:
        with pytest.raises(error):
            scripted_source(server, compression, stall=0.3)
        source = scripted_source(server, compression)
        assert source.open(INBOX).cursor.messages == 3
        source.close()
        assert server.commands.count(ASKED) == 1
    assert told == ["compressing the connection did not work, and is not tried again"]


def test_a_connection_that_is_made_again_is_plain_when_compressing_it_broke_it() -> None:
    rules: list[Rule] = [(b"COMPRESS", b"%T OK active\r\n" + PLAIN_LINES), (b"LIST", b'* LIST () "/" INBOX\r\n' + OK)]
    with ScriptedServer([*rules, (b"STATUS", OK)], OFFER) as server:
        endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "plain", compress="always")
        source = connect(endpoint, lambda: "secret", clock=StillClock(), stop=Stop())()
        assert [str(box.name) for box in source.mailboxes()] == ["INBOX"]
        source.close()
        assert (server.connections, server.commands.count(ASKED)) == (2, 1)


# -- the loopback server compresses for real -------------------------------------------------------------------------


def large_account(count: int = 64) -> LoopbackAccount:
    account = LoopbackAccount(capabilities=CAPABILITIES | {"COMPRESS=DEFLATE"})
    for number in range(count):
        account.append("INBOX", b"Subject: %d\r\n\r\n" % number + b"a line of mail\r\n" * 4096)
    return account


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(large_account()) as server:
        yield server


def loopback_source(server: LoopbackServer, compression: Compression, stall: float = 5.0) -> ImapSource:
    endpoint = Endpoint("imap", "user", server.host, server.port, "plain")
    return ImapSource(account_of(endpoint), endpoint, "secret", Timeouts(5.0, stall), compression)


def fetch_all(source: ImapSource) -> list[bytes]:
    (listed,) = source.mailboxes()
    opened = source.open(listed)
    return [b"".join(message.body.chunks()) for message in opened.fetch(opened.uids(), io.BytesIO)]


def expected(server: LoopbackServer) -> list[bytes]:
    return [message.octets for message in server.account.messages("INBOX")]


def test_the_same_messages_come_in_fewer_octets(server: LoopbackServer) -> None:
    told: list[str] = []
    source = loopback_source(server, Compression("always", tell=told.append))
    assert fetch_all(source) == expected(server)
    source.close()
    assert told == ["connections are compressed from now on"]
    assert server.counts.commands.count(COMMAND) == 1
    assert server.counts.octets_sent < sum(map(len, expected(server))) / 10


def test_what_comes_fast_is_not_compressed(server: LoopbackServer) -> None:
    source = loopback_source(server, Compression("auto", StillClock()))
    for _ in range(3):
        assert fetch_all(source) == expected(server)
    source.close()
    assert COMMAND not in server.counts.commands


def test_what_comes_slowly_is_compressed_before_the_next_fetch_and_later_connections_at_once(
    server: LoopbackServer,
) -> None:
    compression = Compression("auto", TickingClock())
    other = loopback_source(server, compression)
    source = loopback_source(server, compression)
    assert fetch_all(source) == expected(server)
    assert COMMAND not in server.counts.commands
    plain = server.counts.octets_sent
    assert fetch_all(source) == expected(server)
    assert server.counts.commands.count(COMMAND) == 1
    assert server.counts.octets_sent - plain < plain / 10
    assert fetch_all(other) == expected(server)
    assert server.counts.commands.count(COMMAND) == 2
    server.counts.clear()
    later = loopback_source(server, compression)
    assert server.counts.commands[-2:] == [COMMAND, "NOOP"]
    assert fetch_all(later) == expected(server)
    for one in (source, other, later):
        one.close()


def test_a_slow_connection_comes_to_rest_between_two_commands_of_one_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imap, "_BODIES_PER_FETCH", 64)
    with LoopbackServer(large_account(256)) as server:
        source = loopback_source(server, Compression("auto", TickingClock()))
        assert fetch_all(source) == expected(server)
        source.close()
    asked = [command for command in server.counts.commands if "BODY" in command or command == COMMAND]
    assert (len(asked), asked.count(COMMAND), asked.index(COMMAND)) == (5, 1, 2)


def test_a_compressed_connection_that_brought_much_before_it_was_lost_is_made_again_compressed(
    server: LoopbackServer, tmp_path: Path
) -> None:
    endpoint = Endpoint("imap", "user", server.host, server.port, "plain", compress="always")
    clock, stop = StillClock(), Stop()
    factory = connect(endpoint, lambda: "secret", clock=clock, stop=stop)
    account = PullAccount(account_of(endpoint), factory)
    with faulty(server, Cut(uids=[60])):
        report = pull(tmp_path, [account], PullOptions(connections=1), observer=print, clock=clock, stop=stop)
    assert report.exit_code == 0
    assert sorted(held(tmp_path).values()) == sorted(expected(server))
    assert server.counts.commands.count(COMMAND) == server.counts.connections == 2


def test_compression_works_over_tls(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with LoopbackServer(large_account(5), ssl_context=certificate.server_context()) as server:
        endpoint = Endpoint("imap", "user", "localhost", server.port, "tls", certificate.ca, compress="always")
        source = ImapSource(account_of(endpoint), endpoint, "secret")
        assert fetch_all(source) == expected(server)
        source.close()
        assert server.counts.commands.count(COMMAND) == 1


def test_a_compressed_connection_that_stalls_is_stalled(server: LoopbackServer) -> None:
    source = loopback_source(server, Compression("always"), stall=0.3)
    with faulty(server, Stall(uids=[40])), pytest.raises(Stalled):
        fetch_all(source)
    source.close()


def test_closing_a_compressed_connection_wakes_who_reads_it_and_says_nothing_against_the_server(
    server: LoopbackServer,
) -> None:
    compression, reading = Compression("always"), threading.Event()
    source = loopback_source(server, compression)

    class Waits(Stall):
        def due(self) -> bool:
            reading.set()
            return super().due()

    errors: list[BaseException] = []

    def read() -> None:
        try:
            fetch_all(source)
        except ConnectionLost as error:
            errors.append(error)

    with faulty(server, Waits(uids=[1])):
        thread = threading.Thread(target=read)
        thread.start()
        assert reading.wait(10)
        source.close()
        thread.join(10)
    assert len(errors) == 1
    assert compression.pays


@contextmanager
def compressed_pair(stall: float | None = None) -> Iterator[tuple[Transport, socket.socket]]:
    """Yield a compressed transport and the socket at its other end."""
    near, far = socket.socketpair()
    near.settimeout(stall)
    with near, far:
        transport = Transport(near, "server")
        above = io.BufferedReader(transport)
        transport.compress(above, lambda: None)
        yield transport, far
        above.close()


def test_reading_within_a_time_works_compressed_too() -> None:
    buffer = bytearray(100)
    with compressed_pair(5.0) as (transport, far):
        assert transport.readinto_within(buffer, 0.01) is None
        whole = deflated(b"abc")
        far.sendall(whole[:1])
        assert transport.readinto_within(buffer, 0.01) is None
        far.sendall(whole[1:])
        assert transport.readinto_within(buffer, 5.0) == 3
        assert buffer[:3] == b"abc"


def test_reading_a_compressed_stream_never_returns_nothing_before_its_end() -> None:
    with compressed_pair(5.0) as (transport, far):
        far.sendall(deflated(b"") * 3 + deflated(b"abc"))
        far.shutdown(socket.SHUT_WR)
        assert transport.read(100) == b"abc"
        assert transport.read(100) == b""


def test_after_damage_the_connection_is_cut() -> None:
    with compressed_pair(5.0) as (transport, far):
        far.sendall(b"\xff" * 10)
        with pytest.raises(ProtocolViolation):
            transport.read(100)
        with pytest.raises(ConnectionLost):
            transport.send(b"A1 NOOP\r\n")
