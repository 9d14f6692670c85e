from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.model import Digest
from mailarchive.ops.cleanup_plan import Candidate, Share, batches, differs, plan, why_kept

BEFORE = datetime(2024, 3, 1, tzinfo=UTC)
OLD = BEFORE - timedelta(days=1)
GOOD = Candidate(7, 100, OLD, frozenset({"\\Seen"}), Digest(b"d" * 32), 100, OLD)
DATES = st.none() | st.timedeltas(timedelta(days=-9), timedelta(days=9)).map(lambda span: BEFORE + span)
FLAGS = st.frozensets(st.sampled_from(["\\Seen", "\\Flagged", "\\FLAGGED", "work"]))
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.integers(1, 2**32),
        st.none() | st.integers(0, 2),
        DATES,
        FLAGS,
        st.none() | st.just(GOOD.digest),
        st.none() | st.integers(0, 2),
        DATES,
        FLAGS,
    )
    | st.builds(
        lambda uid, days: GOOD._replace(uid=uid, date=OLD - days, kept_date=OLD - days),
        st.integers(1, 2**32),
        st.timedeltas(timedelta(), timedelta(days=900)),
    ),
    unique_by=lambda one: one.uid,
)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (GOOD, ""),
        (GOOD._replace(digest=None), "not in the archive"),
        (GOOD._replace(flags=frozenset({"\\flagged"})), "flagged"),
        (GOOD._replace(kept_flags=frozenset({"\\Flagged"})), "flagged"),
        (GOOD._replace(date=None), "without a date"),
        (GOOD._replace(date=BEFORE, kept_date=BEFORE), "too young"),
        (GOOD._replace(kept_date=BEFORE + timedelta(days=9)), "too young"),
        (GOOD._replace(date=OLD - timedelta(seconds=1)), "not what the archive has"),
        (GOOD._replace(size=None), "not what the archive has"),
        (GOOD._replace(size=99), "not what the archive has"),
    ],
)
def test_what_speaks_against_removing_a_message(changed: Candidate, why: str) -> None:
    assert why_kept(changed, BEFORE) == why


@given(CANDIDATES, st.floats(0.1, 100).map(Share) | st.integers(1, 9).map(lambda number: Share(None, number)))
def test_whatever_there_is_only_what_nothing_speaks_against_goes_and_not_too_much(
    candidates: list[Candidate], share: Share
) -> None:
    found = plan(candidates, BEFORE, share)
    assert found.listed == len(candidates) == len(found.able) + found.kept.total()
    for one in found.able:
        assert one.date is not None
        assert one.date < BEFORE
        assert one.date == one.kept_date
        assert one.size == one.kept_size is not None
        assert one.digest is not None
        assert not any(flag.lower() == "\\flagged" for flag in one.flags | one.kept_flags)
    ages = [one.date for one in found.able if one.date]
    assert ages == sorted(ages)
    strange = len(found.able) // 3
    found.choose(found.able[strange:][: found.most], strange)
    assert len(found.chosen) <= share.of(len(candidates))
    assert found.listed == len(found.chosen) + found.kept.total()


def test_a_share_is_of_what_is_there_and_at_least_one() -> None:
    assert [Share().of(number) for number in (0, 1, 9, 10, 25, 1000)] == [0, 1, 1, 1, 2, 100]
    assert [Share(None, 5).of(number) for number in (3, 10)] == [3, 5]
    assert Share(100).of(7) == 7


def test_a_message_that_changed_since_is_another_one() -> None:
    assert not differs(GOOD, GOOD._replace(flags=frozenset()))
    assert differs(GOOD, GOOD._replace(flags=frozenset({"\\Flagged"})))
    assert differs(GOOD, GOOD._replace(size=1))


def test_batches_are_ordered_by_uid_for_the_server() -> None:
    chosen = [GOOD._replace(uid=uid) for uid in (5, 3, 9, 1)]
    assert [[one.uid for one in batch] for batch in batches(chosen, 3)] == [[3, 5, 9], [1]]
