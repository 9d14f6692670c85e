"""What of an archive is to be in each mailbox of a target."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time
from typing import NamedTuple

from mailarchive.archive.archive import Catalog
from mailarchive.archive.outgoing import Restorable
from mailarchive.errors import UsageError
from mailarchive.facts import MessageStored
from mailarchive.model import Digest, MailboxName
from mailarchive.ops.selection import Selection, is_within
from mailarchive.records import KnownMailbox


class Wanted(NamedTuple):
    """A message that a mailbox should have; ``source`` names where it is from."""

    message: MessageStored
    lost: bool
    date: datetime | None
    flags: tuple[str, ...]
    source: int


class Past(NamedTuple):
    """The archive as it was after ``run``; None: as it is now."""

    run: int | None = None

    def mailboxes(self, catalog: Catalog) -> list[KnownMailbox]:
        """Return the mailboxes by number, called as they were then; those that were not there then are left out."""
        boxes = catalog.mailboxes()
        if self.run is None:
            return boxes
        states = {state.mailbox: state for state in catalog.mailbox_states() if state.run <= self.run}
        return [
            box._replace(name=MailboxName(states[box.number].name.parts, box.name.delimiter, box.name.raw))
            for box in boxes
            if box.number in states and states[box.number].present
        ]


def past(catalog: Catalog, at: datetime | None) -> Past:
    """Return the archive as it was at a moment. Raises UsageError if it is younger."""
    if at is None:
        return Past()
    run = catalog.run_at(at)
    if not run:
        first = next(iter(catalog.runs()), None)
        begun = f"; its first run was on {first.begin:%Y-%m-%d %H:%M} UTC" if first else ""
        day = f"{at:%Y-%m-%d}" if at.time() == time.max else f"{at:%Y-%m-%d %H:%M %z}"
        raise UsageError(f"the archive was not yet there at {day}{begun}", hint="choose a later --at")
    return Past(run)


def wanted_of(catalog: Catalog, sources: Sequence[KnownMailbox], selection: Selection, as_of: Past) -> list[Wanted]:
    """Return what the mailboxes of the archive have, in their order.

    What several of them have is wanted as often as the one has it that has it most often.
    """
    found: list[Wanted] = []
    before: Counter[Digest] = Counter()
    for box in sources:
        here: Counter[Digest] = Counter()
        for item in _restorable(catalog, box, selection, as_of):
            here[item.message.digest] += 1
            if here[item.message.digest] > before[item.message.digest]:
                found.append(Wanted(item.message, item.lost, item.date, item.flags, box.number))
        before |= here
    return found


def has_any(catalog: Catalog, sources: Iterable[KnownMailbox], selection: Selection, as_of: Past) -> bool:
    """Return whether the mailboxes of the archive have anything."""
    return any(True for box in sources for _item in _restorable(catalog, box, selection, as_of))


def _restorable(catalog: Catalog, box: KnownMailbox, selection: Selection, as_of: Past) -> Iterator[Restorable]:
    for item in catalog.restorable(box.number, as_of.run):
        if is_within(item.date, selection):
            yield item


def shared_digests(found: Iterable[Sequence[Wanted]]) -> set[Digest]:
    """Return what more than one of the mailboxes wants."""
    seen: set[int] = set()
    shared: set[Digest] = set()
    for wanted in found:
        here: set[int] = set()
        for item in wanted:
            key = int.from_bytes(item.message.digest[:8], "big")
            if key in seen:
                shared.add(item.message.digest)
            here.add(key)
        seen |= here
    return shared


def missing(wanted: Sequence[Wanted], there: Mapping[Digest, int]) -> tuple[dict[int, Wanted], int]:
    """Return what of ``wanted`` is not ``there`` as often as it should be, by its place, and how many are.

    What is lost is neither.
    """
    left = Counter(there)
    found: dict[int, Wanted] = {}
    known = 0
    for place, item in enumerate(wanted):
        if left[item.message.digest] > 0:
            left[item.message.digest] -= 1
            known += 1
        elif not item.lost:
            found[place] = item
    return found, known
