import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.mail.mailbox_name import decode_name, encode_name, mailbox_name


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"INBOX", "INBOX"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"a&-b", "a&b"),
        (b"&2D3eAA-", "😀"),
    ],
)
def test_modified_utf7_is_decoded_and_encoded(raw: bytes, text: str) -> None:
    assert decode_name(raw) == text
    assert encode_name(text) == raw


@pytest.mark.parametrize("raw", [b"a&b", b"&", b"&AP-", b"&2AA-", b"&!!-", b"R&D", b"&A-x", b"x&AGE"])
def test_a_name_in_broken_modified_utf7_stands_for_itself(raw: bytes) -> None:
    assert decode_name(raw) == raw.decode()


def test_a_name_in_utf8_is_read_as_such() -> None:
    assert decode_name("Entwürfe & mehr".encode()) == "Entwürfe & mehr"


def test_a_name_in_latin1_is_read_as_such() -> None:
    assert decode_name(b"Entw\xfcrfe") == "Entwürfe"


@given(st.binary())
def test_any_octets_can_be_decoded(raw: bytes) -> None:
    decode_name(raw).encode()


@given(st.text())
def test_encoding_is_printable_ascii_and_comes_back(text: str) -> None:
    raw = encode_name(text)
    assert all(0x20 <= octet < 0x7F for octet in raw)
    assert decode_name(raw) == text


def test_a_name_is_split_at_the_delimiter_and_each_part_decoded() -> None:
    name = mailbox_name(b"Arbeit.Entw&APw-rfe.R&D", ".")
    assert name.parts == ("Arbeit", "Entwürfe", "R&D")
    assert name.raw == b"Arbeit.Entw&APw-rfe.R&D"
    assert name.delimiter == "."


def test_without_a_delimiter_there_is_one_part() -> None:
    assert mailbox_name(b"a/b.c", None).parts == ("a/b.c",)


@pytest.mark.parametrize("raw", [b"INBOX", b"Inbox", b"inbox"])
def test_inbox_is_one_mailbox_however_it_is_written(raw: bytes) -> None:
    assert mailbox_name(raw, "/") == mailbox_name(b"INBOX", "/")


def test_names_that_differ_in_case_are_two_mailboxes() -> None:
    assert mailbox_name(b"Work", "/") != mailbox_name(b"work", "/")
