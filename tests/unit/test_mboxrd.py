"""What an entry of mbox text looks like (store/FORMAT.md, "mbox text")."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailarchive.mail import mboxrd


def test_the_from_line_has_the_moment_in_utc_and_in_english() -> None:
    zone = timezone(timedelta(hours=-7))
    assert mboxrd.from_line(datetime(2024, 2, 29, 23, 59, 58, tzinfo=zone)) == (
        b"From MAILER-DAEMON Fri Mar  1 06:59:58 2024\n"
    )
    assert mboxrd.from_line(datetime(2024, 12, 25, tzinfo=UTC)) == b"From MAILER-DAEMON Wed Dec 25 00:00:00 2024\n"


@pytest.mark.parametrize(
    "date",
    [
        None,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))),
    ],
)
def test_a_moment_that_is_missing_or_beyond_the_calendar_is_the_epoch(date: datetime | None) -> None:
    assert mboxrd.from_line(date) == b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n"


def test_an_entry_is_the_from_line_the_quoted_text_and_an_empty_line() -> None:
    head = mboxrd.from_line(None)
    assert mboxrd.encode(b"a\nFrom b\n", final=True, date=None) == head + b"a\n>From b\n\n"
    assert mboxrd.encode(b"From \n>From \n>>From ", final=False, date=None) == (head + b">From \n>>From \n>>>From \n\n")
    assert mboxrd.encode(b"", final=False, date=None) == head + b"\n\n"


def test_text_untouched_by_quoting_stays_the_same_object() -> None:
    text = b"From: me\nFromage\n x From y\n"
    assert mboxrd.quote(text) is text


def test_what_is_no_entry_is_decoded_to_something_and_not_refused() -> None:
    """Damaged octets are told by their digest, which needs something to digest."""
    assert isinstance(mboxrd.decode(bytes(100), "crlf", final=True), bytes)
    assert isinstance(mboxrd.decode(b"", "mixed", final=False), bytes)
    assert b"".join(mboxrd.decode_stream([bytes(50), bytes(50)], "lf", final=True)) is not None
