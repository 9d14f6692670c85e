"""What a restore writes down: targets, their mailboxes, and what each of them was given."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailarchive import facts as f
from mailarchive.archive.writer import Writer
from mailarchive.model import Account, Digest


class Landed(NamedTuple):
    """A message that a mailbox of a target has; the fields are those of ``facts.Restored``."""

    digest: Digest
    uid: int | None = None
    how: str | None = None
    sent: Digest | None = None


class RestoreLog:
    """Records what is restored; one is made for each writer. Thread-safe.

    What a method was told survives the death of the process when it returns, and that of the machine from the
    writer's next checkpoint on. All methods raise StorageFailed.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        with writer.catalog() as catalog:
            known = catalog.targets()
            boxes = [box for target in known for box in catalog.target_mailboxes(target.number)]
        self._targets = {number: Account(*account) for number, *account in known}
        self._boxes = {(box.target, box.raw): (box.box, box.uidvalidity) for box in boxes}

    def target(self, account: Account) -> int:
        """Return the number of the target with this name; record it if it is new or reached in another way."""
        with self._writer.catalog():
            named = (number for number, known in self._targets.items() if known.name == account.name)
            number = next(named, max(self._targets, default=0) + 1)
            if self._targets.get(number) != account:
                self._writer.record(f.TargetSeen(number, *account))
                self._targets[number] = account
            return number

    def mailbox(
        self, target: int, raw: bytes, delimiter: str | None, uidvalidity: int | None, uidnext: int | None
    ) -> int:
        """Record that a mailbox is about to be added to, and return its number among those of all targets.

        If it was made anew a checkpoint is made, so that the catalog does not tell what the old one had.
        """
        with self._writer.catalog():
            last = max((box for box, _ in self._boxes.values()), default=0)
            box, before = self._boxes.get((target, raw), (last + 1, uidvalidity))
            fact = f.TargetMailboxSeen(box, target, raw.decode("latin-1"), delimiter, uidvalidity, uidnext)
            self._writer.record(fact)
            self._boxes[target, raw] = box, uidvalidity
            if before != uidvalidity:
                self._writer.checkpoint()
            return box

    def sending(self, box: int, digest: Digest) -> None:
        """Record that a message is about to be sent, where it cannot be asked for later whether it arrived."""
        self._writer.record(f.Sending(box, digest))

    def not_taken(self, box: int, digest: Digest) -> None:
        """Record that what ``sending`` announced last of this message did not arrive."""
        self._writer.record(f.NotTaken(box, digest))

    def not_there(self, box: int, gone: Iterable[tuple[Digest, int | None]]) -> None:
        """Record in one write that a mailbox no longer has these messages, by digest and UID."""
        self._writer.record(*(f.NotThere(box, *one) for one in gone))

    def restored(self, box: int, landed: Sequence[Landed]) -> None:
        """Record in one write that a mailbox has these messages."""
        self._writer.record(*(f.Restored(box, *one) for one in landed))
