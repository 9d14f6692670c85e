"""Fetch many so that no message can hold up the others: what is refused is isolated, what is omitted asked again."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mailarchive.errors import FetchRefused, RefusesEverything
from mailarchive.model import Fetched, RemoteUid
from mailarchive.sources.base import OpenMailbox, Spool

MOST_REFUSED_IN_A_ROW = 20
OMITTED = "the server sent no octets for this message"


class NotFetched(NamedTuple):
    """A message that did not come: ``why`` in the server's words, or None if it is no longer in the mailbox."""

    uid: RemoteUid
    why: str | None


Rescue = Callable[[RemoteUid], Fetched | None]
"""Tries to bring a message that is there and did not come by itself."""


def fetch_each(
    opened: OpenMailbox, uids: Sequence[RemoteUid], spool: Spool, rescue: Rescue | None = None
) -> Iterator[Fetched | NotFetched]:
    """Yield for each of ``uids`` either the message or why it did not come.

    A refused batch is halved until the refused message stands alone; then it is left to ``rescue``. Raises
    RefusesEverything, and what the source raises when its connection is of no more use.
    """
    waiting: deque[list[RemoteUid]] = deque([list(uids)])
    refused_in_a_row = 0
    while waiting:
        batch = waiting.popleft()
        missing = dict.fromkeys(batch)
        refusal: FetchRefused | None = None
        try:
            for fetched in opened.fetch(batch, spool):
                missing.pop(fetched.uid, None)
                refused_in_a_row = 0
                yield fetched
        except FetchRefused as error:
            refusal = error
        left = list(missing)
        if not left:
            continue
        if len(batch) == 1:
            why = (str(refusal) if refusal else OMITTED) if _still_there(opened, left) else None
            rescued = rescue(left[0]) if rescue and why is not None else None
            if refusal:
                refused_in_a_row = 0 if rescued else refused_in_a_row + 1
                if refused_in_a_row >= MOST_REFUSED_IN_A_ROW:
                    raise RefusesEverything(f"the server refuses one message after the other: {refusal}") from refusal
            yield rescued or NotFetched(left[0], why)
        elif refusal:
            half = (len(left) + 1) // 2
            waiting.extendleft(part for part in (left[half:], left[:half]) if part)
        else:
            there = _still_there(opened, left)
            yield from (NotFetched(uid, None) for uid in left if uid not in there)
            waiting.extendleft([uid] for uid in reversed(left) if uid in there)


def _still_there(opened: OpenMailbox, uids: Sequence[RemoteUid]) -> set[RemoteUid]:
    """Return those of ``uids`` that were not expunged meanwhile; servers may leave out facts as well as octets."""
    found = {facts.uid for facts in opened.facts(uids)}
    return found if len(found) == len(uids) else found.union(set(opened.uids()).intersection(uids))
