"""No message holds up another: what is refused stands alone at the end, what is left out is asked for again."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.errors import ConnectionLost, FetchRefused, RefusesEverything
from mailarchive.mail.body import MemoryBody
from mailarchive.model import Fetched, MessageFacts, RemoteUid
from mailarchive.ops.fetching import MOST_REFUSED_IN_A_ROW, OMITTED, NotFetched, fetch_each
from mailarchive.sources.base import Spool
from mailarchive.sources.memory import MemoryAccount, MemoryOpenMailbox


def no_spool() -> "Callable[[], None]":
    raise AssertionError("nothing is spooled")


class Mailbox(MemoryOpenMailbox):
    """A mailbox of messages 1 to ``count``, some of which the server refuses, omits, or does not describe."""

    def __init__(self, count: int, refused: Sequence[int] = (), omitted: Sequence[int] = ()) -> None:
        self.memory = MemoryAccount()
        self.memory.create("x")
        for number in range(count):
            self.memory.append("x", b"%d" % (number + 1))
        super().__init__(self.memory, self.memory.listed()[0].name, lambda: None)
        self.refused, self.omitted = set(refused), set(omitted)
        self.undescribed: set[RemoteUid] = set()
        self.commands: list[list[RemoteUid]] = []

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        return super().facts([uid for uid in uids if uid not in self.undescribed])

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        self.commands.append(list(uids))
        for fetched in super().fetch(uids, spool):
            if fetched.uid in self.refused:
                raise FetchRefused("NO internal error")
            if fetched.uid not in self.omitted:
                yield fetched


def outcome(mailbox: Mailbox, uids: Sequence[int]) -> tuple[set[RemoteUid], dict[RemoteUid, str | None]]:
    """Return the uids that came, and why the others did not; each once."""
    came: list[RemoteUid] = []
    failed: list[NotFetched] = []
    for item in fetch_each(mailbox, list(uids), no_spool):  # type: ignore[arg-type]
        if isinstance(item, NotFetched):
            failed.append(item)
        else:
            assert isinstance(item.body, MemoryBody)
            assert item.body.octets == str(item.uid).encode()
            came.append(item.uid)
    assert len(came) == len(set(came))
    assert sorted([*came, *(item.uid for item in failed)], key=int) == sorted(uids)
    return set(came), {item.uid: item.why for item in failed}


_SOME = st.lists(st.integers(1, 30), max_size=6)


@given(_SOME, _SOME, _SOME)
def test_each_message_comes_or_has_its_reason(refused: list[int], omitted: list[int], expunged: list[int]) -> None:
    mailbox = Mailbox(30, refused, omitted)
    for uid in set(expunged):
        mailbox.memory.expunge("x", uid)
    came, failed = outcome(mailbox, range(1, 31))
    assert came == set(range(1, 31)) - {*refused, *omitted, *expunged}
    for one, why in failed.items():
        if one in expunged:
            assert why is None
        else:
            assert why == ("NO internal error" if one in refused else OMITTED)


def test_a_refused_message_is_found_by_halving() -> None:
    mailbox = Mailbox(512, refused=[300])
    outcome(mailbox, range(1, 513))
    assert len(mailbox.commands) <= 2 * 10


def test_nothing_that_came_is_asked_for_again() -> None:
    mailbox = Mailbox(64, refused=[64])
    came, _ = outcome(mailbox, range(1, 65))
    assert mailbox.memory.fetches.total() - mailbox.memory.fetches["x", 1, 64] == len(came) == 63


def test_a_message_that_is_listed_and_not_described_is_a_failure_and_not_gone() -> None:
    mailbox = Mailbox(3, omitted=[2])
    mailbox.undescribed = {2}
    assert outcome(mailbox, [1, 2, 3]) == ({1, 3}, {2: OMITTED})


def test_a_server_that_refuses_everything_is_not_asked_for_ever() -> None:
    mailbox = Mailbox(200, refused=range(1, 201))
    with pytest.raises(RefusesEverything, match="NO internal error"):
        outcome(mailbox, range(1, 201))
    alone = [command for command in mailbox.commands if len(command) == 1]
    assert len(alone) == MOST_REFUSED_IN_A_ROW


def test_what_the_source_raises_goes_through_after_what_had_come() -> None:
    class Cut(Mailbox):
        def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
            yield from super().fetch(uids[:2], spool)
            raise ConnectionLost("cut")

    came: list[RemoteUid] = []
    with pytest.raises(ConnectionLost):
        came.extend(item.uid for item in fetch_each(Cut(5), [1, 2, 3], no_spool))  # type: ignore[arg-type]
    assert came == [1, 2]
