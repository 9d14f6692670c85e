"""The write order: octets, then journal, then catalog; each durable before the next (store/FORMAT.md)."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import BinaryIO, NamedTuple

from mailarchive import __version__
from mailarchive import facts as f
from mailarchive.archive import placing
from mailarchive.archive.layout import Layout
from mailarchive.archive.messages import MessageReader
from mailarchive.archive.partials import Partials
from mailarchive.archive.prepare import Prepared
from mailarchive.archive.sightings import Sightings
from mailarchive.archive.store import Store
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog
from mailarchive.clock import Clock
from mailarchive.errors import ArchiveDamaged, StorageFailed
from mailarchive.journal.log import Log
from mailarchive.model import Account, Cursor, Digest, HeaderDigest, ListedMailbox, MessageFacts, RemoteUid
from mailarchive.store import frames, partial

CHECKPOINT_OCTETS = 32 << 20
CHECKPOINT_FACTS = 4096


class Arrival(NamedTuple):
    """A message that came, and the mailboxes in which its labels place it."""

    facts: MessageFacts
    prepared: Prepared
    also: Sequence[int] = ()


class Added(NamedTuple):
    """What became of a message: ``stored`` says whether its octets were not in the archive yet."""

    digest: Digest
    stored: bool
    size: int


class Writer:
    """Writes facts and octets to an archive whose lock the caller holds. Thread-safe.

    After StorageFailed nothing more is written: what was checkpointed is safe, and the rest is
    checked when the archive is next opened.
    """

    def __init__(self, layout: Layout, catalog: Catalog, store: Store, clock: Clock) -> None:
        self._layout = layout
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._lock = threading.RLock()
        self._log = Log(layout.journal, catalog.position(), frames.compress)
        self._is_together = False
        self._unwritten: list[f.Fact] = []
        """Facts that wait for ``_flush``."""
        self._pending: list[f.Fact] = []
        """Those that the catalog does not have."""
        self._fresh: dict[Digest, f.MessageStored] = {}
        self._octets_since_checkpoint = 0
        self._failed = False
        self._sightings = Sightings(catalog)
        self.partials = Partials(layout.partial, catalog, clock)
        self._last_mailbox = max((mailbox.number for mailbox in catalog.mailboxes()), default=0)

    # -- reading ---------------------------------------------------------------------------------------------------

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """Lend the catalog as of the last checkpoint, while no other thread writes."""
        with self._lock:
            yield self._catalog

    @contextmanager
    def sightings(self) -> Iterator[Sightings]:
        """Lend what is known of messages up to the last fact, while no other thread writes."""
        with self._lock:
            yield self._sightings

    def octets(self, digest: Digest) -> Iterator[bytes]:
        """Yield the exact octets of a message of the archive in pieces. Raises ArchiveDamaged."""
        with self._lock:
            yield from MessageReader(self._store.texts, self._catalog).octets(self._message(digest))

    @contextmanager
    def reading(self) -> Iterator[MessageReader]:
        """Lend one thread a reader of what the last checkpoint covers; it needs no lock. Raises CatalogUnusable."""
        with closing(sqlite.open_existing(self._layout.catalog)) as catalog:
            yield MessageReader(self._store.texts, catalog)

    def spool(self) -> BinaryIO:
        """Return an empty file for a message too large for memory. Raises StorageFailed."""
        return partial.spool(self._layout.partial)

    # -- facts -----------------------------------------------------------------------------------------------------

    def begin(self, command: str) -> int:
        """Begin a run and return its number."""
        with self._lock:
            number = self._catalog.run_number() + 1
            self.record(f.RunBegan(number, self._clock.now(), command, f"mailarchive {__version__}"))
            return number

    def end(
        self,
        run: int,
        exit_code: int,
        accounts: Sequence[str],
        totals: Mapping[str, int],
        mailboxes: Mapping[str, Mapping[str, int]],
        complete: Sequence[str] = (),
    ) -> None:
        """End the run and make everything durable."""
        self.record(f.RunEnded(run, self._clock.now(), exit_code, tuple(accounts), totals, mailboxes, tuple(complete)))
        self.checkpoint()

    def new_mailbox_number(self) -> int:
        """Return a number that no mailbox of the archive has yet."""
        with self._lock:
            self._last_mailbox += 1
            return self._last_mailbox

    def account(self, account: Account) -> None:
        """Record an account, if it is new or reached in another way."""
        with self._lock:
            if account not in self._catalog.accounts():
                self.record(f.AccountSeen(account.name, account.protocol, account.url, account.security))

    def mailbox(self, number: int, account: str, listed: ListedMailbox, uidvalidity: int | None) -> None:
        """Record that the server lists mailbox ``number`` under this name; another UIDVALIDITY ends its placements."""
        with self._lock:
            self._sightings.mailbox(number, account)
        self.record(
            f.MailboxSeen(
                number,
                account,
                listed.name.parts,
                listed.name.raw.decode("latin-1"),
                listed.name.delimiter,
                tuple(sorted(listed.special_use)),
                uidvalidity,
            )
        )

    def mailbox_vanished(self, number: int) -> None:
        """Record that the server lists the mailbox no more."""
        self.record(f.MailboxVanished(number))

    def add(self, mailbox: int, uidvalidity: int, arrivals: Sequence[Arrival]) -> list[Added]:
        """Put messages into the archive, unless they are there, and place each in its mailboxes, last in ``mailbox``.

        When this returns they survive the death of the process; from the next checkpoint on also that of the machine.
        Raises StorageFailed; then neither octets nor facts of what was not written before are left behind.
        """
        with self._lock, self._failing():
            absent = self._absent([arrival.prepared.digest for arrival in arrivals])
            added = [self._add(mailbox, uidvalidity, arrival, absent) for arrival in arrivals]
            self._flush()
            self._checkpoint_if_due()
            return added

    def _add(self, mailbox: int, uidvalidity: int, arrival: Arrival, absent: set[Digest]) -> Added:
        facts, prepared = arrival.facts, arrival.prepared
        is_new = prepared.digest in absent
        if is_new:
            absent.discard(prepared.digest)
            self._put(prepared, facts.internaldate)
        placed = placing.placed(mailbox, uidvalidity, facts, prepared.digest, prepared.size)
        self._unwritten += (*placing.labelled(placed, arrival.also), placed)
        self._sightings.add(placing.sighting(placed, prepared.header, prepared.size))
        return Added(prepared.digest, is_new, prepared.size)

    def absent(self, digests: Sequence[Digest]) -> set[Digest]:
        """Return those of the messages whose octets are not in the archive."""
        with self._lock:
            return self._absent(digests)

    def has_placement(self, mailbox: int, uidvalidity: int, uid: RemoteUid) -> bool:
        """Return whether there was a placement of this name at the last checkpoint."""
        with self._lock:
            return self._catalog.placement(mailbox, uidvalidity, uid) is not None

    def form_of(self, digest: Digest, header: HeaderDigest) -> Digest | None:
        """Return the digest of that form of a message of the archive which has this header. Raises ArchiveDamaged."""
        from mailarchive.mail.variants import form_digest  # noqa: PLC0415 - start-up: only an import needs it

        with self._lock:
            message = self._message(digest)
            self._store.flush()
            return form_digest(MessageReader(self._store.texts, self._catalog).octets(message), message.eol, header)

    def keep(self, prepared: Prepared, date: datetime | None) -> None:
        """Put a message into the archive that is in no mailbox yet; else like ``add``."""
        with self._lock, self._failing():
            if self._absent([prepared.digest]):
                self._put(prepared, date)
            if not self._is_together:
                self._flush()
            self._checkpoint_if_due()

    def place(
        self,
        mailbox: int,
        uidvalidity: int,
        facts: MessageFacts,
        digest: Digest,
        by: str,
        also: Sequence[int] = (),
    ) -> None:
        """Record a placement of a message that is in the archive; ``by`` says how it was identified.

        Its labels place it in mailboxes ``also``, under the same uid.
        """
        with self._lock:
            message = self._message(digest)
            placed = placing.placed(mailbox, uidvalidity, facts, digest, message.size, by)
            self._sightings.add(seen := placing.sighting(placed, message.header, message.size))
            if message.form is not None and message.form_size is not None:
                self._sightings.add(seen._replace(header=message.form, said_size=message.form_size, is_form=True))
            self.record(*placing.labelled(placed, also), placed)

    def flags(self, mailbox: int, uidvalidity: int, uid: RemoteUid, flags: frozenset[str]) -> None:
        """Record the flags that a placement has now."""
        self.record(f.FlagsChanged(mailbox, uidvalidity, uid, tuple(sorted(flags))))

    def labels(self, mailbox: int, uidvalidity: int, uid: RemoteUid, labels: Sequence[str]) -> None:
        """Record the Gmail labels that a placement has now."""
        self.record(f.LabelsChanged(mailbox, uidvalidity, uid, tuple(labels)))

    def gone(self, mailbox: int, uidvalidity: int, uids: Sequence[RemoteUid]) -> None:
        """Record that placements have ended."""
        for start in range(0, len(uids), CHECKPOINT_FACTS):
            self.record(f.Gone(mailbox, uidvalidity, tuple(uids[start : start + CHECKPOINT_FACTS])))

    def failed(self, mailbox: int, uidvalidity: int, uid: RemoteUid, why: str) -> None:
        """Record that a message could not be fetched; what of ``why`` is no text is escaped."""
        why = why.encode("utf-8", "backslashreplace").decode("utf-8")
        self.record(f.Failed(mailbox, uidvalidity, uid, why))

    def cursor(self, mailbox: int, cursor: Cursor, since: str | None, excluded: int) -> None:
        """Record that a mailbox has been read whole as of ``cursor``."""
        self.record(
            f.CursorMoved(
                mailbox, cursor.uidvalidity, cursor.uidnext, cursor.highestmodseq, cursor.messages, since, excluded
            )
        )

    def lost(self, digest: Digest, why: str) -> None:
        """Record that the octets of a message are damaged or missing, so that the next pull fetches it again."""
        self.record(f.Lost(digest, why))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold the lock, and write the facts that are recorded inside the block in one write, or a few.

        If the process dies inside, those not written yet are lost; after an error they are written with the next fact.
        Not to be nested, and nothing that takes another lock may be called inside.
        """
        with self._lock:
            self._is_together = True
            try:
                yield
            finally:
                self._is_together = False
            self.record()

    def record(self, *facts: f.Fact) -> None:
        """Record facts in one write. When this returns they survive the death of the process; see ``add``."""
        with self._lock, self._failing():
            self._unwritten += facts
            if not self._is_together or len(self._unwritten) >= CHECKPOINT_FACTS:
                self._flush()
                self._checkpoint_if_due()

    def _flush(self) -> None:
        """Write octets, then the facts about them."""
        self._store.flush()
        self._log.append(*self._unwritten)
        self._store.told()
        self._pending += self._unwritten
        self._unwritten.clear()

    # -- octets ----------------------------------------------------------------------------------------------------

    def _absent(self, digests: Sequence[Digest]) -> set[Digest]:
        unknown = set(digests).difference(self._fresh)
        return unknown - self._catalog.known(unknown)

    def _message(self, digest: Digest) -> f.MessageStored:
        message = self._fresh.get(digest) or self._catalog.message(digest)
        if message is None:
            raise ArchiveDamaged(f"message {digest.hex()} is not in the archive")
        return message

    def _put(self, prepared: Prepared, date: datetime | None) -> None:
        if not self._store.has_room(prepared.size):
            self._flush()
            self._unwritten += self._store.turn()
        stored = self._store.put(prepared, date)
        self._unwritten.append(stored)
        self._fresh[stored.digest] = stored
        self._octets_since_checkpoint += stored.length

    # -- durability ------------------------------------------------------------------------------------------------

    def _checkpoint_if_due(self) -> None:
        if self._octets_since_checkpoint >= CHECKPOINT_OCTETS or self._log.news >= CHECKPOINT_FACTS:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Make everything durable, then bring the catalog up to it, then what else is derived.

        If the process dies after the journal's checkpoint the catalog is behind, and catches up at the next open.
        """
        with self._lock, self._failing():
            self._unwritten += self._store.news()
            self._flush()
            if not self._log.news:
                return
            self._store.sync()
            position = self._log.checkpoint()
            with self._store.applying(self._pending, self._catalog, position):
                self._catalog.apply(self._pending, position)
            self._pending.clear()
            self._fresh.clear()
            self._sightings.forget()
            self._octets_since_checkpoint = 0
            self.partials.checkpoint()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Remember a failure of the storage: no checkpoint may follow it, and octets without facts must not stay."""
        if self._failed:
            raise StorageFailed("the storage failed before; nothing more is written")
        try:
            yield
        except StorageFailed:
            self._failed = True
            with suppress(StorageFailed):
                self._store.take_back()
            raise

    def close(self) -> None:
        """Finish packing, checkpoint, and close the files; after a failure only close them. Raises StorageFailed."""
        with self._lock:
            try:
                if not self._failed:
                    self._flush()
                    self._unwritten += self._store.finish()
                    self.checkpoint()
            finally:
                self._store.close()
                self._log.close()
                self._catalog.close()
