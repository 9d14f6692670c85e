"""Any octets come through dots, pieces of any size, and the answers around them."""

import socket

from hypothesis import example, given
from hypothesis import strategies as st

from mailarchive.remote.pop3.incoming import Incoming
from mailarchive.remote.transport import Transport

_parts = st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"..", b"+OK", b"-ERR", b"\0", b"\xff", b"a"])
_texts = st.lists(_parts | st.binary(max_size=8), max_size=40).map(b"".join)
_cuts = st.lists(st.integers(1, 9), max_size=60)


class Fed(Transport):
    """A transport that gives ``octets`` in pieces of the given sizes, then all."""

    def __init__(self, octets: bytes, sizes: list[int]) -> None:
        ours, theirs = socket.socketpair()
        theirs.close()
        super().__init__(ours, "server")
        self.left = octets
        self.sizes = sizes

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = self.sizes.pop(0) if self.sizes else len(self.left)
        piece, self.left = self.left[:size], self.left[size:]
        buffer[: len(piece)] = piece
        return len(piece)


def sent(text: bytes, eol: bytes) -> bytes:
    """Return a text that ends with a line end as RFC 1939 section 3 wants it."""
    return (eol + text).replace(eol + b".", eol + b"..")[len(eol) :] + b"." + eol


def read(octets: bytes, sizes: list[int]) -> tuple[bytes, bytes, Incoming]:
    """Return text and the line after it."""
    transport = Fed(octets, sizes)
    try:
        incoming = Incoming(transport, "server", 1.0)
        assert incoming.line() == b"+OK"
        text = b"".join(incoming.text(alone=False))
        return text, incoming.line(), incoming
    finally:
        transport.close()


@given(text=_texts, sizes=_cuts, eol=st.sampled_from([b"\r\n", b"\n"]))
@example(b"\r\n.\r\n..\r\n", [1] * 40, b"\r\n")
@example(b".\n.\r\n", [4, 2, 1], b"\r\n")
def test_any_text_arrives_octet_for_octet(text: bytes, sizes: list[int], eol: bytes) -> None:
    if text and not text.endswith(eol):
        text += eol
    assert read(b"+OK" + eol + sent(text, eol) + b"+OK next" + eol, sizes)[:2] == (text, b"+OK next")


def read_each(octets: bytes, sizes: list[int], count: int, *, quick: bool) -> list[bytes]:
    """Return ``count`` texts, each behind an answer, and the line behind them; if ``quick`` whole ones at once."""
    transport = Fed(octets, sizes)
    try:
        incoming = Incoming(transport, "server", 1.0)
        found: list[bytes] = []
        while len(found) < count:
            if quick:
                incoming.wait()
                if come := incoming.whole_texts([None] * (count - len(found))):
                    found += come
                    continue
            assert incoming.line().upper().startswith(b"+OK")
            found.append(b"".join(incoming.text(alone=False)))
        return [*found, incoming.line()]
    finally:
        transport.close()


_answers = st.sampled_from([b"+OK", b"+OK 12 octets", b"+ok", b"+OK [X] a\rb", b"+OK  "])


@given(
    texts=st.lists(st.tuples(_answers, _texts), min_size=1, max_size=6),
    sizes=_cuts,
    eol=st.sampled_from([b"\r\n", b"\n"]),
)
@example([(b"+OK", b""), (b"+OK", b".\r\n"), (b"+OK", b"x.\r\n+OK\r\n.\r\n")], [70], b"\r\n")
def test_texts_taken_at_once_are_those_read_one_by_one_wherever_the_octets_are_cut(
    texts: list[tuple[bytes, bytes]], sizes: list[int], eol: bytes
) -> None:
    wanted = [text if text.endswith(eol) or not text else text + eol for _answer, text in texts]
    answers = [answer for answer, _text in texts]
    octets = b"".join(answer + eol + sent(text, eol) for answer, text in zip(answers, wanted, strict=True))
    octets += b"+OK next" + eol
    for cuts in (list(sizes), []):
        for quick in (True, False):
            assert read_each(octets, list(cuts), len(wanted), quick=quick) == [*wanted, b"+OK next"]


def test_a_text_that_may_be_two_is_taken_at_once_only_if_it_is_as_large_as_expected() -> None:
    text = b"x\r\nit said:.\r\n+OK\r\nmore\r\n"
    both = (b"+OK\r\n" + sent(text, b"\r\n")) * 2
    for size, found in ((len(text), [text, text]), (len(text) + 1, []), (None, [])):
        transport = Fed(both, [])
        incoming = Incoming(transport, "server", 1.0)
        incoming.wait()
        assert incoming.whole_texts([size, size]) == found
        transport.close()


_lines = st.lists(st.sampled_from([b"1 a", b"", b"..", b".x", b"x.", b". "]) | st.just(b"2 b\rc"), max_size=20)


@given(lines=_lines, sizes=_cuts, ends=st.lists(st.sampled_from([b"\r\n", b"\n", b"\r\r\n"]), min_size=22, max_size=22))
def test_a_listing_is_the_same_wherever_it_is_cut_and_however_its_lines_end(
    lines: list[bytes], sizes: list[int], ends: list[bytes]
) -> None:
    listed = [b"+OK", *lines, b"."]
    transport = Fed(b"".join(line + end for line, end in zip(listed, ends, strict=False)) + b"+OK next\r\n", sizes)
    incoming = Incoming(transport, "server", 1.0)
    assert incoming.line() == b"+OK"
    assert [line for come in incoming.listing() for line in come] == lines
    assert incoming.line() == b"+OK next"
    transport.close()


@given(text=_texts, sizes=_cuts)
def test_a_dot_that_was_not_doubled_stays(text: bytes, sizes: list[int]) -> None:
    text = b"a" + text.replace(b"..", b"x") + b"\r\n"
    while b"\r\n.\r\n" in text:
        text = text.replace(b"\r\n.\r\n", b"\r\n")
    assert read(b"+OK\r\n" + text + b".\r\n+OK\r\n", sizes)[0] == text


@given(text=_texts, sizes=_cuts)
def test_what_may_be_two_texts_is_doubtful(text: bytes, sizes: list[int]) -> None:
    text = b"a" + text.replace(b"+", b"").replace(b"-", b"") + b"b"
    assert not read(b"+OK\r\n" + sent(text + b"\r\n", b"\r\n") + b"+OK\r\n", list(sizes))[2].is_doubtful
    stuffed = sent(text + b"\r\n", b"\r\n").removesuffix(b"\r\n.\r\n")
    both = b"+OK\r\n" + stuffed + b".\r\n+OK\r\nother\r\n.\r\n+OK\r\n"
    assert read(both, sizes)[2].is_doubtful


@given(before=st.binary(max_size=30), sizes=_cuts, eol=st.sampled_from([b"\r\n", b"\n"]))
def test_two_dots_alone_on_a_line_are_no_doubt_wherever_the_octets_are_cut(
    before: bytes, sizes: list[int], eol: bytes
) -> None:
    before = before.replace(b"+", b"").replace(b"-", b"")
    quoted = before + eol + b"." + eol + b"+OK" + eol
    assert not read(b"+OK" + eol + sent(quoted, eol) + b"+OK" + eol, list(sizes))[2].is_doubtful
    ended = before + b"x." + eol + b"+OK" + eol
    assert read(b"+OK" + eol + sent(ended, eol) + b"+OK" + eol, sizes)[2].is_doubtful
