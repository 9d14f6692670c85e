import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.mail import client_marks
from mailarchive.mail.client_marks import Marks

WORDS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='\\"'), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (b"Status: RO\nX-Status: AF\n", {"\\Seen", "\\Answered", "\\Flagged"}),
        (b"Status: O\n", set()),
        (
            b"X-Mozilla-Status: 1005\nX-Mozilla-Keys: $label1 work   \n",
            {"\\Seen", "\\Flagged", "$Forwarded", "$label1", "work"},
        ),
        (b"X-Mozilla-Status: zz\nX-Keywords: a  b\r\n", {"a", "b"}),
    ],
)
def test_flags_are_read_from_the_fields_of_mail_programs(header: bytes, flags: set[str]) -> None:
    assert client_marks.read(b"Subject: x\n" + header + b"\n").flags == flags


def test_labels_of_a_takeout_are_read() -> None:
    header = b'X-GM-THRID: 1700\r\nX-Gmail-Labels: Inbox,"a, b",\r\n =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=,Inbox\r\n\r\n'
    marks = client_marks.read(header)
    assert marks.labels == ("Inbox", "a, b", "Grüße")
    assert (marks.thread_id, marks.is_told) == ("1700", False)


def test_what_a_message_does_not_say_is_empty() -> None:
    assert client_marks.read(b"Subject: Status: R\n\n") == Marks()


@given(st.sets(WORDS.filter(str.isascii), max_size=4), st.lists(WORDS, max_size=5, unique=True))
def test_what_is_written_is_read(keywords: set[str], labels: list[str]) -> None:
    flags = {"\\Seen", "\\Flagged", *keywords}
    marks = client_marks.read(client_marks.lines(flags, labels))
    assert {flag.lower() for flag in marks.flags} == {flag.lower() for flag in flags}
    assert marks.labels == (tuple(labels) or None)
    assert marks.is_told


@pytest.mark.parametrize("label", ['"', 'a "b", c', "\\Inbox", 'a\\b,"', "=?utf-8?q?x?="])
def test_labels_with_quotes_and_backslashes_are_read_as_written(label: str) -> None:
    assert client_marks.read(client_marks.lines((), [label, "x"])).labels == (label, "x")


def test_the_fields_of_mail_programs_are_taken_out() -> None:
    header = b"From: a\r\nX-Mozilla-Keys:  a\r\n b\r\nSubject: x\r\nStatus: RO\r\n\r\n"
    assert client_marks.without(header, of_mbox=True) == b"From: a\r\nSubject: x\r\n\r\n"
