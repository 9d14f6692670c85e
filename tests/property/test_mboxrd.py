"""An entry of mbox text gives the exact octets back, whatever they are and however they are cut."""

import re
from datetime import datetime

from hypothesis import example, given
from hypothesis import strategies as st

from mailarchive.mail import eol as line_ends
from mailarchive.mail import mboxrd
from mailarchive.mail.eol import EolScanner, lf_text
from tests.property.mail_strategies import cut, cuts, dates, form_of, mail_octets

_FROM = re.compile(rb"^From ", re.MULTILINE)


@given(mail_octets, dates)
@example(b"", None)
@example(b"\n", None)
@example(b"From ", None)
@example(b">>>>", None)
@example(b"a\rFrom b\r", None)
def test_an_entry_gives_the_exact_octets_back(octets: bytes, date: datetime | None) -> None:
    eol, final = form_of(octets)
    assert mboxrd.decode(mboxrd.encode(lf_text(octets)[0], final=final, date=date), eol, final=final) == octets


@given(mail_octets, dates)
def test_an_entry_has_one_from_line_and_ends_with_an_empty_line(octets: bytes, date: datetime | None) -> None:
    _eol, final = form_of(octets)
    entry = mboxrd.encode(lf_text(octets)[0], final=final, date=date)
    assert [match.start() for match in _FROM.finditer(entry)] == [0]
    assert entry.endswith(b"\n\n")


@given(mail_octets, cuts, dates)
@example(b"\n>From x", [2, 3, 4, 5, 6, 7], None)
@example(b">" * 50 + b"From x", list(range(56)), None)
@example(b"a\r\nFrom x\r\n", list(range(11)), None)
def test_a_stream_cut_anywhere_gives_the_same_entry(octets: bytes, places: list[int], date: datetime | None) -> None:
    eol, final = form_of(octets)
    whole = mboxrd.encode(lf_text(octets)[0], final=final, date=date)
    assert b"".join(mboxrd.encode_stream(cut(octets, places), eol, final=final, date=date)) == whole


@given(mail_octets, cuts, dates)
@example(b"\n>From x", list(range(60)), None)
@example(b"", list(range(50)), None)
def test_an_entry_cut_anywhere_gives_the_same_octets(octets: bytes, places: list[int], date: datetime | None) -> None:
    eol, final = form_of(octets)
    entry = mboxrd.encode(lf_text(octets)[0], final=final, date=date)
    assert b"".join(mboxrd.decode_stream(cut(entry, places), eol, final=final)) == octets


@given(mail_octets)
def test_unquote_undoes_quote(octets: bytes) -> None:
    assert mboxrd.unquote(mboxrd.quote(octets)) == octets


@given(mail_octets, cuts)
def test_line_ends_are_told_the_same_however_a_message_is_cut(octets: bytes, places: list[int]) -> None:
    scanner = EolScanner()
    for piece in cut(octets, places):
        scanner.feed(piece)
    assert (scanner.eol, scanner.final) == form_of(octets)


@given(mail_octets, cuts)
def test_to_lf_in_pieces_is_to_lf_in_one(octets: bytes, places: list[int]) -> None:
    assert b"".join(line_ends.to_lf(cut(octets, places))) == octets.replace(b"\r\n", b"\n")


@given(mail_octets)
def test_crlf_comes_back_from_lf(octets: bytes) -> None:
    if form_of(octets)[0] == "crlf":
        assert line_ends.to_crlf(b"".join(line_ends.to_lf([octets]))) == octets


@given(mail_octets)
def test_line_ends_are_the_same_whole_and_in_pieces(octets: bytes) -> None:
    text, eol = lf_text(octets)
    assert eol == form_of(octets)[0]
    assert text == (b"".join(line_ends.to_lf([octets])) if eol == "crlf" else octets)


@given(st.integers(1, 3), st.sampled_from([1 << 16, (1 << 16) + 1, 70_001]))
def test_long_lines_of_quote_marks_are_streamed(marks: int, size: int) -> None:
    octets = b"\n" + b">" * (200_000 * marks) + b"From x\r" + b"y" * 300_000
    pieces = [octets[start : start + size] for start in range(0, len(octets), size)]
    entry = mboxrd.encode(octets, final=False, date=None)
    assert b"".join(mboxrd.encode_stream(pieces, "mixed", final=False, date=None)) == entry
    pieces = [entry[start : start + size] for start in range(0, len(entry), size)]
    assert b"".join(mboxrd.decode_stream(pieces, "mixed", final=False)) == octets
