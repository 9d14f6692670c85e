import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.errors import ConnectionLost, FetchRefused, ProtocolViolation, SourceError
from mailarchive.model import Fetched
from mailarchive.remote.imap import wire as wires
from mailarchive.remote.imap.fetch import bodies
from mailarchive.remote.imap.wire import Literal, Wire, astring


@contextmanager
def fed(octets: bytes, early: bytes = b"") -> Iterator[Wire]:
    """Yield a wire on which ``octets`` arrive and then the end."""
    near, far = socket.socketpair()
    with near, far:
        far.sendall(octets)
        far.shutdown(socket.SHUT_WR)
        wire = Wire(near, "server", early)
        try:
            yield wire
        finally:
            wire.abandon()


def arriving(wire: Wire) -> list[Fetched]:
    """Return what comes for one FETCH of three messages before the end or a fault."""
    found: list[Fetched] = []
    with suppress(ConnectionLost, ProtocolViolation, FetchRefused):
        found.extend(bodies(wire, [b"1:3"], {1, 2, 3}, io.BytesIO))
    return found


ANSWER = (
    b"* 1 FETCH (UID 1 BODY[] {5}\r\nab\r\nc)\r\n* 4 EXISTS\r\n* 2 FETCH (BODY[] {4}\r\nA1 O FLAGS (\\Seen) UID 2)\r\n"
    b'* 3 FETCH (UID 3 BODY[] "xyz")\r\nA1 OK done\r\n'
)
MESSAGES = {1: b"ab\r\nc", 2: b"A1 O", 3: b"xyz"}


def test_a_stream_cut_at_any_octet_gives_whole_messages_only() -> None:
    for end in range(len(ANSWER)):
        with fed(ANSWER[:end]) as wire:
            found = {message.uid: b"".join(message.body.chunks()) for message in arriving(wire)}
            assert found.items() <= MESSAGES.items()
            with pytest.raises(ConnectionLost):
                wire.run(b"NOOP")


def test_octets_that_were_read_before_come_first() -> None:
    for end in range(0, len(ANSWER), 7):
        with fed(ANSWER[end:], ANSWER[:end]) as wire:
            assert {m.uid: b"".join(m.body.chunks()) for m in bodies(wire, [b"1"], {1, 2, 3}, io.BytesIO)} == MESSAGES


pieces = st.sampled_from(
    b'* |1 FETCH (|UID 1 |BODY[] |{3}\r\n|{99}\r\n|~{1}\r\n|"|(|)|\r\n|A1 OK\r\n|abc|+ \r\n|* BYE\r\n|NIL '
    b"|* 9 EXISTS\r\n|A1 NO [X\r\n|\\|FLAGS (|{9999999999999999999}\r\n".split(b"|")
)


@given(st.lists(pieces | st.binary(max_size=8), max_size=40).map(b"".join))
def test_any_octets_end_in_messages_or_a_fault_of_the_connection(octets: bytes) -> None:
    with fed(octets) as wire:
        arriving(wire)


def test_a_line_without_an_end_is_a_protocol_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "LONGEST_LINE", 1000)
    with fed(b"* SEARCH " + b"1 " * 10_000) as wire, pytest.raises(ProtocolViolation):
        wire.run(b"UID SEARCH ALL")


def test_literals_without_end_are_a_protocol_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "LONGEST_LINE", 1000)
    with fed(b"* LIST () NIL " + b"{3}\r\nabc " * 10_000) as wire, pytest.raises(ProtocolViolation):
        wire.run(b"LIST")


def test_after_a_fault_nothing_more_is_sent() -> None:
    with fed(b"rubbish\r\n") as wire:
        with pytest.raises(ProtocolViolation):
            wire.run(b"NOOP")
        with pytest.raises(ConnectionLost):
            wire.run(b"NOOP")


def test_a_command_that_is_refused_in_place_of_a_go_ahead_ends_there() -> None:
    with fed(b"A1 NO no such mailbox\r\nA2 OK\r\n") as wire:
        status, _answers = wire.run(b"EXAMINE ", Literal(b"\xff"))
        assert (status.kind, status.words) == (b"NO", "no such mailbox")
        assert wire.run(b"NOOP")[0].ok


def test_closing_twice_is_harmless() -> None:
    with fed(b"") as wire:
        wire.close()
        wire.close()
        with pytest.raises(SourceError):
            wire.run(b"NOOP")


@pytest.mark.parametrize("octets", [b"", b"a b", b'say "hi"', b"back\\slash"])
def test_printable_strings_are_quoted(octets: bytes) -> None:
    assert not isinstance(astring(octets), Literal)


@pytest.mark.parametrize("octets", [b"\r\n", b"caf\xc3\xa9", b"\t", b"\0"])
def test_other_strings_are_literals(octets: bytes) -> None:
    assert astring(octets) == Literal(octets)
    assert isinstance(astring(octets), Literal)
