"""Addresses are told from what is none, and the fields of a message that is sent on hold nothing else."""

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.errors import UsageError
from mailarchive.mail.address import address, is_address
from mailarchive.mail.resent import resent

MOMENT = datetime(2024, 3, 1, 8, 5, 9, tzinfo=timezone(timedelta(hours=-7)))


@pytest.mark.parametrize(
    "text",
    [
        "me@example.org",
        "first.last+tag@sub.example.org",
        "o'neill/x=y@example.org",
        "me@localhost",
        "jürgen@bücher.example",
        "me@[127.0.0.1]",
        "me@[IPv6:2001:db8::1]",
        "m" * 64 + "@example.org",
    ],
)
def test_a_plausible_address_is_taken(text: str) -> None:
    assert address(f" {text} ", "--to") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "me",
        "@example.org",
        "me@",
        "me@@example.org",
        "a@b@example.org",
        "me@-example.org",
        "me@example-.org",
        "me@example..org",
        "me@example.org.",
        ".me@example.org",
        "m..e@example.org",
        "m e@example.org",
        "me@exa mple.org",
        "me\r\nRCPT TO:<you@example.org",
        "me@example.org\r\nBcc: you@example.org",
        "me\x00@example.org",
        "me\x85@example.org",
        "me\u2028@example.org",
        "<me@example.org>",
        "you@example.org,me@example.org",
        '"a b"@example.org',
        "m" * 65 + "@example.org",
        "m@" + ".".join(["x" * 60] * 5),
        "me@[127.0.0.1",
        "me\ud800@example.org",
    ],
)
def test_what_is_no_address_is_refused_with_a_hint(text: str) -> None:
    assert not is_address(text)
    with pytest.raises(UsageError, match=r"--to .* is not an address") as caught:
        address(text, "--to")
    assert caught.value.hint


def test_a_name_before_the_address_is_left_out_by_the_hint() -> None:
    with pytest.raises(UsageError) as caught:
        address("Me <me@example.org>", "--to")
    assert caught.value.hint == "write only the address: me@example.org"


def test_who_sent_a_message_on_stands_before_it() -> None:
    block = resent("me@example.org", "you@example.org", MOMENT, "<1.2@example.org>")
    assert block == (
        b"Resent-Date: Fri, 01 Mar 2024 08:05:09 -0700\r\n"
        b"Resent-From: <me@example.org>\r\n"
        b"Resent-To: <you@example.org>\r\n"
        b"Resent-Message-ID: <1.2@example.org>\r\n"
    )
    message = message_from_bytes(block + b"Subject: x\r\n\r\nbody\r\n", policy=policy.SMTP)
    assert message["Subject"] == "x"
    assert message["Resent-Date"].datetime == MOMENT


@pytest.mark.parametrize(
    ("sender", "recipient", "message_id"),
    [
        ("me@example.org\r\nBcc: x@y", "you@example.org", "<1@x>"),
        ("me@example.org", "you@example.org\nBcc: x@y", "<1@x>"),
        ("me@example.org", "you@example.org", "<1@x>\r\nBcc: x@y"),
        ("me@example.org", "you@example.org", "<1\n@x>"),
        ("me@example.org", "you@example.org", "1@x"),
        ("", "you@example.org", "<1@x>"),
    ],
)
def test_no_field_is_smuggled_in(sender: str, recipient: str, message_id: str) -> None:
    with pytest.raises(ValueError, match="Not a"):
        resent(sender, recipient, MOMENT, message_id)


def test_a_moment_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        resent("me@example.org", "you@example.org", MOMENT.replace(tzinfo=None), "<1@x>")


@given(st.text(), st.text())
def test_whatever_is_taken_for_an_address_makes_one_line(local: str, domain: str) -> None:
    text = f"{local}@{domain}"
    if is_address(text):
        block = resent(text, "you@example.org", datetime(2024, 1, 1, tzinfo=UTC), "<1@x>")
        assert len(block.decode().splitlines()) == 4
