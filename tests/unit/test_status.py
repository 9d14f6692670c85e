"""How long an account may go without a complete pull."""

from datetime import timedelta

import pytest

from mailarchive.ops.status import PATIENCE, patience_of, span

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("every", "given", "patience"),
    [(None, None, PATIENCE), (HOUR, None, PATIENCE), (2 * DAY, None, 6 * DAY), (DAY, HOUR, HOUR), (None, HOUR, HOUR)],
)
def test_patience(every: timedelta | None, given: timedelta | None, patience: timedelta) -> None:
    assert patience_of(every, given) == patience


@pytest.mark.parametrize(
    ("time", "words"),
    [(30, "less than a minute"), (60, "1 minute"), (7_300, "2 hours"), (86_400, "1 day"), (10 * 86_400, "10 days")],
)
def test_spans_in_words(time: int, words: str) -> None:
    assert span(timedelta(seconds=time)) == words
