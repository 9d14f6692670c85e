"""Notice a mailbox whose UIDs name other messages although its UIDVALIDITY stayed, and keep the two apart.

Some servers have the same UIDVALIDITY for ever, also for a mailbox that was deleted and made anew. In the archive the
server's number then stands for the first generation; a further one has 2**32 more than the one before.
"""

from collections.abc import Sequence
from dataclasses import replace

from mailarchive.model import LABELLED, Cursor, MessageFacts, RemoteUid, UidValidity
from mailarchive.records import KnownMailbox, Sighting

_GENERATION = 1 << 32
SAMPLE = 10
"""So many messages of a mailbox are looked at again."""


def spoken(uidvalidity: int | None) -> int | None:
    """Return the server's UIDVALIDITY of any generation."""
    return None if uidvalidity is None else uidvalidity % _GENERATION


def continued(cursor: Cursor, known: KnownMailbox | None) -> Cursor:
    """Return a server's cursor as one of the generation that the archive has."""
    if known is None or known.uidvalidity is None or known.uidvalidity >= LABELLED:
        return cursor
    if spoken(known.uidvalidity) != cursor.uidvalidity:
        return cursor
    return replace(cursor, uidvalidity=UidValidity(known.uidvalidity))


def following(cursor: Cursor) -> Cursor:
    """Return the cursor as one of the next generation."""
    return replace(cursor, uidvalidity=UidValidity(cursor.uidvalidity + _GENERATION))


def spread(uids: Sequence[RemoteUid]) -> list[RemoteUid]:
    """Return some of ``uids``, the first and the last among them."""
    step = max(1, (len(uids) - 1) // (SAMPLE - 1)) if uids else 1
    return [*uids[:-1:step][: SAMPLE - 1], *uids[-1:]]


def is_replaced(
    seen: Sequence[Sighting], facts: Sequence[MessageFacts], returned: frozenset[RemoteUid] = frozenset()
) -> bool:
    """Return whether most of the messages that were looked at again are clearly others, or one that ``returned``."""
    now = {item.uid: item for item in facts}
    pairs = [(before, now[before.uid]) for before in seen if before.uid in now]
    others = [before.uid for before, item in pairs if _is_other(before, item)]
    return 2 * len(others) > len(pairs) or not returned.isdisjoint(others)


def _is_other(before: Sighting, item: MessageFacts) -> bool:
    if before.account_id is not None and item.account_id is not None:
        return before.account_id != item.account_id
    if None in {before.date, item.internaldate, item.size}:
        return False
    return before.date != item.internaldate and item.size not in {before.size, before.said_size}
