"""A mended copy has no flaw that can be mended, and mending it again changes nothing."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from mailarchive.mail import headers
from mailarchive.mail.digest import header_section
from mailarchive.mail.mending import Flaw, flaws, mend
from tests.property.mail_strategies import mail_octets

LONGEST = 78

_odd = st.lists(
    st.sampled_from([b"A: ", b"To: ", b'"', b"\\", b"<", b"\xe4", "\u20ac".encode(), b"=?utf-8?q?a?=", b"x" * 70])
    | st.sampled_from([b" ", b"\t", b" " * 80, b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b";a=", b"Content-Type: "]),
    max_size=30,
).map(b"".join)
messages = st.one_of(mail_octets, _odd)
named = st.sets(st.sampled_from(Flaw))
texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"], include_characters=" "), min_size=1)


def long_by_lines(octets: bytes) -> bool:
    return any(len(line) > LONGEST for line in octets.replace(b"\r\n", b"\n").split(b"\n"))


@given(messages)
def test_flaws_are_what_they_say(octets: bytes) -> None:
    found = flaws(octets, LONGEST)
    assert (Flaw.LONG_LINE in found) == long_by_lines(octets)
    assert (Flaw.BARE_NEWLINE in found) == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", octets))


@given(messages, named)
def test_mending_twice_is_mending_once(octets: bytes, which: set[Flaw]) -> None:
    copy = mend(octets, which, LONGEST)
    assert mend(copy, which, LONGEST) == copy


@given(messages)
@example(b"\xe4\r\n\r\n")
def test_what_stays_is_in_the_header(octets: bytes) -> None:
    copy = mend(octets, flaws(octets, LONGEST), LONGEST)
    assert flaws(copy, LONGEST) <= {Flaw.LONG_LINE, Flaw.EIGHT_BIT_HEADER}
    assert not long_by_lines(copy[len(header_section(copy)) :])


@given(messages)
def test_what_has_no_flaw_is_not_changed(octets: bytes) -> None:
    if not flaws(octets, LONGEST):
        assert mend(octets, set(Flaw), LONGEST) == octets


@given(messages, named)
def test_the_body_stays_the_body(octets: bytes, which: set[Flaw]) -> None:
    which -= {Flaw.BARE_NEWLINE, Flaw.NO_FINAL_CRLF, Flaw.NUL}
    copy = mend(octets, which, LONGEST)
    body, now = (text[len(header_section(text)) :] for text in (octets, copy))
    assert re.sub(rb"[\r\n]", b"", body) == re.sub(rb"[\r\n]", b"", now)


@given(texts)
def test_a_subject_reads_the_same(text: str) -> None:
    text = " ".join(text.split())
    octets = b"Subject: %b\r\n\r\n" % text.encode()
    copy = mend(octets, {Flaw.EIGHT_BIT_HEADER})
    assert copy.isascii()
    assert headers.fields(copy, {"subject"}) == headers.fields(octets, {"subject"})


@given(st.binary(min_size=1, max_size=300))
def test_lines_with_encoded_words_are_short(octets: bytes) -> None:
    value = re.sub(rb"[\x00-\x20]", b"", octets)
    copy = mend(b"Subject: \xff%b\r\n\r\n" % value, {Flaw.EIGHT_BIT_HEADER})
    assert max(map(len, copy.split(b"\r\n"))) <= 76
    assert all(len(word) <= 75 for word in re.findall(rb"=\?\S+\?=", copy))
