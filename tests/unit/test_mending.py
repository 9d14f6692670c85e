"""What a target may refuse about a message, and the copy that it takes."""

import email
from email import policy
from time import perf_counter

import pytest

from mailarchive.mail import headers
from mailarchive.mail.mending import FIXES, WHAT, Flaw, flaws, mend

GOOD = b"Subject: one\r\n\r\nfirst\r\n"


def mended(octets: bytes, *only: Flaw, longest: int = 998) -> bytes:
    return mend(octets, only or flaws(octets, longest), longest)


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (GOOD, set()),
        (b"\r\n", set()),
        (b"", {Flaw.NO_FINAL_CRLF}),
        (GOOD + b"a\0b\r\n", {Flaw.NUL}),
        (GOOD + b"a\nb\r\n", {Flaw.BARE_NEWLINE}),
        (GOOD + b"a\rb\r\n", {Flaw.BARE_NEWLINE}),
        (GOOD + b"a\r\r\n", {Flaw.BARE_NEWLINE}),
        (GOOD + b"a", {Flaw.NO_FINAL_CRLF}),
        (GOOD + b"a\n", {Flaw.BARE_NEWLINE, Flaw.NO_FINAL_CRLF}),
        (GOOD + b"a\r", {Flaw.BARE_NEWLINE, Flaw.NO_FINAL_CRLF}),
        (GOOD + b"a" * 998 + b"\r\n", set()),
        (GOOD + b"a" * 999 + b"\r\n", {Flaw.LONG_LINE}),
        (GOOD + b"a" * 998, {Flaw.NO_FINAL_CRLF}),
        (GOOD + b"a" * 999, {Flaw.LONG_LINE, Flaw.NO_FINAL_CRLF}),
        (GOOD + b"a" * 998 + b"\n" + b"b" * 998 + b"\r\n", {Flaw.BARE_NEWLINE}),
        (GOOD + b"a" * 999 + b"\nb\r\n", {Flaw.BARE_NEWLINE, Flaw.LONG_LINE}),
        (GOOD + b"\xe4\r\n", set()),
        (b"Subject: \xe4\r\n\r\nx\r\n", {Flaw.EIGHT_BIT_HEADER}),
    ],
)
def test_flaws_are_found(octets: bytes, found: set[Flaw]) -> None:
    assert flaws(octets) == found


def test_every_flaw_has_its_sentences() -> None:
    assert WHAT.keys() == FIXES.keys() == set(Flaw)


def test_a_large_message_is_looked_through_quickly() -> None:
    large = GOOD + (b"x" * 76 + b"\r\n") * 130_000
    start = perf_counter()
    assert flaws(large) == set()
    assert perf_counter() - start < 1


@pytest.mark.parametrize(
    ("octets", "flaw", "copy"),
    [
        (b"A: b\0\r\n\r\n\0\n", Flaw.NUL, b"A: b \r\n\r\n \n"),
        (b"A: b\n\nc\rd\r\r\n", Flaw.BARE_NEWLINE, b"A: b\r\n\r\nc\r\nd\r\n"),
        (b"A: b\n\nc", Flaw.NO_FINAL_CRLF, b"A: b\n\nc\r\n"),
        (b"A: b\n\nc\n", Flaw.NO_FINAL_CRLF, b"A: b\n\nc\r\n"),
        (b"A: b\n\nc\r", Flaw.NO_FINAL_CRLF, b"A: b\n\nc\r\n"),
        (b"A: \xe4\0\n\n\xe4\r", Flaw.EIGHT_BIT_HEADER, b"A: =?iso-8859-1?b?5AA=?=\n\n\xe4\r"),
        (b"A: \xe4", Flaw.EIGHT_BIT_HEADER, b"A: =?iso-8859-1?b?5A==?="),
    ],
)
def test_only_what_is_named_is_mended(octets: bytes, flaw: Flaw, copy: bytes) -> None:
    assert mend(octets, {flaw}) == copy
    assert mend(octets, set()) is octets
    assert mend(GOOD, set(Flaw)) == GOOD


def test_long_lines_of_the_header_are_folded_at_white_space() -> None:
    words = b" ".join([b"word"] * 300)
    copy = mended(b"Subject: %b\r\n\r\nx\r\n" % words)
    assert flaws(copy) == set()
    assert copy.replace(b"\r\n ", b" ") == b"Subject: %b\r\n\r\nx\r\n" % words


def test_white_space_that_comes_late_is_used_too() -> None:
    copy = mended(b"A: %b %b %b\r\n\r\n" % (b"x" * 50, b"y" * 120, b"z" * 50), longest=100)
    assert copy == b"A: %b\r\n %b\r\n %b\r\n\r\n" % (b"x" * 50, b"y" * 120, b"z" * 50)
    assert flaws(copy, 100) == {Flaw.LONG_LINE}


def test_a_header_gets_no_blank_line() -> None:
    octets = b"A:%b\r\nB: x%b\r\n\r\nbody\r\n" % (b" " * 2000, b" " * 2000)
    assert all(line.strip() for line in mended(octets).split(b"\r\n\r\n")[0].split(b"\r\n"))


def test_long_lines_of_the_body_are_broken_after_a_space_or_else_at_the_limit() -> None:
    assert mended(GOOD + b"a b" + b"c" * 150 + b"\n", Flaw.LONG_LINE, longest=100) == (
        GOOD + b"a \r\n" + b"b" + b"c" * 99 + b"\r\n" + b"c" * 51 + b"\n"
    )


def test_a_character_is_not_broken() -> None:
    copy = mended(GOOD + ("x" + "\u20ac" * 400).encode() + b"\r\n")
    assert all(line.decode() for line in copy.split(b"\r\n") if line)
    assert copy.replace(b"\r\n", b"").decode().count("\u20ac") == 400


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Subject: Gr\xfc\xdfe\r\n", "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"),
        ("Subject:\xfc\r\n", "Subject: =?utf-8?b?w7w=?=\r\n"),
        ("Subject: a \xfc \xfc b\r\n", "Subject: a =?utf-8?b?w7wgw7w=?= b\r\n"),
        ("Subject: a\r\n \xfc\r\n b \r\n", "Subject: a\r\n =?utf-8?b?w7w=?=\r\n b \r\n"),
        ('From: "J\xf6rg \\"X\\" A." <j@x>, b@x\r\n', "From: =?utf-8?b?SsO2cmcgIlgiIEEu?= <j@x>, b@x\r\n"),
        ('To: "A, B" <a@x>, J\xf6rg<j@x>\r\n', 'To: "A, B" <a@x>, =?utf-8?b?SsO2cmc=?= <j@x>\r\n'),
        ('Content-Type: a/b; name="\xe4 b"; c=d\r\n', "Content-Type: a/b; name*=utf-8''%C3%A4%20b; c=d\r\n"),
        ("no field \xe4\r\n", "no field \xe4\r\n"),
        ("F\xe4ld: \xe4\r\n", "F\xe4ld: \xe4\r\n"),
    ],
)
def test_only_the_words_that_are_not_ascii_are_encoded(before: str, after: str) -> None:
    assert mended(b"A: b\r\n" + before.encode() + b"C: d\r\n\r\n\xff\r\n", Flaw.EIGHT_BIT_HEADER) == (
        b"A: b\r\n" + after.encode() + b"C: d\r\n\r\n\xff\r\n"
    )


@pytest.mark.parametrize(
    "text", ["=?utf-8?q?a?= \xfc =?utf-8?q?b?=", "\U0001f468\u200d\U0001f469 a\u00a0b", "\xe4" * 90]
)
def test_what_readers_show_stays(text: str) -> None:
    octets = b"Subject: %b\r\n\r\n" % text.encode()
    shown = text.replace("=?utf-8?q?", "").replace("?=", "")
    copy = mended(octets)
    assert headers.fields(copy, {"subject"}) == {"subject": shown}
    assert max(map(len, copy.split(b"\r\n"))) <= 76


def test_addresses_stay() -> None:
    octets = 'To: "M\xfcller, J\xf6rg" <j@x.de>, \xc4nne <a@x.de>\r\n\r\n'.encode()
    message = email.message_from_bytes(mended(octets), policy=policy.default)
    assert [(one.display_name, one.addr_spec) for one in message["To"].addresses] == [
        ("M\xfcller, J\xf6rg", "j@x.de"),
        ("\xc4nne", "a@x.de"),
    ]
