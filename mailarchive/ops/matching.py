"""Which messages a target has already: by header and size.

What came into the mailbox since the last run began to add to it may be what that run sent and could not write down,
before it was killed or lost the connection: of that the header alone is believed, and where the target has changed
headers the Message-ID with the date. Whatever has more witnesses is matched first, so that of several messages with one
header each is taken for itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from mailarchive.errors import FetchRefused
from mailarchive.mail import headers
from mailarchive.model import HeaderDigest, MessageFacts, RemoteUid
from mailarchive.ops.headers import NO_HEADER, header_digests
from mailarchive.ops.outgoing_mail import Evidence
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import OpenTarget


class Match(NamedTuple):
    """A wanted message that is there, by its place among those that were looked for, and its size there."""

    place: int
    uid: int
    size: int | None = None


def matches(
    opened: OpenTarget, uids: Sequence[int], looked_for: Sequence[Wanted], since: int | None, evidence: Evidence
) -> list[Match]:
    """Return which of ``looked_for`` are among ``uids``, each message there taken for one of them at most.

    ``since`` is the UID from which on messages may have been put there by a run that could not write it down.
    """
    facts = _candidates(opened, uids, looked_for, since)
    digests = header_digests(opened, sorted(facts)) if facts else {}
    found, left = _by_header(facts, digests, looked_for, since, evidence)
    strange = [facts[uid] for uid in left if since is not None and uid >= since]
    taken = {match.place for match in found}
    open_places = [place for place in range(len(looked_for)) if place not in taken]
    return found + _by_message_id(opened, strange, looked_for, open_places, evidence)


def _candidates(
    opened: OpenTarget, uids: Sequence[int], looked_for: Sequence[Wanted], since: int | None
) -> dict[int, MessageFacts]:
    """Return the facts of those messages whose size or date is that of one that is looked for, and of new ones."""
    sizes = {item.message.size for item in looked_for}
    dates = {item.date for item in looked_for if item.date is not None}
    return {
        one.uid: one
        for one in opened.facts(uids)
        if isinstance(one.uid, int)
        and (one.size in sizes or one.internaldate in dates or (since is not None and one.uid >= since))
    }


def _by_header(
    facts: Mapping[int, MessageFacts],
    digests: Mapping[RemoteUid, HeaderDigest],
    looked_for: Sequence[Wanted],
    since: int | None,
    evidence: Evidence,
) -> tuple[list[Match], list[int]]:
    """Return matches by header, those with the most witnesses first, and the UIDs that are left."""
    by_header: dict[HeaderDigest, list[int]] = defaultdict(list)
    for place, item in enumerate(looked_for):
        by_header[item.message.header].append(place)
    found: list[Match] = []
    left = sorted(facts)
    for witnesses in (2, 1, 0):
        rest: list[int] = []
        for uid in left:
            places = by_header.get(digests.get(uid, NO_HEADER), [])
            is_new = since is not None and uid >= since
            fitting = next(
                (place for place in places if _fits(looked_for[place], facts[uid], witnesses, evidence, is_new=is_new)),
                None,
            )
            if fitting is None:
                rest.append(uid)
            else:
                places.remove(fitting)
                found.append(Match(fitting, uid, facts[uid].size))
        left = rest
    return found, left


def _fits(item: Wanted, facts: MessageFacts, witnesses: int, evidence: Evidence, *, is_new: bool) -> bool:
    """Return whether at least so many of size and date are the same; of a message without header both must be.

    Unless it is new, size must be, but for line ends that are CRLF there: what is cut short elsewhere has the same
    header and date.
    """
    same_size = facts.size == item.message.size or facts.size in evidence.with_other_ends(item.message)
    same_date = item.date is not None and facts.internaldate == item.date
    if item.message.header == NO_HEADER:
        return same_size and same_date
    return same_size + same_date >= witnesses and (same_size or is_new)


def _by_message_id(
    opened: OpenTarget,
    strange: Iterable[MessageFacts],
    looked_for: Sequence[Wanted],
    places: Sequence[int],
    evidence: Evidence,
) -> list[Match]:
    """Return matches of new messages whose header the target has changed, by Message-ID and date."""
    by_uid = {one.uid: one for one in strange if one.internaldate is not None}
    if not by_uid:
        return []
    wanted: Mapping[tuple[str, object], list[int]] = defaultdict(list)
    dates = {one.internaldate for one in by_uid.values()}
    for place in places:
        date = looked_for[place].date
        if date in dates and (name := message_id(evidence.head(looked_for[place].message))):
            wanted[name, date].append(place)
    found: list[Match] = []
    with suppress(FetchRefused):
        for uid, header in opened.headers(sorted(uid for uid in by_uid if isinstance(uid, int))) if wanted else ():
            alike = wanted.get((message_id(header), by_uid[uid].internaldate), [])
            if alike and isinstance(uid, int):
                found.append(Match(alike.pop(0), uid, by_uid[uid].size))
    return found


def message_id(head: bytes) -> str:
    """Return the Message-ID in a header; empty if there is none."""
    return headers.fields(head, ("message-id",)).get("message-id", "")


def numbers(uids: Iterable[RemoteUid]) -> list[int]:
    """Return those of ``uids`` that are IMAP's."""
    return [uid for uid in uids if isinstance(uid, int)]
