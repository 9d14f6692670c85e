"""Lines that separate messages are told from sentences, and their dates are read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailarchive.mail.from_line import date_of, separates

WHEN = datetime(2024, 3, 1, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "when"),
    [
        (b"From MAILER-DAEMON Fri Mar  1 12:34:56 2024\n", WHEN),
        (b"From a@b Fri Mar 01 12:34:56 2024\r\n", WHEN),
        (b"From 1572@xxx Fri Mar 01 12:34:56 +0000 2024\r\n", WHEN),
        (b"From - Fri Mar 01 12:34:56 2024", WHEN),
        (b"From a Fri Mar  1 12:34:56 2024 +0200", WHEN.replace(tzinfo=timezone(timedelta(hours=2)))),
        (b"From a@b Fri, 1 Mar 2024 12:34:56 -0500 (EST)", WHEN.replace(tzinfo=timezone(timedelta(hours=-5)))),
        (b"From a Fri Mar  1 12:34:56 EST 2024", WHEN.replace(tzinfo=timezone(timedelta(hours=-5)))),
        (b"From a Fri Mar  1 12:34:56 CEST 2024", WHEN.replace(tzinfo=timezone(timedelta(hours=2)))),
        (b"From a 2024-03-01 12:34:56", WHEN),
        (b"From ???@??? Fri Mar 01 12:34:56 2024", WHEN),
        (b"From a@b Fri Mar  1 12:34 2024", WHEN.replace(second=0)),
        (b"From a@b Fri Feb 30 12:34:56 2024", None),
    ],
)
def test_a_separator_and_its_date(line: bytes, when: datetime | None) -> None:
    assert separates(line, after_empty_line=True)
    assert date_of(line) == when


@pytest.mark.parametrize(
    "line",
    [
        b"From here on it is 12:30 every day of 2024",
        b"From Monday on",
        b"From my point of view, 2024 was fine\n",
        b"From: a@b",
    ],
)
def test_a_sentence_is_none(line: bytes) -> None:
    assert not separates(line, after_empty_line=True)


def test_only_the_strictest_form_needs_no_empty_line_before_it() -> None:
    assert separates(b"From a@b Fri Mar  1 12:34:56 2024\n", after_empty_line=False)
    assert not separates(b"From a@b Fri, 1 Mar 2024 12:34:56 +0000", after_empty_line=False)
