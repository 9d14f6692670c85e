"""What a catalog answers: the contract of whatever the journal is folded into."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mailarchive.catalog.outgoing import Choice, Restorable
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BlockPacked, Fact, MessageStored, Position
from mailarchive.model import Account, Digest, HeaderDigest, RemoteUid
from mailarchive.records import (
    AccountRuns,
    Here,
    KnownFailure,
    KnownMailbox,
    KnownTarget,
    KnownTargetMailbox,
    Looks,
    MailboxState,
    MailboxSummary,
    PlacementRecord,
    RestoredRecord,
    RunRecord,
    Sighting,
    Totals,
)


class CatalogUnusable(ArchiveDamaged):
    """The catalog is missing, unreadable or of another schema; it can be made anew from the journal."""

    retryable = True
    default_hint = "run the same command again: the catalog is made anew from the journal"


class Catalog(Protocol):
    """The facts of the journal up to ``position``, for queries. All methods raise CatalogUnusable or StorageFailed."""

    def path(self) -> Path | None:
        """Return the file that another process can open as this catalog, or None if there is none."""

    def at_one_moment(self) -> AbstractContextManager[None]:
        """Let all that is asked inside be of one moment; many questions are quicker so. Not to be nested."""

    def position(self) -> Position:
        """Return the place in the journal that the catalog reflects."""

    def apply(self, facts: Iterable[Fact], position: Position) -> None:
        """Fold ``facts`` in and move to ``position``, in one transaction."""

    def run_number(self) -> int:
        """Return the number of the last run; 0 if there was none."""

    def message(self, digest: Digest) -> MessageStored | None:
        """Return where a message is, or None if it is not in the archive (or lost)."""

    def known(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return those of ``digests`` whose octets are in the archive and not lost."""

    def lost_among(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return those of ``digests`` whose octets were in the archive and are lost."""

    def digests(self, prefix: str, limit: int) -> list[Digest]:
        """Return up to ``limit`` digests that start with the hexadecimal ``prefix``."""

    def block(self, number: int) -> BlockPacked | None:
        """Return where a packed block is, or None if it is plain."""

    def blocks(self) -> list[int]:
        """Return the numbers of all blocks that hold messages or are packed, ascending."""

    def newest_block(self) -> int:
        """Return the largest number of a block; 0 if there is none."""

    def block_end(self, block: int) -> int:
        """Return the offset after the last message of a block, left out those whose place is no more; 0 if none."""

    def messages_in(self, block: int) -> list[MessageStored]:
        """Return the messages of a block in order of offset, without lost ones."""

    def segment_ends(self) -> dict[int, int]:
        """Return for each segment the offset after its last frame that has messages; without those cut off."""

    def accounts(self) -> list[Account]:
        """Return all accounts by name."""

    def account_runs(self) -> list[AccountRuns]:
        """Return when each account was pulled last, by name."""

    def mailboxes(self, account: str | None = None) -> list[KnownMailbox]:
        """Return all mailboxes ever listed, of one account or all, by number."""

    def uids(self, mailbox: int, uidvalidity: int, first: int | None = None) -> dict[RemoteUid, bool]:
        """Return the uids of placements whose octets are in the archive, and whether each is present (not gone).

        With ``first`` only IMAP UIDs from that on.
        """

    def each_uid(self, mailbox: int, uidvalidity: int) -> Iterator[tuple[RemoteUid, bool]]:
        """Yield what ``uids`` returns, by uid, without keeping it in memory."""

    def lost_uids(self, mailbox: int, uidvalidity: int) -> list[RemoteUid]:
        """Return the uids of present placements whose octets are lost."""

    def unproved(self, mailbox: int, uidvalidity: int) -> dict[RemoteUid, Digest]:
        """Return the present placements whose message came from a file, and never from a server."""

    def present(self, mailbox: int) -> int:
        """Return how many placements of a mailbox are present and have their octets in the archive."""

    def flags(self, mailbox: int, uidvalidity: int) -> dict[RemoteUid, tuple[str, ...]]:
        """Return the flags of all present placements."""

    def labels(self, mailbox: int, uidvalidity: int) -> dict[RemoteUid, tuple[str, ...]]:
        """Return the Gmail labels of all present placements whose octets are in the archive."""

    def placement(self, mailbox: int, uidvalidity: int, uid: RemoteUid) -> PlacementRecord | None:
        """Return one placement, present or gone."""

    def with_ids(self, account: str, ids: Iterable[str]) -> Iterator[Sighting]:
        """Yield where messages of an account with these account-wide ids were seen, without lost ones."""

    def look_alike(self, looks: Iterable[Looks], here: Here | None) -> set[Looks]:
        """Return those of ``looks`` that a placement has, left out those present ``here``; no date is like any date."""

    def with_header(self, header: HeaderDigest, limit: int) -> list[Sighting]:
        """Return where messages with this header digest were seen, without lost ones, up to ``limit``."""

    def with_form(self, header: HeaderDigest, limit: int) -> list[Sighting]:
        """Return, as ``is_form``, where messages were seen whose form has this header digest; else ``with_header``.

        Not of messages that a server was seen to have with the lines of the program: there they are no program's.
        """

    def sighting(self, mailbox: int, uidvalidity: int, uid: RemoteUid) -> Sighting | None:
        """Return what is known of a placement whose octets are in the archive."""

    def newest(self, mailbox: int, limit: int) -> list[Sighting]:
        """Return the present placements with the largest uids, up to ``limit``."""

    def downloaded(self, account: str, since: datetime) -> int:
        """Return the octets of the messages of an account that were downloaded, in runs begun at ``since`` or later."""

    def left_for_good(self, mailbox: int, run: int) -> int:
        """Return how many placements of a mailbox ended in a run whose message is nowhere else in the account."""

    def failures(self, mailbox: int, uidvalidity: int) -> list[KnownFailure]:
        """Return the messages of a mailbox that could not be fetched."""

    def ledger(self, account: str | None = None) -> list[tuple[KnownMailbox, KnownFailure]]:
        """Return all messages that could not be fetched, of one account or all, by account, mailbox and uid."""

    def summaries(self) -> list[MailboxSummary]:
        """Return counts of every mailbox, by account and name."""

    def placements(self, mailbox: int, *, gone: bool) -> Iterator[PlacementRecord]:
        """Yield the present (or the gone) placements of a mailbox, by uidvalidity and uid."""

    def lay_out(self, path: Path, choice: Choice) -> None:
        """Write a choice of placements to a new file at ``path``, for ``outgoing.Laid`` to read in any process."""

    def begun(self, first_run: int) -> Iterator[PlacementRecord]:
        """Yield the placements that began in ``first_run`` or later, by run, mailbox, uidvalidity and uid."""

    def ended(self, first_run: int) -> Iterator[PlacementRecord]:
        """Yield the placements that ended in ``first_run`` or later, by that run, mailbox, uidvalidity and uid."""

    def mailbox_states(self) -> list[MailboxState]:
        """Return all that mailboxes ever were, in order; the names without what the server called them."""

    def placements_of(self, digest: Digest) -> list[PlacementRecord]:
        """Return where a message is or was."""

    def totals(self) -> Totals:
        """Return sums over everything."""

    def runs(self) -> Iterator[RunRecord]:
        """Yield all runs, oldest first."""

    def run_at(self, moment: datetime) -> int:
        """Return the number of the last run that had begun at ``moment``; 0 if there was none."""

    def restorable(self, mailbox: int, run: int | None = None) -> Iterator[Restorable]:
        """Yield the present placements of a mailbox, or those present right after ``run``, by uidvalidity and uid."""

    def targets(self) -> list[KnownTarget]:
        """Return all targets by number."""

    def target_mailboxes(self, target: int) -> list[KnownTargetMailbox]:
        """Return all mailboxes of a target by number."""

    def restored(self, box: int) -> list[RestoredRecord]:
        """Return what a mailbox of a target was given or found to have, in the order of the journal.

        What was being sent when the journal ends has ``sending`` as its ``how``. Nothing from before the mailbox was
        made anew is told.
        """

    def uploaded(self, target: int, since: datetime) -> int:
        """Return the octets of the messages sent to a target, in runs begun or ended at ``since`` or later."""

    def fingerprint(self) -> tuple[Position, dict[str, str]]:
        """Return the position, and a hash of each table there: equal for equal content however it came about."""

    def close(self) -> None:
        """Release the database."""
