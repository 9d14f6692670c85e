"""What is printed cannot command a terminal, and lines up."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.cli import render


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("Grüße 你好 👩‍👩‍👧", "Grüße 你好 👩‍👩‍👧"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\r\tc\x00\x7f", "a\\nb\\r\\tc\\x00\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("moc.\u202etxt", "moc.\\u202etxt"),
        ("\u2066x\u2069\u200e\ufeff", "\\u2066x\\u2069\\u200e\\ufeff"),
        ("\udcff", "\\udcff"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_could_command_a_terminal_is_escaped(text: str, cleaned: str) -> None:
    assert render.clean(text) == cleaned


@given(st.text(st.characters()))
def test_cleaned_text_is_one_line_that_can_be_encoded(text: str) -> None:
    cleaned = render.clean(text)
    cleaned.encode("utf-8")
    assert len(cleaned.splitlines()) <= 1
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in cleaned)
    assert render.clean(cleaned) == cleaned


def test_lines_stay_lines_and_tabs_become_spaces() -> None:
    assert render.clean_lines("a\tb\r\n\x1bc\rd\n") == "a       b\n\\x1bc\\rd\n"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (49_000_000, "46.7 MiB"),
        (5 << 40, "5.0 TiB"),
        (3000 << 50, "3000.0 PiB"),
    ],
)
def test_sizes_are_powers_of_1024(octets: int, text: str) -> None:
    assert render.size(octets) == text


def test_numbers_and_nouns_agree() -> None:
    assert render.plural(1, "message") == "1 message"
    assert render.plural(2000, "message") == "2,000 messages"
    assert render.plural(0, "mailbox") == "0 mailboxes"
    assert render.plural(3, "try") == "3 tries"
    assert render.plural(2, "day") == "2 days"


def test_durations_are_seconds_and_then_hours() -> None:
    assert render.seconds(2.34) == "2.3 s"
    assert render.seconds(3723.9) == "1:02:03"


def test_moments_are_local_to_the_minute_and_survive_the_ends_of_time() -> None:
    moment = datetime(2024, 3, 1, 10, 0, tzinfo=UTC)
    assert render.when(moment) == moment.astimezone().strftime("%Y-%m-%d %H:%M")
    assert render.when(None) == "-"
    assert render.when(datetime.max.replace(tzinfo=UTC)).startswith("9999-12-31")
    assert render.iso(moment) == "2024-03-01T10:00:00+00:00"
    assert render.iso(None) is None


def test_a_table_lines_up_by_columns_of_the_terminal() -> None:
    lines = render.table(("NAME", "N"), [("你好", "1"), ("e\u0301a", "1,000"), ("\x1b", "22")], "<>")
    assert lines == ["NAME      N", "你好      1", "e\u0301a    1,000", "\\x1b     22"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 30))
def test_fitted_text_is_never_wider_than_asked(text: str, columns: int) -> None:
    cleaned = render.clean(text)
    assert render.width(render.fit(cleaned, columns)) <= columns
    assert render.width(render.pad(render.fit(cleaned, columns), columns)) == columns


@given(st.dictionaries(st.text(st.characters()), st.text(st.characters())))
def test_json_is_printable_ascii_and_comes_back(value: dict[str, str]) -> None:
    line = render.dump(value)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == value
