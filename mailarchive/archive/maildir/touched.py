"""What facts change in the tree."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailarchive.catalog.base import Catalog
from mailarchive.facts import Fact, FlagsChanged, Gone, Lost, MailboxSeen, MailboxVanished, MessageStored, Placed
from mailarchive.model import Digest, RemoteUid
from mailarchive.records import KnownMailbox

Key = tuple[int, RemoteUid]
"""UIDVALIDITY and UID."""


@dataclass(slots=True)
class Touched:
    """What facts change in the tree: mailboxes as a whole, and placements.

    Of a placement that is not in the tree yet, and that one fact tells all about, there is that fact. ``stored`` are
    the messages that came.
    """

    whole: set[int] = field(default_factory=set)
    placements: dict[int, dict[Key, Placed | None]] = field(default_factory=dict)
    stored: dict[Digest, MessageStored] = field(default_factory=dict)

    def add(self, mailbox: int, uidvalidity: int, uid: RemoteUid, told: Placed | None = None) -> None:
        """Note a placement."""
        known = self.placements.setdefault(mailbox, {})
        known[uidvalidity, uid] = None if (uidvalidity, uid) in known else told


def touched_by(facts: Sequence[Fact], catalog: Catalog) -> Touched:
    """Return what ``facts`` change in the tree; ``catalog`` is as it was before them."""
    touched = Touched()
    boxes: dict[int, KnownMailbox] | None = None
    for fact in facts:
        match fact:
            case Placed():
                is_new = catalog.placement(fact.mailbox, fact.uidvalidity, fact.uid) is None
                touched.add(fact.mailbox, fact.uidvalidity, fact.uid, fact if is_new else None)
            case FlagsChanged():
                touched.add(fact.mailbox, fact.uidvalidity, fact.uid)
            case Gone():
                for uid in fact.uids:
                    touched.add(fact.mailbox, fact.uidvalidity, uid)
            case MessageStored():
                touched.stored[fact.digest] = fact
            case Lost():
                _add_all(touched, fact.digest, catalog)
            case MailboxVanished():
                touched.whole.add(fact.mailbox)
            case MailboxSeen():
                boxes = by_number(catalog) if boxes is None else boxes
                if _changes(boxes.get(fact.mailbox), fact):
                    touched.whole.add(fact.mailbox)
            case _:
                pass
    for digest in catalog.lost_among(touched.stored):
        _add_all(touched, digest, catalog)
    return touched


def _add_all(touched: Touched, digest: Digest, catalog: Catalog) -> None:
    """Note all placements of a message whose file is another one now, or none."""
    touched.stored.pop(digest, None)
    for record in catalog.placements_of(digest):
        touched.add(record.mailbox, record.uidvalidity, record.uid)


def by_number(catalog: Catalog) -> dict[int, KnownMailbox]:
    """Return all mailboxes by number."""
    return {box.number: box for box in catalog.mailboxes()}


def _changes(before: KnownMailbox | None, fact: MailboxSeen) -> bool:
    """Return whether more than what the tree does not show of a mailbox is new."""
    return (
        before is None
        or not before.present
        or (before.account, before.name.parts) != (fact.account, fact.parts)
        or before.uidvalidity != fact.uidvalidity
    )
