"""Copies from one mailbox of a target to all others that want what it was sent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mailarchive.archive.messages import MessageReader
from mailarchive.errors import MailboxUnavailable, SourceError
from mailarchive.model import ListedMailbox, MailboxName, MessageFacts, RemoteUid
from mailarchive.ops.copies import Original
from mailarchive.ops.mailbox_restore import MailboxRestore
from mailarchive.ops.restore_common import Common
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import AccountTarget, Copying, OpenTarget


class Copyable(NamedTuple):
    """A message that a mailbox lacks, by its place there, and the one that it can be copied from."""

    place: int
    item: Wanted
    original: Original


class _Group(NamedTuple):
    """What one mailbox lacks, by the UIDs of the originals, ascending."""

    restore: MailboxRestore
    items: Sequence[Copyable]

    @property
    def copying(self) -> Copying:
        uids = [one.original.uid for one in self.items]
        return Copying(uids, self.restore.name, self.restore.uidvalidity)


class MailboxCopies:
    """Copies what others want out of one mailbox: each message once, so that none is there twice after an error.

    What was not copied, or may have been, is left to the mailboxes that want it.
    """

    is_given_up = False

    def __init__(self, source: MailboxName, uidvalidity: int | None, groups: Sequence[_Group], common: Common) -> None:
        self.settled = 0
        self._source = ListedMailbox(source)
        self._uidvalidity = uidvalidity
        self._groups = groups
        self._common = common

    def copy(self, target: AccountTarget, reader: MessageReader) -> None:
        """Copy. Raises SourceError, StorageFailed."""
        del reader
        opened = self._opened(target)
        if opened is None:
            return
        self._groups = self._alike(opened)
        copies = self._common.copies
        if copies.keeps is None:
            with copies.trying:
                if copies.keeps is None:
                    self._try_copy(target, opened)
            opened = self._opened(target)
        if opened is not None and copies.keeps:
            groups, self._groups = self._groups, ()
            self._copy(opened, groups)

    def fail(self, error: MailboxUnavailable) -> None:
        """Leave it: what cannot be copied is sent."""

    def _opened(self, target: AccountTarget) -> OpenTarget | None:
        """Open the mailbox; None if it is not there any more, or another one is in its place."""
        try:
            opened = target.look(self._source)
        except MailboxUnavailable:
            return None
        return opened if opened.cursor.uidvalidity == self._uidvalidity else None

    def _alike(self, opened: OpenTarget) -> list[_Group]:
        """Leave out what has not the size, the date or the flags that the copy should have.

        What this run sent is known to have them.
        """
        doubtful = {one.original.uid for group in self._groups for one in group.items if one.original.kept is None}
        facts = {one.uid: one for one in opened.facts(sorted(doubtful))} if doubtful else {}
        groups = [
            _Group(group.restore, [one for one in group.items if _is_alike(group.restore, one, facts)])
            for group in self._groups
        ]
        return [group for group in groups if group.items]

    def _copy(self, opened: OpenTarget, groups: Sequence[_Group]) -> list[dict[int, int]]:
        """Copy ``groups``; return the UIDs of the copies by those of the originals, for each."""
        found: list[dict[int, int]] = []
        for group in groups:
            group.restore.begin_copying(one.place for one in group.items)
        try:
            for group, copied in zip(groups, opened.copy(group.copying for group in groups), strict=True):
                found.append(dict(copied))
                there = [
                    (one.place, one.item, copied[one.original.uid]) for one in group.items if one.original.uid in copied
                ]
                group.restore.copied(there)
                self.settled += len(there)
        except SourceError:
            for group in groups[len(found) :]:
                group.restore.lose()
            raise
        return found

    def _try_copy(self, target: AccountTarget, opened: OpenTarget) -> None:
        """Copy one message, and see whether the copy has size, date and flags of its original."""
        first = next(self._dated(), None)
        if first is None:
            return
        restore, one = first
        self._groups = [
            _Group(group.restore, [item for item in group.items if (group.restore, item) != first])
            for group in self._groups
        ]
        before = _told(opened, one.original.uid)
        (copied,) = self._copy(opened, [_Group(restore, [one])])
        uid = copied.get(one.original.uid)
        if uid is None:
            return
        changed = _changes(before, _told(target.look(ListedMailbox(restore.name)), uid))
        self._common.copies.keeps = not changed
        if changed:
            self._common.notes.note(
                f"{changed}: what is in several mailboxes is sent to each; message "
                f"{one.item.message.digest.hex()[:12]} in {restore.name}, by which this was found out, is such a copy"
            )

    def _dated(self) -> Iterator[tuple[MailboxRestore, Copyable]]:
        return ((group.restore, one) for group in self._groups for one in group.items if one.item.date is not None)


def _is_alike(restore: MailboxRestore, one: Copyable, facts: Mapping[RemoteUid, MessageFacts]) -> bool:
    """Return whether an original has what its copy should have."""
    item, kept = one.item, restore.kept(one.item)
    if one.original.kept is not None:
        return one.original.kept == kept
    there = facts.get(one.original.uid)
    if there is None or there.size != item.message.size or there.internaldate != (item.date or there.internaldate):
        return False
    return {flag.lower() for flag in there.flags} == {flag.lower() for flag in kept}


def _told(opened: OpenTarget, uid: int) -> MessageFacts | None:
    """Return what the server tells of a message."""
    return next(iter(opened.facts([uid])), None)


def _changes(before: MessageFacts | None, after: MessageFacts | None) -> str:
    """Return in a sentence what is wrong with a copy; empty if nothing is."""
    if before is None or after is None:
        return "the target does not show what it has copied"
    is_same = {
        "size": before.size == after.size,
        "date": before.internaldate == after.internaldate,
        "flags": before.flags == after.flags,
    }
    changed = [word for word, same in is_same.items() if not same]
    return f"the target changes the {' and the '.join(changed)} of what it copies" if changed else ""


def copies_of(restores: Sequence[MailboxRestore], names: Sequence[MailboxName], common: Common) -> list[MailboxCopies]:
    """Return what each mailbox has to give to others: each message that one of those lacks from one mailbox.

    ``names`` are those of all destinations, by their places.
    """
    found: dict[tuple[int, int | None], list[_Group]] = {}
    for restore in restores:
        for (place, uidvalidity), items in _by_source(restore, common).items():
            found.setdefault((place, uidvalidity), []).append(_Group(restore, items))
    return [MailboxCopies(names[place], uidvalidity, groups, common) for (place, uidvalidity), groups in found.items()]


def _by_source(restore: MailboxRestore, common: Common) -> dict[tuple[int, int | None], list[Copyable]]:
    """Return what a mailbox lacks by the mailbox that has it; what is wanted twice is copied once."""
    found: dict[tuple[int, int | None], dict[int, Copyable]] = {}
    for place, item in restore.lacks():
        original = common.copies.original(restore.place, item.message.digest, item.flags, item.date)
        if original is not None:
            there = found.setdefault((original.destination, original.uidvalidity), {})
            there.setdefault(original.uid, Copyable(place, item, original))
    return {source: [there[uid] for uid in sorted(there)] for source, there in found.items()}
