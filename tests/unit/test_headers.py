"""Header fields are shown whatever a sender wrote."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.mail import headers


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"plain", "plain"),
        (b"folded\r\n\tand  spaced ", "folded and spaced"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?w7w=?=", "Grüßeü"),
        (b"=?iso-8859-1?q?Gr=FC=DFe?= <a@b>", "Grüße <a@b>"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
        ("Grüße =?utf-8?q?x?= é".encode(), "Grüße x é"),
        ("Grüße =?utf-8?q?x?= é".encode("latin-1"), "Grüße x é"),
        (b"=?no-such-charset?q?Gr=C3=BC?=", "Grü"),
        (b"=?utf-8?b?a?= broken", "=?utf-8?b?a?= broken"),
        (b"=?utf-8?q?=FF?=", "ÿ"),
        (b"=?\0?q?a?=", "a"),
        (b"", ""),
    ],
)
def test_a_value_is_decoded_as_far_as_it_can_be(value: bytes, shown: str) -> None:
    assert headers.decode(value) == shown


def test_the_first_field_of_each_name_before_the_empty_line_counts() -> None:
    octets = b"subject : one\r\n\ttwo\r\nSubject: three\nFrom: me\r\n\r\nTo: body\r\n"
    assert headers.fields(octets, ("subject", "from", "to")) == {"subject": "one two", "from": "me"}


@pytest.mark.parametrize("octets", [b"", b"\r\nSubject: body", b"\nSubject: body", b"no field at all\r\n\r\n"])
def test_a_message_without_fields_has_none(octets: bytes) -> None:
    assert headers.fields(octets, ("subject",)) == {}


def test_a_header_that_never_ends_is_read_in_little_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(headers.fields(b"Subject: " + b"a" * 10_000_000, ("subject",))["subject"]) == 10_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


_WORDS = st.sampled_from([b"=?", b"?=", b"?q?", b"?B?", b"utf-8", b"idna", b"=C3", b"=", b"\xff", b" ", b"\n ", b"YQ"])


@given(st.lists(_WORDS | st.binary(max_size=4), max_size=12).map(b"".join))
def test_any_value_gives_text_that_can_be_encoded(value: bytes) -> None:
    headers.decode(value).encode("utf-8")
    for shown in headers.fields(b"Subject:" + value + b"\n\n", ("subject",)).values():
        shown.encode("utf-8")
