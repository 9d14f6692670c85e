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
from mailarchive.archive.packer import Packer
from mailarchive.archive.partials import Partials
from mailarchive.archive.prepare import Prepared
from mailarchive.archive.sightings import Sightings
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog
from mailarchive.clock import Clock
from mailarchive.errors import ArchiveDamaged, StorageFailed
from mailarchive.files import remove, storage, sync_directory
from mailarchive.journal.log import Log
from mailarchive.model import Account, Cursor, Digest, ListedMailbox, MessageFacts, RemoteUid
from mailarchive.store import frames, partial
from mailarchive.store.blocks import OpenBlock, plain_blocks, plain_path
from mailarchive.store.reader import PackedBlocks

BLOCK_SIZE = 8 << 20
CHECKPOINT_OCTETS = 32 << 20
CHECKPOINT_FACTS = 4096
_BLOCKS_AT_HAND = 8
"""So many blocks the readers keep together: a message that came again later is in another block than its neighbours."""
LEAST_PACKED = 1 << 20
"""A run that added this many octets to the open block packs it at its end; smaller runs leave it plain."""


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

    def __init__(self, layout: Layout, catalog: Catalog, clock: Clock) -> None:
        self._layout = layout
        self._catalog = catalog
        self._clock = clock
        self._lock = threading.RLock()
        self._packed = PackedBlocks(layout.mail, _BLOCKS_AT_HAND)
        self._log = Log(layout.journal, catalog.position(), frames.compress)
        self._is_together = False
        self._unwritten: list[f.Fact] = []
        """Facts that wait for ``_flush``."""
        self._pending: list[f.Fact] = []
        """Those that the catalog does not have."""
        self._fresh: dict[Digest, f.MessageStored] = {}
        self._octets_since_checkpoint = 0
        self._full: list[OpenBlock] = []
        """Blocks that are being packed, and perhaps not durable yet."""
        self._retired: list[int] = []
        self._failed = False
        self._sightings = Sightings(catalog)
        self.partials = Partials(layout.partial, catalog, clock)
        self._last_mailbox = max((mailbox.number for mailbox in catalog.mailboxes()), default=0)
        self._packer = Packer(layout.mail, clock)
        self._block = self._adopt_plain_blocks()
        self._told = self._found_in_block = self._block.end

    def _adopt_plain_blocks(self) -> OpenBlock:
        """Go on with the newest block; pack older ones that a process that died left plain, remove empty ones.

        A power failure may have left nothing of a block although a later one was begun: nothing refers to it.
        """
        newest = self._catalog.newest_block()
        plain = [number for number in plain_blocks(self._layout.mail) if not self._catalog.block(number)]
        current = max([*plain, newest + 1 if self._catalog.block(newest) else max(newest, 1)])
        for number in plain:
            if number != current and self._catalog.block_end(number):
                self._packer.submit(number)
            elif number != current:
                remove(plain_path(self._layout.mail, number))
        return OpenBlock(self._layout.mail, current)

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
            yield from MessageReader(self._packed, self._catalog).octets(self._message(digest))

    @contextmanager
    def reading(self) -> Iterator[MessageReader]:
        """Lend one thread a reader of what the last checkpoint covers; it needs no lock. Raises CatalogUnusable."""
        with closing(sqlite.open_existing(self._layout.catalog)) as catalog:
            yield MessageReader(self._packed, catalog)

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
            self._store(prepared, facts.internaldate)
        placed = placing.placed(mailbox, uidvalidity, facts, prepared.digest, prepared.size)
        self._unwritten += (*placing.labelled(placed, arrival.also), placed)
        self._sightings.add(placing.sighting(placed, prepared.header, prepared.size))
        return Added(prepared.digest, is_new, prepared.size)

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
            self._sightings.add(placing.sighting(placed, message.header, message.size))
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
        """Write octets, then the facts about them; ``_told`` is where the octets end that facts speak of."""
        self._block.flush()
        self._log.append(*self._unwritten)
        self._told = self._block.end
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

    def _store(self, prepared: Prepared, date: datetime | None) -> None:
        if self._block.end and self._block.end + prepared.size > BLOCK_SIZE:
            self._begin_block()
        offset, length = self._block.append(prepared.entry(date))
        stored = f.MessageStored(
            prepared.digest,
            prepared.header,
            prepared.size,
            self._block.number,
            offset,
            length,
            prepared.eol,
            prepared.final,
        )
        self._unwritten.append(stored)
        self._fresh[stored.digest] = stored
        self._octets_since_checkpoint += length

    def _begin_block(self) -> None:
        """Hand the full block to the packer and begin a new one. Both are plain files if the process dies here."""
        self._flush()
        following = OpenBlock(self._layout.mail, self._block.number + 1)
        self._full.append(self._block)
        self._block = following
        self._told = self._found_in_block = self._block.end
        self._packer.submit(self._full[-1].number)
        if self._packer.is_busy:
            self._record_packed(self._packer.finished(wait_for=1))

    def _record_packed(self, packed: Sequence[f.BlockPacked]) -> None:
        """Record frames, which are durable."""
        self._unwritten += packed
        self._retired.extend(frame.block for frame in packed)

    # -- durability ------------------------------------------------------------------------------------------------

    def _checkpoint_if_due(self) -> None:
        if self._octets_since_checkpoint >= CHECKPOINT_OCTETS or self._log.news >= CHECKPOINT_FACTS:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Make everything durable, then bring the catalog up to it, then remove plain blocks that are packed.

        If the process dies after the journal's checkpoint the catalog is behind, and catches up at the next open; if it
        dies before a plain file is removed, that is done at the next open.
        """
        with self._lock, self._failing():
            self._record_packed(self._packer.finished())
            self._flush()
            if not self._log.news:
                return
            self._sync_blocks()
            position = self._log.checkpoint()
            self._catalog.apply(self._pending, position)
            self._pending.clear()
            self._fresh.clear()
            self._sightings.forget()
            self._octets_since_checkpoint = 0
            for number in self._retired:
                remove(plain_path(self._layout.mail, number))
            self._retired.clear()
            self.partials.checkpoint()

    def _sync_blocks(self) -> None:
        """Make durable what is not packed yet."""
        while self._full:
            if self._full[-1].number not in self._retired:
                self._full[-1].sync()
            self._full.pop().close()
        self._block.sync()

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
                self._block.cut(self._told)
            raise

    def close(self) -> None:
        """Finish packing, checkpoint, and close the files; after a failure only close them. Raises StorageFailed."""
        with self._lock:
            try:
                if not self._failed:
                    if self._block.end - self._found_in_block >= LEAST_PACKED:
                        self._begin_block()
                    self._record_packed(self._packer.finish())
                    self.checkpoint()
                    with storage(self._layout.mail):
                        sync_directory(self._layout.mail)
            finally:
                self._packer.close()
                for block in (*self._full, self._block):
                    block.close()
                self._log.close()
                self._catalog.close()
