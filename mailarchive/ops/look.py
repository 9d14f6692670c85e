"""Compare a mailbox at the server with the archive, writing nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime

from mailarchive.archive.archive import Catalog
from mailarchive.model import Cursor, Digest, ListedMailbox, MessageFacts, RemoteUid
from mailarchive.ops import plan as plans
from mailarchive.ops.generation import SAMPLE, are_others, continued, following, spoken, spread, suspects
from mailarchive.ops.headers import header_digests
from mailarchive.ops.options import PullOptions
from mailarchive.ops.plan import MailboxPlan
from mailarchive.records import KnownMailbox, Sighting
from mailarchive.sources.base import OpenMailbox

Lend = Callable[[], AbstractContextManager[Catalog]]
"""Lends the catalog for as long as nobody writes."""

LARGEST_GAP = 50_000
FEW = 500


@dataclass(slots=True)
class Look:
    """What one look at an opened mailbox found out."""

    listed: ListedMailbox
    known: KnownMailbox | None
    cursor: Cursor
    plan: MailboxPlan
    returned: list[MessageFacts] = field(default_factory=list)
    """Facts of the messages of ``plan.returned``."""
    flags: list[tuple[RemoteUid, frozenset[str]]] = field(default_factory=list)
    relabelled: list[MessageFacts] = field(default_factory=list)
    """Facts of known messages that have other Gmail labels now."""
    tries: dict[RemoteUid, int] = field(default_factory=dict)
    """How often each message of the failure ledger was tried."""
    missing: int = 0
    """How many more messages the server announced than it lists."""
    unproved: Mapping[RemoteUid, Digest] = field(default_factory=dict)
    """Known messages that are to be downloaded, to be compared with what the archive has for them."""


def first_wanted(listed: ListedMailbox, known: KnownMailbox | None, most: int) -> int | None:
    """Return from which UID on facts of all messages will be asked for, if surely not of more than ``most``."""
    cursor, before = listed.cursor, known.cursor if known else None
    if cursor is None:
        return None
    if before is None or before.uidvalidity != cursor.uidvalidity:
        is_new = known is None and cursor.messages is not None and 0 < cursor.messages <= most
        return 1 if is_new else None
    if before.uidnext is None or cursor.uidnext is None:
        return None
    return before.uidnext if 0 < cursor.uidnext - before.uidnext <= most else None


def look(
    lend: Lend,
    opened: OpenMailbox,
    listed: ListedMailbox,
    known: KnownMailbox | None,
    options: PullOptions,
    now: datetime,
    *,
    labelled: bool = False,
) -> Look:
    """Find out what is new, gone and changed, labels too if it is ``labelled``. Raises what the source raises.

    If the pull is ``paranoid`` what is only known from files counts as new.
    """
    cursor = continued(opened.cursor, known)
    number = known.number if known else 0
    with lend() as catalog:
        failures = catalog.failures(number, cursor.uidvalidity)
        unproved = catalog.unproved(number, cursor.uidvalidity) if options.paranoid else {}
    found = None if failures or unproved else _look_at_new(lend, opened, cursor, known, options.since)
    if found is None:
        uids = opened.uids()
        with lend() as catalog:
            wanting = [*catalog.lost_uids(number, cursor.uidvalidity), *unproved]
            in_archive = (pair for pair in catalog.each_uid(number, cursor.uidvalidity) if pair[0] not in unproved)
            found = plans.compare(uids, in_archive, failures, now, wanting)
        shared = _shared(uids, found)
    else:
        with lend() as catalog:
            shared = [seen.uid for seen in catalog.newest(number, SAMPLE)]
    returned = list(opened.facts(found.returned)) if found.returned else []
    sample = spread(shared) if spoken(cursor.uidvalidity) else shared
    before = _sightings(lend, number, cursor, [*sample, *found.returned])
    changed = suspects(before, [*returned, *_again(opened, sample)], frozenset(found.returned))
    if changed and are_others(changed, header_digests(opened, spread([one.uid for one in changed]))):
        cursor, failures, returned, unproved = following(cursor), [], [], {}
        found = plans.compare(opened.uids(), (), failures, now)
    missing = max(0, (cursor.messages or 0) - found.listed)
    tries = {failure.uid: failure.tries for failure in failures}
    result = Look(listed, known, cursor, found, returned, missing=missing, tries=tries, unproved=unproved)
    if known and found.known:
        if labelled:
            _compare_facts(lend, opened, result, known)
        else:
            result.flags.extend(_changed_flags(lend, opened, cursor, known))
    return result


def _shared(uids: Sequence[RemoteUid], found: MailboxPlan) -> Sequence[RemoteUid]:
    """Return those of the listed ``uids`` that the archive has as present."""
    if found.known in {0, len(uids)}:
        return uids if found.known else ()
    others = {*found.fresh, *found.returned, *(failure.uid for failure in found.waiting)}
    return [uid for uid in uids if uid not in others]


def _again(opened: OpenMailbox, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
    return opened.facts(uids) if uids else iter(())


def _sightings(lend: Lend, number: int, cursor: Cursor, uids: Sequence[RemoteUid]) -> list[Sighting]:
    with lend() as catalog:
        seen = (catalog.sighting(number, cursor.uidvalidity, uid) for uid in uids)
        return [one for one in seen if one is not None]


def _look_at_new(
    lend: Lend, opened: OpenMailbox, cursor: Cursor, known: KnownMailbox | None, since: date | None
) -> MailboxPlan | None:
    """Look only at UIDs from the last UIDNEXT on; None if that cannot account for every message.

    What the archive has, plus what is new, is as many as the server has: then nothing has vanished.
    """
    if known is None or known.cursor is None or known.excluded or known.since != plans.iso(since):
        return None
    first, end = known.cursor.uidnext, cursor.uidnext
    if known.cursor.uidvalidity != cursor.uidvalidity or first is None or end is None:
        return None
    if not 0 <= end - first <= LARGEST_GAP:
        return None
    listed = [facts.uid for facts in opened.facts(range(first, end))] if end > first else []
    with lend() as catalog:
        seen = catalog.uids(known.number, cursor.uidvalidity, first)
        present = catalog.present(known.number)
    fresh = sorted((uid for uid in listed if uid not in seen), key=int)
    if cursor.messages != present + len(fresh) or not all(seen.get(uid, True) for uid in listed):
        return None
    return MailboxPlan(present + len(fresh), known=present, fresh=list(fresh))


def _changed_flags(
    lend: Lend, opened: OpenMailbox, after: Cursor, known: KnownMailbox
) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
    """Yield the flags that differ from the archive's: by CONDSTORE where offered, else compared one by one."""
    before = known.cursor
    if before and before.uidvalidity == after.uidvalidity and before.highestmodseq and after.highestmodseq:
        if after.highestmodseq == before.highestmodseq:
            return
        changed = list(opened.flags_since(before.highestmodseq))
        with lend() as catalog:
            if _are_few(catalog, known.number, len(changed)):
                for uid, flags in changed:
                    record = catalog.placement(known.number, after.uidvalidity, uid)
                    if record and record.gone_at is None and frozenset(record.flags) != flags:
                        yield uid, flags
                return
    else:
        changed = []
    with lend() as catalog:
        recorded = catalog.flags(known.number, after.uidvalidity)
    for uid, flags in changed or opened.flags(sorted(recorded, key=_order)):
        if uid in recorded and frozenset(recorded[uid]) != flags:
            yield uid, flags


def _compare_facts(lend: Lend, opened: OpenMailbox, result: Look, known: KnownMailbox) -> None:
    """Find messages whose flags or Gmail labels differ from the archive's: by CONDSTORE where offered, else of all."""
    before, after = known.cursor, result.cursor
    changed: list[RemoteUid] | None = None
    if before and before.uidvalidity == after.uidvalidity and before.highestmodseq and after.highestmodseq:
        if after.highestmodseq == before.highestmodseq:
            return
        changed = [uid for uid, _flags in opened.flags_since(before.highestmodseq)]
    flags, labels = _recorded(lend, known.number, after, changed)
    uids = sorted(labels, key=_order) if changed is None else [uid for uid in changed if uid in labels]
    for facts in opened.facts(uids) if uids else ():
        # A server that does not tell the id does not tell the labels either.
        if facts.account_id is None or facts.uid not in labels:
            continue
        if set(labels[facts.uid]) != set(facts.labels):
            result.relabelled.append(facts)
        if frozenset(flags[facts.uid]) != facts.flags:
            result.flags.append((facts.uid, facts.flags))


def _recorded(
    lend: Lend, number: int, cursor: Cursor, changed: Sequence[RemoteUid] | None
) -> tuple[dict[RemoteUid, tuple[str, ...]], dict[RemoteUid, tuple[str, ...]]]:
    """Return flags and Gmail labels of the present messages of a mailbox, or only of a few that ``changed``."""
    with lend() as catalog:
        if changed is None or not _are_few(catalog, number, len(changed)):
            return catalog.flags(number, cursor.uidvalidity), catalog.labels(number, cursor.uidvalidity)
        records = [catalog.placement(number, cursor.uidvalidity, uid) for uid in changed]
    present = [record for record in records if record is not None and record.gone_at is None]
    return {record.uid: record.flags for record in present}, {record.uid: record.labels for record in present}


def _are_few(catalog: Catalog, mailbox: int, changed: int) -> bool:
    """Return whether ``changed`` messages are looked up one by one sooner than all of the mailbox are read."""
    return changed <= max(FEW, catalog.present(mailbox) // 10)


def _order(uid: RemoteUid) -> tuple[int, str]:
    return (uid, "") if isinstance(uid, int) else (0, uid)
