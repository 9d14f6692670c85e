"""Flags that a target keeps are kept as they are, the others told; dates are read from headers as far as they go."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailarchive.model import Permanent
from mailarchive.ops.keeping import date_of, split_flags

SYSTEM = frozenset({"\\seen", "\\answered", "\\flagged", "\\deleted", "\\draft"})
ALL = Permanent(SYSTEM, takes_any=True)
NO_KEYWORDS = Permanent(SYSTEM, takes_any=False)
UNTOLD = Permanent(frozenset(), takes_any=True)


def split(flags: tuple[str, ...], permanent: Permanent, *never: str) -> tuple[set[str], set[str]]:
    kept, dropped = split_flags(flags, permanent, never)
    return set(kept), set(dropped)


def test_all_flags_are_kept_where_any_keyword_is_taken() -> None:
    flags = ("\\Seen", "\\Flagged", "$Forwarded", "Work")
    assert split(flags, ALL) == (set(flags), set())
    assert split(flags, UNTOLD) == (set(flags), set())


def test_keywords_are_kept_where_they_are_named_in_any_case() -> None:
    permanent = Permanent(SYSTEM | {"$forwarded"}, takes_any=False)
    assert split(("\\Seen", "$Forwarded", "Work"), permanent) == ({"\\Seen", "$Forwarded"}, {"Work"})
    assert split(("\\Seen", "$Forwarded"), NO_KEYWORDS) == ({"\\Seen"}, {"$Forwarded"})


def test_a_system_flag_is_dropped_where_it_is_not_among_the_permanent() -> None:
    permanent = Permanent(frozenset({"\\seen"}), takes_any=True)
    assert split(("\\Seen", "\\Draft", "Work"), permanent) == ({"\\Seen", "Work"}, {"\\Draft"})
    read_only = Permanent(frozenset(), takes_any=False)
    assert split(("Work",), read_only) == (set(), {"Work"})


def test_system_flags_are_spelt_as_the_standard_does() -> None:
    assert split(("\\SEEN", "\\draft"), ALL) == ({"\\Seen", "\\Draft"}, set())


def test_recent_is_neither_kept_nor_told() -> None:
    assert split(("\\Recent", "\\recent", "\\Seen"), ALL) == ({"\\Seen"}, set())


def test_flags_of_the_old_server_alone_are_dropped() -> None:
    assert split(("\\Important",), ALL) == (set(), {"\\Important"})
    assert split(("\\Important",), Permanent(SYSTEM | {"\\important"}, takes_any=True)) == ({"\\Important"}, set())


@pytest.mark.parametrize(
    "keyword", ["two words", "a(b", "a)b", "a{b", "100%", "a*", 'a"b', "a\\b", "a]b", "ü", "a\n", ""]
)
def test_a_keyword_that_is_no_atom_is_dropped(keyword: str) -> None:
    assert split((keyword,), ALL) == (set(), {keyword})


@pytest.mark.parametrize("keyword", ["$MDNSent", "NonJunk", "a.b-c_d", "[odd", "label:1/2", "~", "+FLAGS", "'", "a|b}"])
def test_an_odd_keyword_that_is_an_atom_is_kept(keyword: str) -> None:
    assert split((keyword,), ALL) == ({keyword}, set())


def test_what_must_never_be_set_is_dropped() -> None:
    assert split(("\\Deleted", "\\Seen"), ALL, "\\deleted") == ({"\\Seen"}, {"\\Deleted"})


ZONE = timezone(timedelta(hours=-5, minutes=-30))
DATE = b"Date: Fri, 1 Mar 2024 12:00:00 -0530\r\n"
RECEIVED = b"Received: from a by b; Sat, 2 Mar 2024 08:30:01 +0000 (UTC)\r\n"


@pytest.mark.parametrize(
    ("head", "moment"),
    [
        (DATE, datetime(2024, 3, 1, 12, tzinfo=ZONE)),
        (DATE + RECEIVED, datetime(2024, 3, 2, 8, 30, 1, tzinfo=UTC)),
        (RECEIVED + RECEIVED.replace(b" 2 Mar", b" 1 Jan") + DATE, datetime(2024, 3, 2, 8, 30, 1, tzinfo=UTC)),
        (RECEIVED.replace(b"; Sat", b";\r\n\tSat"), datetime(2024, 3, 2, 8, 30, 1, tzinfo=UTC)),
        (b"Received: from a by b\r\n" + DATE, datetime(2024, 3, 1, 12, tzinfo=ZONE)),
        (b"Received: from a; some day\r\n" + DATE, datetime(2024, 3, 1, 12, tzinfo=ZONE)),
        (b"Date: 1 Mar 2024 12:00:00\r\n", datetime(2024, 3, 1, 12, tzinfo=UTC)),
        (b"Date: 1 Mar 2024 12:00:00 -0000\r\n", datetime(2024, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_date_is_that_of_the_last_hop_or_of_writing(head: bytes, moment: datetime) -> None:
    assert date_of(head + b"\r\nDate: Fri, 5 Jul 2024 12:00:00 +0000\r\n") == moment


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"yesterday",
        b"Fri, 31 Feb 2024 12:00:00 +0000",
        b"Fri, 1 Mar 1869 12:00:00 +0000",
        b"Fri, 1 Mar 2969 12:00:00 +0000",
        b"Fri, 1 Mar 99999 12:00:00 +0000",
        b"Fri, 1 Mar 2024 12:00:00 +9999",
        b"Fri, 1 Mar 2024 12:00:00 +999999999999",
        b"\xff\xfe\x00",
        b"=?utf-8?q?=ff?=",
    ],
)
def test_a_date_that_cannot_be_is_none(value: bytes) -> None:
    assert date_of(b"Date: " + value + b"\r\n\r\n") is None


def test_a_message_without_a_header_has_no_date() -> None:
    assert date_of(b"") is None
    assert date_of(b"\r\n" + DATE) is None
