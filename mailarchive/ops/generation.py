"""Notice a mailbox whose UIDs name other messages although its UIDVALIDITY stayed, and keep the two apart.

Some servers have the same UIDVALIDITY for ever, also for a mailbox that was deleted and made anew. In the archive the
server's number then stands for the first generation; a further one has 2**32 more than the one before.
"""

from collections.abc import Mapping, Sequence

from mailarchive.model import LABELLED, Cursor, HeaderDigest, MessageFacts, RemoteUid, UidValidity
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
    return cursor._replace(uidvalidity=UidValidity(known.uidvalidity))


def following(cursor: Cursor) -> Cursor:
    """Return the cursor as one of the next generation."""
    return cursor._replace(uidvalidity=UidValidity(cursor.uidvalidity + _GENERATION))


def spread(uids: Sequence[RemoteUid]) -> list[RemoteUid]:
    """Return some of ``uids``, the first and the last among them."""
    step = max(1, (len(uids) - 1) // (SAMPLE - 1)) if uids else 1
    return [*uids[:-1:step][: SAMPLE - 1], *uids[-1:]]


def suspects(
    seen: Sequence[Sighting], facts: Sequence[MessageFacts], returned: frozenset[RemoteUid] = frozenset()
) -> list[Sighting]:
    """Return known messages that do not look as they did: if most do not, or one that ``returned``, or a POP3 one.

    A size alone may change with the server, and a date too: their headers tell (``are_others``).
    """
    now = {item.uid: item for item in facts}
    pairs = [(before, now[before.uid]) for before in seen if before.uid in now]
    changed = [before for before, item in pairs if _looks_different(before, item)]
    sure = any(isinstance(before.uid, str) or before.uid in returned for before in changed)
    return changed if sure or 2 * len(changed) > len(pairs) else []


def are_others(changed: Sequence[Sighting], headers: Mapping[RemoteUid, HeaderDigest]) -> bool:
    """Return whether the headers of messages that look different are those of other messages."""
    compared = [before.header != headers[before.uid] for before in changed if before.uid in headers]
    return any(compared) if any(isinstance(one.uid, str) for one in changed) else 2 * sum(compared) > len(compared)


def _looks_different(before: Sighting, item: MessageFacts) -> bool:
    if before.account_id is not None and item.account_id is not None:
        return before.account_id != item.account_id
    has_other_date = None not in {before.date, item.internaldate} and before.date != item.internaldate
    return has_other_date or (item.size is not None and item.size not in {before.size, before.said_size})
