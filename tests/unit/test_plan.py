"""Every listed message is in exactly one part of the plan."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.mail.mailbox_name import mailbox_name
from mailarchive.model import Cursor, ListedMailbox, MessageFacts, RemoteUid, UidValidity
from mailarchive.ops import plan as plans
from mailarchive.records import KnownFailure, KnownMailbox

NOW = datetime(2024, 3, 1, tzinfo=UTC)
CURSOR = Cursor(UidValidity(1), 4, 7, 3)


def failure(uid: int = 1, tries: int = 9, last: datetime = NOW) -> KnownFailure:
    return KnownFailure(uid, "why", tries, last)


def known_mailbox(
    name: bytes = b"INBOX", cursor: Cursor | None = CURSOR, *, present: bool = True, since: str | None = None
) -> KnownMailbox:
    validity = cursor.uidvalidity if cursor else 1
    return KnownMailbox(1, "me@host", mailbox_name(name, "/"), (), validity, present, cursor, since, 0)


def listed_mailbox(name: bytes = b"INBOX", cursor: Cursor | None = CURSOR) -> ListedMailbox:
    return ListedMailbox(mailbox_name(name, "/"), frozenset(), cursor)


_UIDS = st.lists(st.integers(1, 12), unique=True)


@given(_UIDS, st.dictionaries(st.integers(1, 12), st.booleans()), _UIDS, _UIDS)
def test_each_listed_message_is_known_fresh_returned_or_waiting(
    uids: list[int], known: dict[int, bool], failing: list[int], lost: list[int]
) -> None:
    in_archive: dict[RemoteUid, bool] = {uid: present for uid, present in known.items() if uid not in lost}
    plan = plans.compare(uids, in_archive.items(), [failure(uid) for uid in failing], NOW, lost)
    waiting: set[RemoteUid] = {one.uid for one in plan.waiting}
    known_here: set[RemoteUid] = {uid for uid in uids if in_archive.get(uid)}
    parts: list[set[RemoteUid]] = [set(plan.fresh), set(plan.returned), waiting, known_here]
    assert set[RemoteUid]().union(*parts) == set(uids)
    assert sum(len(part) for part in parts) == len(uids) == plan.listed
    assert plan.known == len(parts[3])
    assert set(plan.gone) == {*lost, *(uid for uid, present in in_archive.items() if present)} - set(uids)
    assert len(plan.gone) == len(set(plan.gone))
    assert set(plan.ended) == set(failing) - set(uids)
    assert waiting <= set(failing)
    assert not any(uid in in_archive for uid in plan.fresh)


def test_a_failed_message_that_is_due_is_fresh() -> None:
    plan = plans.compare([1, 2], (), [failure(1, tries=1), failure(2)], NOW)
    assert (plan.fresh, [one.uid for one in plan.waiting]) == ([1], [2])


@pytest.mark.parametrize(
    ("name", "include", "exclude", "selected"),
    [
        ("INBOX", (), (), True),
        ("INBOX", ("INBOX",), (), True),
        ("INBOX", ("Inbox",), (), True),
        ("INBOX", (), ("inbox",), False),
        ("INBOX", ("inbox*",), (), False),
        ("Sent", ("sent",), (), False),
        ("a/b", ("a/*",), (), True),
        ("a/b", ("a*",), ("*/b",), False),
        ("a/b", (), ("x", "a/?"), False),
        ("[Gmail]/All Mail", ("[Gmail]/All Mail",), (), True),
        ("[Gmail]/Spam", (), ("[Gmail]/Spam",), False),
        ("G/Spam", ("[Gmail]/Spam",), (), True),
    ],
)
def test_a_mailbox_is_selected_by_globs(
    name: str, include: tuple[str, ...], exclude: tuple[str, ...], selected: bool
) -> None:
    assert plans.is_selected(name, include, exclude) == selected


def test_a_mailbox_is_unchanged_only_if_the_server_can_say_so() -> None:
    assert plans.is_unchanged(known_mailbox(), listed_mailbox(), None)
    assert not plans.is_unchanged(known_mailbox(present=False), listed_mailbox(), None)
    assert not plans.is_unchanged(known_mailbox(cursor=None), listed_mailbox(), None)
    assert not plans.is_unchanged(known_mailbox(), listed_mailbox(cursor=None), None)
    assert not plans.is_unchanged(known_mailbox(), listed_mailbox(), date(2024, 1, 1))
    assert plans.is_unchanged(known_mailbox(since="2024-01-01"), listed_mailbox(), date(2024, 1, 1))
    for changed in (
        Cursor(UidValidity(2), 4, 7, 3),
        Cursor(UidValidity(1), 5, 7, 3),
        Cursor(UidValidity(1), 4, 8, 3),
        Cursor(UidValidity(1), 4, 7, 2),
    ):
        assert not plans.is_unchanged(known_mailbox(), listed_mailbox(cursor=changed), None)
    for silent in (
        Cursor(UidValidity(1), None, 7, 3),
        Cursor(UidValidity(1), 4, None, 3),
        Cursor(UidValidity(1), 4, 7, None),
    ):
        assert not plans.is_unchanged(known_mailbox(cursor=silent), listed_mailbox(cursor=silent), None)


def test_a_failed_message_is_tried_at_growing_distance_and_never_given_up() -> None:
    waits = []
    for tries in range(1, 60):
        hours = next(h for h in range(24 * 8) if plans.is_due(failure(tries=tries), NOW + timedelta(hours=h)))
        waits.append(hours)
    assert waits[: plans.PROMPT_TRIES + 2] == [0, 0, 1, 2, 4]
    assert waits == sorted(waits)
    assert waits[-1] == 7 * 24


def test_a_message_is_too_old_by_the_day_of_its_own_zone() -> None:
    since = date(2024, 3, 1)
    west, east = timezone(timedelta(hours=-7)), timezone(timedelta(hours=9))
    assert not plans.is_too_old(MessageFacts(1), since)
    assert plans.is_too_old(MessageFacts(1, internaldate=datetime(2024, 2, 29, 23, tzinfo=west)), since)
    assert not plans.is_too_old(MessageFacts(1, internaldate=datetime(2024, 3, 1, 1, tzinfo=east)), since)
    assert not plans.is_too_old(MessageFacts(1, internaldate=datetime(1970, 1, 1, tzinfo=UTC)), None)


def test_a_large_message_is_in_a_batch_of_its_own() -> None:
    sizes = [1, plans.LARGE - 1, plans.LARGE, 2, None, 10 * plans.LARGE, 3]
    batches = list(plans.batches([MessageFacts(uid, size) for uid, size in enumerate(sizes)]))
    assert [[facts.uid for facts in batch] for batch in batches] == [[0, 1], [2], [3, 4], [5], [6]]


def test_batches_for_one_connection_are_bounded_in_octets_only() -> None:
    sizes = [1, plans.LARGE, *[2] * (plans.BATCH_MESSAGES + 1), *[plans.BATCH_OCTETS // 10] * 15]
    batches = plans.batches([MessageFacts(uid, size) for uid, size in enumerate(sizes)], shared=False)
    assert list(map(len, batches)) == [1, 1, plans.BATCH_MESSAGES + 1 + 9, 6]


@given(st.lists(st.none() | st.integers(0, plans.BATCH_OCTETS * 2), max_size=1200))
def test_batches_hold_every_message_once_in_order_and_are_bounded(sizes: list[int | None]) -> None:
    messages = [MessageFacts(uid, size) for uid, size in enumerate(sizes)]
    batches = list(plans.batches(messages))
    assert [facts for batch in batches for facts in batch] == messages
    for batch in batches:
        octets = sum(plans.UNKNOWN_SIZE if facts.size is None else facts.size for facts in batch)
        assert 1 <= len(batch) <= plans.BATCH_MESSAGES
        assert len(batch) == 1 or octets <= plans.BATCH_OCTETS
