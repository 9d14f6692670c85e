"""A day's downloads never exceed what is allowed, as far as the server tells sizes."""

import threading
from datetime import date, timedelta

import pytest

from mailarchive.cli.options import octets
from mailarchive.cli.render import decimal_size
from mailarchive.errors import UsageError
from mailarchive.model import MessageFacts
from mailarchive.ops.budget import Budget
from mailarchive.ops.plan import UNKNOWN_SIZE

TODAY = date(2024, 2, 28)


def messages(*sizes: int | None) -> list[MessageFacts]:
    return [MessageFacts(number, size) for number, size in enumerate(sizes)]


def sizes(found: list[MessageFacts]) -> list[int | None]:
    return [message.size for message in found]


def test_without_a_limit_everything_comes() -> None:
    budget = Budget()
    assert len(budget.admit(messages(1 << 62, 1 << 62, None)).now) == 3
    assert budget.done_by(TODAY) is None


def test_what_would_cross_the_limit_waits_and_smaller_ones_still_fit() -> None:
    budget = Budget(100, spent=30)
    found = budget.admit(messages(40, 50, 20, 10, 1, 101))
    assert (sizes(found.now), sizes(found.later), sizes(found.never)) == ([40, 20, 10], [50, 1], [101])
    assert (budget.left_messages, budget.left_bytes) == (2, 51)
    assert budget.done_by(TODAY) == date(2024, 2, 29)


def test_what_comes_counts_and_not_what_was_said() -> None:
    budget = Budget(100)
    (one, two) = budget.admit(messages(50, 50)).now
    budget.settle(one, 10)
    assert sizes(budget.admit(messages(41, 40)).now) == [40]
    budget.settle(two, 500)
    assert budget.admit(messages(1)).now == []
    budget.settle(one, 0)


def test_what_came_of_a_message_before_is_not_reserved_again() -> None:
    budget = Budget(100, spent=60)
    (one,) = budget.admit(messages(100), {0: 60}).now
    assert budget.admit(messages(1)).now == []
    budget.settle(one, 0, 60)
    (one,) = budget.admit(messages(100), {0: 60}).now
    budget.settle(one, 40, 60)
    assert budget.admit(messages(1)).now == []


def test_a_message_of_unknown_size_has_a_usual_one() -> None:
    budget = Budget(2 * UNKNOWN_SIZE)
    assert len(budget.admit(messages(None, None, None)).now) == 2


@pytest.mark.parametrize(("left", "days"), [(1, 1), (100, 1), (101, 2), (350, 4)])
def test_the_end_is_told_in_days(left: int, days: int) -> None:
    budget = Budget(100, spent=100)
    budget.admit(messages(*[1] * left))
    assert budget.done_by(TODAY) == TODAY + timedelta(days=days)


def test_a_size_that_lies_is_no_overflow() -> None:
    budget = Budget(1 << 63, spent=1 << 62)
    for _ in range(3):
        budget.admit(messages((1 << 63) - 1))
    assert budget.done_by(TODAY) is not None
    tiny = Budget(2, spent=2)
    tiny.admit(messages(*[2] * 5))
    tiny.left_bytes = 1 << 80
    assert tiny.done_by(TODAY) is not None


def test_threads_together_keep_to_the_limit() -> None:
    budget = Budget(1000)
    admitted: list[MessageFacts] = []
    threads = [
        threading.Thread(target=lambda: admitted.extend(budget.admit(messages(*[7] * 100)).now)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 1000 // 7
    assert budget.left_messages == 400 - len(admitted)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2GB", 2_000_000_000),
        ("500MB", 500_000_000),
        ("1.5GiB", 3 << 29),
        ("2g", 2_000_000_000),
        ("10 kb", 10_000),
        ("1234", 1234),
        ("1 TiB", 1 << 40),
        ("7B", 7),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, number: int) -> None:
    assert octets(text, "--max-download") == number


@pytest.mark.parametrize("text", ["", "0", "GB", "-1GB", "1.GB", "2XB", "1e9", "iB", "0.1", "5iB", "2 G B"])
def test_what_is_no_size_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--max-download"):
        octets(text, "--max-download")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (2_000_000_000, "2.0 GB"),
        (999_960, "1.0 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_limits_are_told_as_providers_tell_them(number: int, text: str) -> None:
    assert decimal_size(number) == text
