"""What a run changed, worked out from the placements that began and ended in it; pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from mailarchive.model import Digest
from mailarchive.records import MailboxState, PlacementRecord

SAME = 0.8
"""A mailbox that appears with so many of the messages of one that vanishes in the same run is that one, renamed."""

MailboxEvent = Literal["appeared", "vanished", "renamed", "numbered anew"]
Pair = tuple[PlacementRecord, PlacementRecord]
"""The placement that ended, and the one of the same message that began."""


@dataclass(frozen=True, slots=True)
class MailboxChange:
    """``was`` is the old name of a renamed mailbox; ``messages`` are those that came with it, or ended with it."""

    event: MailboxEvent
    account: str
    mailbox: str
    was: str | None = None
    messages: int = 0


@dataclass(slots=True)
class Changes:
    """What one run changed. A message that is only new, or only gone, may be half of a move that the next run ends."""

    mailboxes: list[MailboxChange] = field(default_factory=list)
    moved: list[Pair] = field(default_factory=list)
    new: list[PlacementRecord] = field(default_factory=list)
    gone: list[PlacementRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """Whose mailboxes are, by number, and what they were before and after a run."""

    accounts: Mapping[int, str]
    before: Mapping[int, MailboxState]
    after: Mapping[int, MailboxState]

    def name(self, number: int) -> str:
        """Return the name of a mailbox after the run."""
        return str(self.after[number].name)

    def change(self, event: MailboxEvent, number: int, was: str | None = None, messages: int = 0) -> MailboxChange:
        """Return a change of a mailbox."""
        return MailboxChange(event, self.accounts[number], self.name(number), was, messages)

    def changed(self) -> Iterator[tuple[int, MailboxState | None, MailboxState]]:
        """Yield those that are not what they were."""
        for number, now in self.after.items():
            was = self.before.get(number)
            if was is not now:
                yield number, was, now


def compare(
    boxes: Mailboxes, new: list[PlacementRecord], gone: list[PlacementRecord], earlier: Changes, *, first: set[str]
) -> Changes:
    """Return what a run changed in which ``new`` began and ``gone`` ended; ``earlier`` is what the run before did.

    A mailbox of an account in ``first`` has not appeared: its account has.
    """
    found = Changes(new=new, gone=gone)
    appeared, vanished, renumbered = set[int](), set[int](), set[int]()
    for number, was, now in boxes.changed():
        if was is None or now.present != was.present:
            (appeared if now.present else vanished).add(number)
            continue
        if was.name != now.name:
            found.mailboxes.append(boxes.change("renamed", number, str(was.name)))
        if was.uidvalidity not in {None, now.uidvalidity}:
            renumbered.add(number)
    again = Counter(
        one.mailbox for _, one in _take(boxes, gone, new, lambda old, one: old.mailbox == one.mailbox in renumbered)
    )
    found.mailboxes += [boxes.change("numbered anew", number, None, again[number]) for number in sorted(renumbered)]
    replaced = dict(_replaced(boxes, vanished, appeared, found))
    came = Counter(
        one.mailbox for _, one in _take(boxes, gone, new, lambda old, one: replaced.get(old.mailbox) == one.mailbox)
    )
    found.mailboxes += [boxes.change("renamed", to, boxes.name(old), came[to]) for old, to in replaced.items()]
    left = Counter(one.mailbox for one in gone)
    for number in sorted(vanished - replaced.keys()):
        found.mailboxes.append(boxes.change("vanished", number, None, left[number]))
    for number in sorted(appeared - set(replaced.values())):
        if boxes.accounts[number] not in first:
            found.mailboxes.append(boxes.change("appeared", number))
    for ended, began in ((gone, new), (gone, earlier.new), (earlier.gone, new)):
        found.moved += _take(boxes, ended, began, lambda old, one: old.mailbox != one.mailbox)
    return found


def _replaced(boxes: Mailboxes, vanished: set[int], appeared: set[int], found: Changes) -> Iterator[tuple[int, int]]:
    """Yield pairs (vanished, appeared) of mailboxes with the same messages."""
    left, came = _digests(found.gone, vanished), _digests(found.new, appeared)
    for old, digests in left.items():
        there = [number for number in came if boxes.accounts[number] == boxes.accounts[old]]
        best = max(there, key=lambda number: len(came[number] & digests), default=None)
        if best is not None and len(came[best] & digests) >= SAME * len(digests):
            del came[best]
            yield old, best


def _digests(records: list[PlacementRecord], mailboxes: set[int]) -> dict[int, set[Digest]]:
    found: defaultdict[int, set[Digest]] = defaultdict(set)
    for record in records:
        if record.mailbox in mailboxes:
            found[record.mailbox].add(record.digest)
    return found


def _take(
    boxes: Mailboxes,
    gone: list[PlacementRecord],
    new: list[PlacementRecord],
    fits: Callable[[PlacementRecord, PlacementRecord], bool],
) -> list[Pair]:
    """Take pairs of the same message of an account that fit out of the two lists."""

    def key(record: PlacementRecord) -> tuple[str, Digest]:
        return boxes.accounts[record.mailbox], record.digest

    waiting: defaultdict[tuple[str, Digest], list[PlacementRecord]] = defaultdict(list)
    for record in new:
        waiting[key(record)].append(record)
    pairs: list[Pair] = []
    rest: list[PlacementRecord] = []
    for record in gone:
        there = waiting.get(key(record), [])
        match = next((one for one in there if fits(record, one)), None)
        if match is None:
            rest.append(record)
        else:
            there.remove(match)
            pairs.append((record, match))
    if pairs:
        taken = {id(match) for _, match in pairs}
        new[:] = [record for record in new if id(record) not in taken]
        gone[:] = rest
    return pairs
