import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.errors import ProtocolViolation
from mailarchive.remote.imap.sets import LONGEST, command_sets, parse_set, ranges, size

uids = st.sets(st.integers(1, 2000)).map(sorted)


@given(uids, uids)
def test_ranges_name_what_is_wanted_and_nothing_else_that_exists(wanted: list[int], others: list[int]) -> None:
    existing = sorted({*wanted, *others})
    named = {uid for first, last in ranges(wanted, existing) for uid in range(first, last + 1)}
    assert named & set(existing) == set(wanted)


@given(uids)
def test_a_whole_mailbox_is_one_range_whatever_its_gaps(existing: list[int]) -> None:
    assert len(ranges(existing, existing)) == (1 if existing else 0)


@given(uids)
def test_without_knowledge_of_the_mailbox_ranges_are_exact(wanted: list[int]) -> None:
    assert [uid for first, last in ranges(wanted) for uid in range(first, last + 1)] == wanted


def test_a_uid_that_is_not_known_to_exist_ends_a_bridge() -> None:
    assert ranges([10, 20, 30], [10, 15, 30]) == [(10, 10), (20, 30)]


@given(st.sets(st.integers(1, 4_294_967_295), max_size=3000).map(sorted))
def test_sets_are_short_enough_and_hold_everything_once(wanted: list[int]) -> None:
    sets = list(command_sets(ranges(wanted)))
    assert all(len(numbers) <= LONGEST for numbers, _first, _last in sets)
    found = [uid for numbers, _first, _last in sets for a, b in parse_set(numbers) for uid in range(a, b + 1)]
    assert found == wanted
    assert all(parse_set(numbers)[0][0] == first and parse_set(numbers)[-1][1] == last for numbers, first, last in sets)


def test_a_long_list_of_single_uids_becomes_several_sets() -> None:
    assert len(list(command_sets(ranges(range(1_000_000, 1_020_000, 2))))) > 5


def test_descending_and_repeated_ranges_are_read() -> None:
    assert parse_set(b"9:7,3,3:4") == [(7, 9), (3, 3), (3, 4)]
    assert size(parse_set(b"9:7,3,3:4")) == 6


@pytest.mark.parametrize("octets", [b"", b"1,", b"a", b"1:", b"1:*", b"-1", b"99999999999", b"1 2"])
def test_what_is_no_set_is_a_protocol_violation(octets: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        parse_set(octets)
