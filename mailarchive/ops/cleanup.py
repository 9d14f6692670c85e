"""Remove from the server what the archive has: planned, read back, compared, and written down before it is done."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from mailarchive import facts as f
from mailarchive.archive.archive import Catalog, open_for_reading, open_for_writing
from mailarchive.archive.writer import Writer
from mailarchive.clock import Clock, Stop
from mailarchive.errors import ArchiveDamaged, ExitCode, FetchRefused, Interrupted, MailArchiveError, UsageError
from mailarchive.mail.digest import HEADER_LIMIT, header_digest_of
from mailarchive.mail.mailbox_name import is_named
from mailarchive.model import Digest, HeaderDigest, ListedMailbox, MailboxName, RemoteUid, UidValidity
from mailarchive.ops.cleanup_plan import Candidate, MailboxPlan, Share, batches, differs, plan
from mailarchive.ops.events import Notice, Observer
from mailarchive.records import KnownMailbox, PlacementRecord
from mailarchive.removers.base import OpenRemovable, Remover

_BATCH = 100
"""So many messages are compared at a time."""
_TRASH, _ALL, _JUNK = "\\Trash", "\\All", "\\Junk"
_DAMAGED = "see: mailarchive verify; then: mailarchive repair, and mailarchive pull, which fetches them again"


class Wanted(NamedTuple):
    """What is to be removed: of which mailboxes, how old, how much of each, and whether for good.

    ``trash`` names the mailbox that it is moved to, if not the one with that special use.
    """

    mailboxes: tuple[str, ...]
    older_than: timedelta
    share: Share
    expunges: bool
    trash: str | None = None


@dataclass(slots=True)
class MailboxCleanup:
    """What was planned and done in a mailbox: listed = chosen + the sum of ``kept``. Octets are RFC822.SIZE."""

    mailbox: str
    listed: int = 0
    chosen: int = 0
    octets: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    kept: Counter[str] = field(default_factory=Counter)
    removed: int = 0
    problem: str = ""


@dataclass(slots=True)
class CleanupReport:
    """What was planned and done; ``rehearsed`` says that nothing was to be removed. ``trash`` is where it went."""

    archive: str
    account: str
    rehearsed: bool
    trash: str | None = None
    exit_code: int = 0
    error: str = ""
    hint: str = ""
    mailboxes: list[MailboxCleanup] = field(default_factory=list)


class _Target(NamedTuple):
    """A mailbox, as the archive and as the server know it."""

    known: KnownMailbox
    listed: ListedMailbox


class _Planned(NamedTuple):
    target: _Target
    uidvalidity: UidValidity
    plan: MailboxPlan
    report: MailboxCleanup


def cleanup(
    directory: Path,
    connect: Callable[[], Remover],
    wanted: Wanted,
    observer: Observer,
    clock: Clock,
    stop: Stop,
    *,
    carry_out: bool,
) -> CleanupReport:
    """Plan what is removed from an account, and with ``carry_out`` remove it.

    A message goes only if its octets were read back from the archive and hashed in this run, what the server shows
    under its UID is the same message, and nothing speaks against it (``cleanup_plan``). If any message that was chosen
    is damaged in the archive nothing at all is removed. Each batch is written down, durably, before it is removed, and
    what is gone of it after: a process that dies leaves a line that says what it was about to do.

    Raises UsageError, ArchiveMissing, ArchiveLocked, ArchiveDamaged, and what the server raises before anything is
    removed; after that it is told in the report.
    """

    def tell(text: str) -> None:
        observer(Notice(text))

    if not carry_out:
        with open_for_reading(directory, tell) as archive, _closing(connect()) as remover:
            return _Cleanup(directory, archive.catalog, archive.octets, remover, wanted, clock, stop).rehearse()
    with (
        open_for_writing(directory, "cleanup", clock, tell) as writer,
        writer.catalog() as catalog,
        _closing(connect()) as remover,
    ):
        return _Cleanup(directory, catalog, writer.octets, remover, wanted, clock, stop).run(writer)


@contextmanager
def _closing(remover: Remover) -> Iterator[Remover]:
    try:
        yield remover
    finally:
        remover.close()


class _Cleanup:
    def __init__(
        self,
        directory: Path,
        catalog: Catalog,
        octets: Callable[[Digest], Iterator[bytes]],
        remover: Remover,
        wanted: Wanted,
        clock: Clock,
        stop: Stop,
    ) -> None:
        self._catalog = catalog
        self._octets = octets
        self._remover = remover
        self._wanted = wanted
        self._stop = stop
        self._before = clock.now() - wanted.older_than
        self._begun = {run.number: run.begin for run in catalog.runs()}
        self._trash: MailboxName | None = None
        self.report = CleanupReport(str(directory), remover.account.name, rehearsed=True)

    def rehearse(self) -> CleanupReport:
        self._plan()
        return self.report

    def run(self, writer: Writer) -> CleanupReport:
        self.report.rehearsed = False
        planned = self._plan()
        run = writer.begin("cleanup")
        try:
            for one in planned:
                self._remove(one, writer)
        except MailArchiveError as error:
            self.report.error, self.report.hint = str(error), error.hint
            self.report.exit_code = error.exit_code
        if self._stop.signum:
            self.report.exit_code = 128 + self._stop.signum
        removed = sum(box.removed for box in self.report.mailboxes)
        if not self.report.exit_code and removed < sum(box.chosen for box in self.report.mailboxes):
            self.report.exit_code = ExitCode.PARTIAL
        totals = {"removed": removed, "gone": 0 if self._remover.has_labels else removed}
        writer.end(run, self.report.exit_code, (), {name: count for name, count in totals.items() if count}, {})
        return self.report

    # -- planning --------------------------------------------------------------------------------------------------

    def _plan(self) -> list[_Planned]:
        listed = self._remover.mailboxes()
        targets = [self._target(name, listed) for name in dict.fromkeys(self._wanted.mailboxes)]
        if not self._wanted.expunges:
            self._trash = _trash(listed, self._wanted.trash)
            self.report.trash = str(self._trash)
        self._remover.check(self._trash)
        for target in targets:
            self._check_place(target)
        return [planned for target in targets if (planned := self._plan_one(target)) is not None]

    def _target(self, name: str, listed: Sequence[ListedMailbox]) -> _Target:
        account = self._remover.account.name
        there = [box for box in listed if _is_called(box.name, name)]
        known = {box.name.raw: box for box in self._catalog.mailboxes(account) if box.present}
        if not there:
            raise UsageError(f"the server has no mailbox {name}", hint="see: mailarchive mailboxes")
        if there[0].name.raw not in known:
            raise UsageError(f"the archive has no mailbox {name} of {account}", hint="pull it first: mailarchive pull")
        return _Target(known[there[0].name.raw], there[0])

    def _check_place(self, target: _Target) -> None:
        """Raise UsageError for mailboxes from which messages are not removed by taking them away there."""
        uses, name = target.listed.special_use, target.listed.name
        if self._trash is not None and name.raw == self._trash.raw:
            raise UsageError(f"{name} is the trash itself", hint="with --expunge messages are removed for good")
        if not self._remover.has_labels:
            return
        if self._wanted.trash is not None:
            raise UsageError("at Gmail messages can only go to its own trash", hint="leave out --trash")
        if not uses & {_ALL, _JUNK, _TRASH}:
            raise UsageError(
                f"at Gmail {name} is a label: taking messages away there removes the label, and not the messages",
                hint="name the mailbox with all mail, '[Gmail]/All Mail' (called otherwise in other languages)",
            )
        if self._trash is None and _ALL in uses:
            raise UsageError(
                f"at Gmail messages of {name} can only be moved to the trash, which is emptied after 30 days",
                hint="leave out --expunge",
            )

    def _plan_one(self, target: _Target) -> _Planned | None:
        report = MailboxCleanup(str(target.listed.name))
        self.report.mailboxes.append(report)
        box = self._remover.look(target.listed)
        uidvalidity = box.cursor.uidvalidity
        if lost := self._catalog.lost_uids(target.known.number, uidvalidity):
            raise ArchiveDamaged(
                f"of {target.listed.name} the archive has lost {len(lost)} messages; nothing was removed",
                hint="fetch them again first: mailarchive pull",
            )
        found = plan(self._candidates(box, target.known.number, uidvalidity), self._before, self._wanted.share)
        self._choose(box, found)
        report.listed, report.chosen, report.kept = found.listed, len(found.chosen), found.kept
        report.octets = sum(one.size or 0 for one in found.chosen)
        dates = [one.date for one in found.chosen if one.date is not None]
        report.oldest, report.newest = min(dates, default=None), max(dates, default=None)
        return _Planned(target, uidvalidity, found, report) if found.chosen else None

    def _candidates(self, box: OpenRemovable, mailbox: int, uidvalidity: UidValidity) -> Iterator[Candidate]:
        kept = {
            record.uid: record
            for record in self._catalog.placements(mailbox, gone=False)
            if record.uidvalidity == uidvalidity
        }
        told: set[RemoteUid] = set()
        uids = box.uids()
        for facts in box.facts(uids):
            told.add(facts.uid)
            now = Candidate(facts.uid, facts.size, facts.internaldate, facts.flags)
            yield self._known(now, kept[facts.uid], uidvalidity) if facts.uid in kept else now
        for uid in uids:
            if uid not in told:
                yield Candidate(uid, None, None, frozenset())

    def _known(self, now: Candidate, record: PlacementRecord, uidvalidity: UidValidity) -> Candidate:
        if not self._remover.has_dates:
            # POP3 tells no dates: a message is at least as old as the run that brought it.
            begun = self._begun.get(record.run)
            now, record = now._replace(date=begun), record._replace(date=begun)
        is_old = record.date is not None and record.date < self._before
        sighting = self._catalog.sighting(record.mailbox, uidvalidity, record.uid) if is_old else None
        return now._replace(
            digest=record.digest,
            kept_size=sighting.said_size if sighting else None,
            kept_date=record.date,
            kept_flags=frozenset(record.flags),
            by=record.by,
        )

    def _choose(self, box: OpenRemovable, found: MailboxPlan) -> None:
        """Choose the oldest that are the same here and there, as many as may go: a strange one holds up no other."""
        waiting, chosen, strange = found.able, list[Candidate](), 0
        while waiting and (room := found.most - len(chosen)) > 0:
            some, waiting = waiting[: max(room, _BATCH)], waiting[max(room, _BATCH) :]
            same = self._same(box, some)
            strange += len(some) - len(same)
            chosen += same[:room]
        found.choose(chosen, strange)

    def _same(self, box: OpenRemovable, some: Sequence[Candidate]) -> list[Candidate]:
        """Read messages back from the archive, and return those that the server shows as the same.

        Raises ArchiveDamaged if the archive does not have all of it as it came.
        """
        headers = {one.uid: self._read_back(one) for one in some}
        same: set[RemoteUid] = set()
        for batch in batches(some, _BATCH):
            with suppress(FetchRefused):
                for uid, header in box.headers([one.uid for one in batch]):
                    if uid in headers and header_digest_of(header) == headers[uid]:
                        same.add(uid)
        linked = {one.uid: one for one in some if one.by is not None and one.uid in same}
        same -= linked.keys()
        same |= self._same_octets(box, linked)
        return [one for one in some if one.uid in same]

    def _read_back(self, one: Candidate) -> HeaderDigest:
        """Return the header digest of a message as the archive has it now. Raises ArchiveDamaged if it is not whole."""
        if self._stop.is_set():
            raise Interrupted(self._stop.signum)
        running, head = hashlib.sha256(), b""
        try:
            for piece in self._octets(cast("Digest", one.digest)):
                running.update(piece)
                head += piece[: max(0, HEADER_LIMIT - len(head))]
        except ArchiveDamaged as error:
            raise ArchiveDamaged(f"{error}; nothing was removed", hint=_DAMAGED) from error
        if running.digest() != one.digest:
            raise ArchiveDamaged(f"message {running.hexdigest()} is not what it should be; nothing was removed")
        return header_digest_of(head)

    def _same_octets(self, box: OpenRemovable, linked: dict[RemoteUid, Candidate]) -> set[RemoteUid]:
        """Fetch messages that never came under their UID, as they were recognised; return those that are the same."""
        same: set[RemoteUid] = set()
        for batch in batches(list(linked.values()), _BATCH):
            with suppress(FetchRefused):
                for fetched in box.fetch([one.uid for one in batch], _spool):
                    running = hashlib.sha256()
                    for piece in fetched.body.chunks():
                        running.update(piece)
                    fetched.body.close()
                    if fetched.uid in linked and running.digest() == linked[fetched.uid].digest:
                        same.add(fetched.uid)
        return same

    # -- removing --------------------------------------------------------------------------------------------------

    def _remove(self, planned: _Planned, writer: Writer) -> None:
        if self._stop.is_set():
            return
        box = self._remover.open(planned.target.listed, self._trash)
        if box.cursor.uidvalidity != planned.uidvalidity:
            planned.report.problem = "it was made anew meanwhile (UIDVALIDITY); nothing was removed there"
            return
        for batch in batches(planned.plan.chosen, self._remover.most_at_once):
            if self._stop.is_set():
                return
            self._remove_batch(box, planned, batch, writer)

    def _remove_batch(self, box: OpenRemovable, planned: _Planned, batch: Sequence[Candidate], writer: Writer) -> None:
        uids = self._unchanged(box, batch)
        if not uids:
            return
        mailbox, uidvalidity = planned.target.known.number, planned.uidvalidity
        writer.record(f.Removing(mailbox, uidvalidity, tuple(uids), "expunge" if self._trash is None else "trash"))
        writer.checkpoint()
        box.remove(uids)
        left = {facts.uid for facts in box.facts(uids)}
        gone = [uid for uid in uids if uid not in left]
        planned.report.removed += len(gone)
        if gone:
            removed, ended = f.Removed(mailbox, uidvalidity, tuple(gone)), f.Gone(mailbox, uidvalidity, tuple(gone))
            # Where there are labels, a pull ends the placements of all of a message's mailboxes together.
            writer.record(*((removed,) if self._remover.has_labels else (removed, ended)))
        if left:
            planned.report.problem = "the server says that it removed messages, and still has some of them"

    def _unchanged(self, box: OpenRemovable, batch: Sequence[Candidate]) -> list[RemoteUid]:
        """Return those that are still as they were when they were chosen."""
        now = {facts.uid: facts for facts in box.facts([one.uid for one in batch])}
        found: list[RemoteUid] = []
        for one in batch:
            if (facts := now.get(one.uid)) is not None:
                date = facts.internaldate if self._remover.has_dates else one.date
                if not differs(one, Candidate(one.uid, facts.size, date, facts.flags)):
                    found.append(one.uid)
        return found


def _is_called(name: MailboxName, wanted: str) -> bool:
    return str(name) == wanted or (wanted.upper() == "INBOX" and is_named(str(name), wanted))


def _trash(listed: Sequence[ListedMailbox], given: str | None) -> MailboxName:
    if given is not None:
        found = [box.name for box in listed if _is_called(box.name, given)]
    else:
        found = [box.name for box in listed if _TRASH in box.special_use]
    if not found:
        what = "does not say which mailbox is the trash" if given is None else f"has no mailbox {given}"
        hint = "name it with --trash; with --expunge messages are removed for good"
        raise UsageError(f"the server {what}", hint=hint)
    return found[0]


def _spool() -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile())
