"""A message read in pieces is what the server has, or the server is seen to be unable to send pieces."""

import io
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailarchive.errors import ConnectionLost, FetchRefused, PiecesUnsupported
from mailarchive.remote.imap import pieces as module
from mailarchive.remote.receiving import LARGEST_IN_MEMORY
from tests.fault.imap_scripts import opened
from tests.servers.scripted_imap import CUT, Rule

PIECE, OVERLAP = 300, 20
WHOLE = b"".join(b"line %05d\r\n" % number for number in range(200))
OK = b"%T OK done\r\n"
Answer = Callable[[int, int], bytes]
"""What the server sends for the octets from the first number on, as many as the second."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", PIECE)
    monkeypatch.setattr(module, "OVERLAP", OVERLAP)


def asked(command: bytes) -> tuple[int, int]:
    """Return what a command asks for."""
    found = re.fullmatch(rb"UID FETCH 7 \(UID BODY\.PEEK\[\]<(\d+)\.(\d+)>\)", command)
    assert found, command
    return int(found[1]), int(found[2])


def part(start: int, octets: bytes) -> bytes:
    """Return a proper answer."""
    return b"* 1 FETCH (UID 7 BODY[]<%d> {%d}\r\n" % (start, len(octets)) + octets + b")\r\n"


def proper(start: int, length: int) -> bytes:
    return part(start, WHOLE[start : start + length]) + OK


def rule(answer: Answer) -> Rule:
    return rb"UID FETCH", lambda command: answer(*asked(command))


def reading(answer: Answer, offset: int = 0, before: bytes = b"") -> tuple[bytes, list[tuple[int, int]]]:
    """Return what arrives, and what was asked for."""
    with opened(rule(answer)) as (mailbox, server):
        found = b"".join(mailbox.pieces(7, offset, before))
        return found, [asked(command) for command in server.commands if command.startswith(b"UID FETCH")]


def test_pieces_overlap_and_are_asked_for_ahead() -> None:
    found, commands = reading(proper)
    assert found == WHOLE
    starts = [start for start, _length in commands]
    assert starts == list(range(0, len(WHOLE) + PIECE - OVERLAP, PIECE - OVERLAP))[: len(starts)]
    assert {length for _start, length in commands} == {PIECE}
    assert starts[-2] < len(WHOLE) <= starts[-1] + PIECE


def test_reading_goes_on_in_the_middle() -> None:
    offset = 1000
    found, commands = reading(proper, offset, WHOLE[:offset])
    assert found == WHOLE[offset:]
    assert commands[0] == (offset - OVERLAP, PIECE)


def test_at_the_end_one_command_says_that_there_is_no_more() -> None:
    found, commands = reading(proper, len(WHOLE), WHOLE[-OVERLAP:])
    assert (found, len(commands)) == (b"", 1)


def again(octets: bytes) -> bytes:
    """Return a message of ``octets`` with LF line ends."""
    return octets.replace(b"\r\n", b"\n")


LF = again(WHOLE)


def crlf_counted_as_lf(start: int, length: int) -> bytes:
    """Count offsets in LF line ends, and send CRLF."""
    return part(start, LF[start : start + length].replace(b"\n", b"\r\n")[:length]) + OK


MISBEHAVIOUR: dict[str, Answer] = {
    "the whole": lambda _start, _length: b"* 1 FETCH (UID 7 BODY[] {%d}\r\n" % len(WHOLE) + WHOLE + b")\r\n" + OK,
    "the whole, called a piece": lambda start, _length: part(start, WHOLE) + OK,
    "another origin": lambda start, length: part(start + 1, WHOLE[start : start + length]) + OK,
    "always from the beginning": lambda _start, length: part(0, WHOLE[:length]) + OK,
    "the beginning under any name": lambda start, length: part(start, WHOLE[:length]) + OK,
    "more than was asked for": lambda start, length: part(start, WHOLE[start : start + length + 1]) + OK,
    "short pieces": lambda start, length: part(start, WHOLE[start : start + length][: 290 if start else 300]) + OK,
    "offsets in other line ends": crlf_counted_as_lf,
    "offsets one too far": lambda start, length: part(start, WHOLE[start + bool(start) :][:length]) + OK,
    "rubbish at the seam": lambda start, length: part(start, bytes(length)[: len(WHOLE) - start]) + OK,
}


@pytest.mark.parametrize("name", [name for name in MISBEHAVIOUR if name != "rubbish at the seam"])
def test_a_server_that_gets_it_wrong_is_noticed_and_not_asked_again(name: str) -> None:
    with opened(rule(MISBEHAVIOUR[name])) as (mailbox, server):
        with pytest.raises(PiecesUnsupported):
            list(mailbox.pieces(7, 0))
        sent = len(server.commands)
        with pytest.raises(PiecesUnsupported):
            list(mailbox.pieces(7, 0))
        assert len(server.commands) == sent


@pytest.mark.parametrize("name", [name for name in MISBEHAVIOUR if name != "short pieces"])
def test_what_was_there_before_has_to_fit(name: str) -> None:
    with opened(rule(MISBEHAVIOUR[name])) as (mailbox, _server), pytest.raises(PiecesUnsupported):
        list(mailbox.pieces(7, 1000, WHOLE[900:1000]))


def test_after_a_wrong_answer_the_connection_is_of_use() -> None:
    whole = b"* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\n" + OK

    def answer(command: bytes) -> bytes:
        return whole if b"<" not in command else MISBEHAVIOUR["short pieces"](*asked(command))

    with opened((rb"UID FETCH", answer)) as (mailbox, _server):
        with pytest.raises(PiecesUnsupported):
            list(mailbox.pieces(7, 0))
        assert [b"".join(found.body.chunks()) for found in mailbox.fetch([7], io.BytesIO)] == [b"abc"]


@pytest.mark.parametrize("label", [b"BODY[]", b"BODY[]<0>"])
def test_a_whole_message_in_place_of_a_piece_is_not_held_in_memory(label: bytes) -> None:
    large = bytes(LARGEST_IN_MEMORY + 1)
    answer = b"* 1 FETCH (UID 7 " + label + b" {%d}\r\n" % len(large) + large + b")\r\n" + OK
    with opened((rb"UID FETCH", answer)) as (mailbox, server):
        with pytest.raises(PiecesUnsupported):
            list(mailbox.pieces(7, 0))
        assert len([command for command in server.commands if command.startswith(b"UID FETCH")]) == 1


def test_a_refusal_is_told_and_later_messages_are_asked_for() -> None:
    answers = iter([proper(0, PIECE), b"%T NO [LIMIT] not now\r\n", OK])
    with opened((rb"UID FETCH", lambda command: next(answers, None) or proper(*asked(command)))) as (mailbox, _server):
        arriving = mailbox.pieces(7, 0)
        assert next(arriving) == WHOLE[:PIECE]
        with pytest.raises(FetchRefused, match="not now") as caught:
            next(arriving)
        assert caught.value.code == "LIMIT"
        assert not isinstance(caught.value, PiecesUnsupported)
        assert b"".join(mailbox.pieces(7, 0)) == WHOLE


def test_no_answer_is_a_refusal() -> None:
    with opened((rb"UID FETCH", OK)) as (mailbox, _server), pytest.raises(FetchRefused, match="no octets"):
        list(mailbox.pieces(7, 0))


def test_nil_is_the_end_and_what_nobody_asked_for_is_no_matter() -> None:
    def answer(start: int, length: int) -> bytes:
        other = b"* 2 FETCH (UID 8 BODY[]<0> {2}\r\nxx)\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 5 EXISTS\r\n"
        if start >= len(WHOLE):
            return other + b"* 1 FETCH (UID 7 BODY[]<%d> NIL)\r\n" % start + OK
        return other + proper(start, length)

    assert reading(answer)[0] == WHOLE


def test_a_line_that_breaks_is_a_lost_connection() -> None:
    def answer(start: int, length: int) -> bytes:
        return proper(start, length) if not start else part(start, WHOLE[start : start + length])[:100] + CUT

    with opened(rule(answer)) as (mailbox, _server):
        arriving = mailbox.pieces(7, 0)
        assert next(arriving) == WHOLE[:PIECE]
        with pytest.raises(ConnectionLost):
            next(arriving)


def test_pieces_that_are_given_up_do_not_disturb_what_follows() -> None:
    with opened(rule(proper), (rb"UID SEARCH", b"* SEARCH 1 2 3\r\n" + OK)) as (mailbox, _server):
        arriving: Iterator[bytes] = mailbox.pieces(7, 0)
        next(arriving)
        next(arriving)
        assert mailbox.uids() == [1, 2, 3]
        assert b"".join(mailbox.pieces(7, 0)) == WHOLE


@settings(max_examples=30)
@given(st.binary(max_size=2000), st.integers(0, 2200), st.integers(0, 100))
def test_any_octets_from_anywhere_are_exact(whole: bytes, offset: int, before: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", PIECE)
        patch.setattr(module, "OVERLAP", OVERLAP)
        offset = min(offset, len(whole))

        def answer(start: int, length: int) -> bytes:
            return part(start, whole[start : start + length]) + OK

        assert reading(answer, offset, whole[max(0, offset - before) : offset])[0] == whole[offset:]


# -- halves ------------------------------------------------------------------------------------------------------------

HEADER, TEXT = b"BODY[HEADER] {8}\r\nA: b\r\n\r\n", b"BODY[TEXT] {3}\r\nabc"


def halved(answer: bytes) -> bytes:
    with opened((rb"UID FETCH 7 \(UID BODY\.PEEK\[HEADER\] BODY\.PEEK\[TEXT\]\)", answer)) as (mailbox, _server):
        body = mailbox.halves(7, io.BytesIO).body
        whole = b"".join(body.chunks())
        assert whole == b"".join(body.chunks())
        assert len(whole) == body.size
        body.close()
        return whole


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 7 " + HEADER + b" " + TEXT + b")\r\n",
        b"* 1 FETCH (" + TEXT + b" UID 7 FLAGS () " + HEADER + b")\r\n",
        b"* 1 FETCH (UID 7 " + HEADER + b")\r\n* 1 FETCH (UID 7 " + TEXT + b")\r\n* 9 EXISTS\r\n",
        b"* 2 FETCH (UID 8 " + HEADER + b" BODY[TEXT] NIL)\r\n* 1 FETCH (UID 7 " + HEADER + b" " + TEXT + b")\r\n",
    ],
)
def test_header_and_text_are_put_together(answer: bytes) -> None:
    assert halved(answer + OK) == b"A: b\r\n\r\nabc"


def test_a_large_text_is_spooled() -> None:
    large = b"0123456789abcdef" * (LARGEST_IN_MEMORY // 16 + 1)
    answer = b"* 1 FETCH (UID 7 " + HEADER + b" BODY[TEXT] {%d}\r\n" % len(large) + large + b")\r\n"
    assert halved(answer + OK) == b"A: b\r\n\r\n" + large


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"* 1 FETCH (UID 7 " + HEADER + b")\r\n" + OK,
        b"* 1 FETCH (UID 7 " + HEADER + b" BODY[TEXT] NIL)\r\n" + OK,
        b"* 1 FETCH (UID 7 BODY[HEADER] {6}\r\nA: b\r\n " + TEXT + b")\r\n" + OK,
        b"* 2 FETCH (UID 8 " + HEADER + b" " + TEXT + b")\r\n" + OK,
        b"* 1 FETCH (UID 7 " + HEADER + b" " + TEXT + b")\r\n%T NO not all of it\r\n",
    ],
)
def test_halves_that_make_no_whole_are_a_refusal(answer: bytes) -> None:
    with pytest.raises(FetchRefused):
        halved(answer)


def test_the_spool_of_halves_that_make_no_whole_is_closed() -> None:
    spools: list[io.BytesIO] = []

    def spool() -> io.BytesIO:
        spools.append(io.BytesIO())
        return spools[-1]

    large = bytes(LARGEST_IN_MEMORY + 1)
    answer = b"* 1 FETCH (UID 7 BODY[TEXT] {%d}\r\n" % len(large) + large + b")\r\n" + OK
    with opened((rb"UID FETCH", answer)) as (mailbox, _server), pytest.raises(FetchRefused):
        mailbox.halves(7, spool)
    assert [one.closed for one in spools] == [True]
