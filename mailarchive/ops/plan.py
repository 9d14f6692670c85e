"""What a pull has to do for a mailbox, worked out from what was listed and what is known; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from mailarchive.mail.mailbox_name import is_named
from mailarchive.model import ListedMailbox, MessageFacts, RemoteUid
from mailarchive.records import KnownFailure, KnownMailbox

PROMPT_TRIES = 3
LONGEST_WAIT = timedelta(days=7)
BATCH_MESSAGES = 2000
BATCH_OCTETS = 64 << 20
UNKNOWN_SIZE = 64 << 10
LARGE = 8 << 20
"""Octets from which on a message is fetched in pieces, alone."""


@dataclass(slots=True)
class MailboxPlan:
    """What is to be done. Each listed message is in exactly one of ``known``, ``fresh``, ``returned``, ``waiting``."""

    listed: int
    known: int = 0
    fresh: list[RemoteUid] = field(default_factory=list)
    """Not in the archive yet: to be fetched, or left out by date."""
    returned: list[RemoteUid] = field(default_factory=list)
    """Recorded as gone, but listed again."""
    waiting: list[KnownFailure] = field(default_factory=list)
    """Failed before, and not to be tried again yet."""
    gone: list[RemoteUid] = field(default_factory=list)
    """Present in the archive, and listed no more."""
    ended: list[RemoteUid] = field(default_factory=list)
    """Failed before, and listed no more."""


def is_selected(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Return whether mailbox ``name`` fits a glob of ``include`` (or that is empty) and none of ``exclude``."""
    if any(is_named(name, glob) for glob in exclude):
        return False
    return not include or any(is_named(name, glob) for glob in include)


def is_unchanged(known: KnownMailbox, listed: ListedMailbox, since: date | None) -> bool:
    """Return whether the server's cursor says that nothing happened since the mailbox was read whole.

    Without HIGHESTMODSEQ the server cannot say so: flags may have changed.
    """
    cursor = listed.cursor
    return (
        known.present
        and cursor is not None
        and cursor == known.cursor
        and None not in (cursor.uidnext, cursor.highestmodseq, cursor.messages)
        and known.since == iso(since)
    )


def iso(since: date | None) -> str | None:
    """Return a date as it is journaled."""
    return None if since is None else since.isoformat()


def is_due(failure: KnownFailure, now: datetime) -> bool:
    """Return whether a failed message is tried again."""
    return now >= due_at(failure)


def due_at(failure: KnownFailure) -> datetime:
    """Return from when on a failed message is tried again: at once in the beginning, then at growing distance."""
    if failure.tries < PROMPT_TRIES:
        return failure.last
    return failure.last + min(timedelta(hours=2 ** min(failure.tries - PROMPT_TRIES, 16)), LONGEST_WAIT)


def compare(
    uids: Sequence[RemoteUid],
    known: Iterable[tuple[RemoteUid, bool]],
    failures: Sequence[KnownFailure],
    now: datetime,
    wanting: Sequence[RemoteUid] = (),
) -> MailboxPlan:
    """Return the plan for a mailbox listed whole.

    ``known`` says of each uid whose octets are in the archive whether it is present; those ``wanting`` are present
    without octets, or with such as are to be had anew. The former are taken as they come: a large mailbox has many.
    """
    held_back = {failure.uid: failure for failure in failures if not is_due(failure, now)}
    left = set(uids)
    plan = MailboxPlan(len(uids))
    plan.ended.extend(failure.uid for failure in failures if failure.uid not in left)
    vanished = [uid for uid in wanting if uid not in left]
    for uid, present in known:
        if uid in left:
            left.discard(uid)
            if present:
                plan.known += 1
            else:
                plan.returned.append(uid)
        elif present:
            plan.gone.append(uid)
    plan.gone.extend(vanished)
    for uid in uids if left else ():
        if uid in left:
            if uid in held_back:
                plan.waiting.append(held_back[uid])
            else:
                plan.fresh.append(uid)
    return plan


def is_too_old(facts: MessageFacts, since: date | None) -> bool:
    """Return whether INTERNALDATE (in its own zone) is before ``since``; a message without date never is."""
    return since is not None and facts.internaldate is not None and facts.internaldate.date() < since


def is_large(facts: MessageFacts) -> bool:
    """Return whether a message is to be fetched in pieces."""
    return facts.size is not None and facts.size >= LARGE


def batches(messages: Iterable[MessageFacts], *, shared: bool = True) -> Iterator[list[MessageFacts]]:
    """Yield ``messages`` in batches bounded in count and octets; at least one message in each, a large one alone.

    What is not ``shared`` by several connections may be any number: between two batches a connection has nothing to
    do for a round trip.
    """
    batch: list[MessageFacts] = []
    octets = 0
    for facts in messages:
        size = UNKNOWN_SIZE if facts.size is None else facts.size
        is_full = (shared and len(batch) >= BATCH_MESSAGES) or octets + size > BATCH_OCTETS
        if batch and (is_full or is_large(facts)):
            yield batch
            batch, octets = [], 0
        if is_large(facts):
            yield [facts]
            continue
        batch.append(facts)
        octets += size
    if batch:
        yield batch
