"""Gmail by labels: messages are read once, where all mail is, and its labels fill the mailboxes that show them."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailarchive.archive.placing import BY_LABEL
from mailarchive.model import Cursor, Digest, ListedMailbox, MessageFacts, RemoteUid, UidValidity
from mailarchive.ops import plan as plans
from mailarchive.ops.advice import about_ceilings
from mailarchive.ops.look import FEW, Lend, Look
from mailarchive.ops.options import PullOptions
from mailarchive.ops.report import AccountReport, MailboxReport
from mailarchive.ops.survey import unread
from mailarchive.ops.views import Views, is_in_step, label_key, label_of, labelled, mark
from mailarchive.providers import Provider
from mailarchive.records import Here, KnownMailbox, PlacementRecord

Recorded = Mapping[RemoteUid, tuple[str, ...]]
"""The labels of each known message of all mail."""
_SHOWN = 3
_MAY_HAVE_LEFT = 2


class Recorder(Protocol):
    """What of a Writer is needed here; a rehearsal has one that records nothing."""

    def new_mailbox_number(self) -> int: ...
    def mailbox(self, number: int, account: str, listed: ListedMailbox, uidvalidity: int | None) -> None: ...
    def mailbox_vanished(self, number: int) -> None: ...
    def place(self, mailbox: int, uidvalidity: int, facts: MessageFacts, digest: Digest, by: str) -> None: ...
    def gone(self, mailbox: int, uidvalidity: int, uids: Sequence[RemoteUid]) -> None: ...
    def flags(self, mailbox: int, uidvalidity: int, uid: RemoteUid, flags: frozenset[str]) -> None: ...
    def cursor(self, mailbox: int, cursor: Cursor, since: str | None, excluded: int) -> None: ...


@dataclass(slots=True, eq=False)
class Box:
    """A mailbox that shows a label. Before ``begin`` its report has what the archive has."""

    listed: ListedMailbox
    known: KnownMailbox | None
    report: MailboxReport
    is_listed: bool
    number: int


class Labels:
    """The selected mailboxes of one account that show labels. Thread-safe.

    They are filled before the mailbox with all mail is written to: if the process dies in between, the next run finds
    the same changes there and does them again. A placement has the UIDVALIDITY and UID of the message in all mail.
    A mailbox that has exactly what the recorded labels give it is marked by its cursor; a run that leaves it out while
    all mail changes takes the mark away.
    """

    def __init__(self, views: Views, account: str, recorder: Recorder, lend: Lend, options: PullOptions) -> None:
        self._views = views
        self._account = account
        self._recorder = recorder
        self._lend = lend
        self._options = options
        self._lock = threading.RLock()
        self._look: Look | None = None
        self._known: Mapping[bytes, KnownMailbox] = {}
        self._by_label: dict[str, Box | None] = {}
        self._left_out: list[KnownMailbox] = []

    @property
    def source(self) -> ListedMailbox:
        """The mailbox with all mail."""
        return self._views.source

    @property
    def boxes(self) -> list[Box]:
        """The mailboxes that are filled."""
        return [box for box in self._by_label.values() if box is not None]

    @property
    def counts(self) -> dict[str, MailboxReport]:
        """What was counted, by mailbox number, if all mail was looked at."""
        return {str(box.number): box.report for box in self.boxes} if self._look else {}

    @property
    def _source_validity(self) -> UidValidity:
        return self._look.cursor.uidvalidity if self._look else UidValidity(0)

    @property
    def _validity(self) -> UidValidity:
        return labelled(self._source_validity)

    def survey(self, listed: Iterable[ListedMailbox], known: Mapping[bytes, KnownMailbox]) -> None:
        """Take in what the server lists, and what the archive has by the server's name."""
        self._known = known
        here = {mailbox.name.raw: mailbox for mailbox in listed}
        for mailbox in here.values():
            self._take(mailbox, is_listed=True)
        for raw, record in known.items():
            if record.present and raw not in here:
                self._take(ListedMailbox(record.name, frozenset(record.special_use)), is_listed=False)

    def _take(self, mailbox: ListedMailbox, *, is_listed: bool) -> None:
        key = label_of(mailbox.name, mailbox.special_use)
        if key in self._by_label or not (is_listed or self._views.show(mailbox.name, mailbox.special_use)):
            return
        self._by_label[key] = None
        if self._is_selected(mailbox):
            if self._views.show(mailbox.name, mailbox.special_use):
                self._by_label[key] = self._box(mailbox, is_listed=is_listed)
        elif known := self._known.get(mailbox.name.raw):
            self._left_out.append(known)

    def _is_selected(self, mailbox: ListedMailbox) -> bool:
        return plans.is_selected(str(mailbox.name), self._options.mailboxes, self._options.exclude)

    def _box(self, mailbox: ListedMailbox, *, is_listed: bool) -> Box:
        known, present = self._known.get(mailbox.name.raw), 0
        if known is not None:
            with self._lend() as catalog:
                present = catalog.present(known.number)
        report = MailboxReport(str(mailbox.name), present, known=present)
        return Box(mailbox, known, report, is_listed, known.number if known else 0)

    # -- what changed where all mail is ------------------------------------------------------------------------------

    def begin(self, look: Look) -> None:
        """Record what a look at all mail changes: mailboxes, labels, flags, and what has vanished."""
        with self._lock:
            self._look = look
            for known in self._left_out:
                if is_in_step(known, self._source_validity):
                    self._recorder.cursor(known.number, mark(0), None, 0)
            for box in self.boxes:
                self._open(box)
            for facts in look.relabelled:
                self._of(facts.labels)
            recorded: Recorded = {}
            if look.known and not all(map(self._is_in_step, self.boxes)):
                with self._lend() as catalog:
                    labels = catalog.labels(look.known.number, self._source_validity)
                recorded = {uid: labels[uid] for uid in labels.keys() - set(look.plan.gone)}
                recorded |= {facts.uid: facts.labels for facts in look.relabelled}
            self._align(look, recorded)
            for box in self.boxes:
                self._update(box, look, recorded)

    def _open(self, box: Box) -> None:
        """Record that there is the mailbox; if it was not filled from labels until now, its placements end."""
        known, listed = box.known, box.listed
        is_there = known is not None and known.present and known.uidvalidity == self._validity
        if not is_there:
            box.report.gone, box.report.known, box.report.listed = box.report.known, 0, 0
        if known is None:
            box.number = self._recorder.new_mailbox_number()
        if (
            known is None
            or not is_there
            or known.name != listed.name
            or known.special_use != tuple(sorted(listed.special_use))
        ):
            self._recorder.mailbox(box.number, self._account, listed, self._validity)

    def _is_in_step(self, box: Box) -> bool:
        """Return whether only what changed where all mail is has to be done: not if that was gone in between."""
        source = self._look.known if self._look else None
        return source is not None and source.present and is_in_step(box.known, self._source_validity)

    def _align(self, look: Look, recorded: Recorded) -> None:
        """Bring mailboxes that are not in step in line with the labels of what the archive has of all mail."""
        wanted: dict[Box, list[RemoteUid]] = {}
        for uid, names in recorded.items():
            for box in self._of(names):
                wanted.setdefault(box, []).append(uid)
        for box in self.boxes:
            if not self._is_in_step(box):
                self._align_one(box, look.known.number if look.known else 0, wanted.get(box, []))
                self._recorder.cursor(box.number, mark(self._source_validity), None, 0)

    def _align_one(self, box: Box, number: int, wanted: Sequence[RemoteUid]) -> None:
        with self._lend() as catalog:
            flags = catalog.flags(box.number, self._validity)
            whole = catalog.labels(box.number, self._validity).keys()
        # What is damaged is fetched again, and placed anew with the labels that it has then.
        if damaged := list(flags.keys() - whole):
            self._recorder.gone(box.number, self._validity, damaged)
        self._leave(box, list(whole - set(wanted)))
        for record in self._records((number, self._source_validity), wanted):
            if record.uid not in flags:
                self._enter(box, _facts(record), record.digest)
            elif flags[record.uid] != record.flags:
                self._reflag(box, record.uid, frozenset(record.flags))

    def _records(self, here: Here, uids: Sequence[RemoteUid]) -> Iterator[PlacementRecord]:
        """Yield placements of a mailbox, a few at a time, so that others can write in between."""
        for start in range(0, len(uids), FEW):
            with self._lend() as catalog:
                records = [catalog.placement(*here, uid) for uid in uids[start : start + FEW]]
            yield from filter(None, records)

    def _update(self, box: Box, look: Look, recorded: Recorded) -> None:
        """Record in one mailbox what changed since the last run."""
        number = look.known.number if look.known else 0
        labelled = {facts.uid: facts for facts in look.relabelled if box in self._of(facts.labels)}
        leaving = [*look.plan.gone, *(facts.uid for facts in look.relabelled if facts.uid not in labelled)]
        reflagged = dict(look.flags)
        present = self._present(box, [*leaving, *labelled, *reflagged], recorded)
        self._leave(box, [uid for uid in leaving if uid in present])
        for uid in reflagged.keys() & present - set(leaving):
            self._reflag(box, uid, reflagged[uid])
        for record in self._records((number, self._source_validity), [uid for uid in labelled if uid not in present]):
            self._enter(box, labelled[record.uid], record.digest)

    def _present(self, box: Box, uids: Sequence[RemoteUid], recorded: Recorded) -> set[RemoteUid]:
        """Return which of the messages of all mail ``box`` has, now that it is in step."""
        if not self._is_in_step(box):
            return {uid for uid in uids if box in self._of(recorded.get(uid, ()))}
        if len(uids) <= FEW:
            return {
                record.uid for record in self._records((box.number, self._validity), uids) if record.gone_at is None
            }
        with self._lend() as catalog:
            here = catalog.uids(box.number, self._validity)
        return {uid for uid in uids if here.get(uid)}

    # -- messages that come ------------------------------------------------------------------------------------------

    def arriving(self, facts: MessageFacts) -> tuple[int, ...]:
        """Return the mailboxes in which a message that is new in all mail is to be placed too, and count it there."""
        with self._lock:
            boxes = self._of(facts.labels)
            for box in boxes:
                _count_new(box)
            return tuple(box.number for box in boxes)

    def _of(self, labels: Iterable[str]) -> list[Box]:
        """Return the mailboxes that show ``labels``; those that the server does not list are made."""
        found = []
        for key, label in {label_key(label): label for label in labels}.items():
            if key not in self._by_label:
                self._by_label[key] = self._made(label)
            if box := self._by_label[key]:
                found.append(box)
        return found

    def _made(self, label: str) -> Box | None:
        mailbox = self._views.named(label)
        if mailbox is None or not self._is_selected(mailbox):
            return None
        box = self._box(mailbox, is_listed=False)
        self._open(box)
        if self._look and (self._look.known is None or self._look.known.uidvalidity != self._source_validity):
            self._recorder.cursor(box.number, mark(self._source_validity), None, 0)
        return box

    # -- facts and counts --------------------------------------------------------------------------------------------

    def _enter(self, box: Box, facts: MessageFacts, digest: Digest) -> None:
        self._recorder.place(box.number, self._validity, facts._replace(labels=()), digest, BY_LABEL)
        _count_new(box)

    def _leave(self, box: Box, uids: Sequence[RemoteUid]) -> None:
        if uids:
            self._recorder.gone(box.number, self._validity, uids)
            box.report.gone += len(uids)
            box.report.known -= len(uids)
            box.report.listed -= len(uids)

    def _reflag(self, box: Box, uid: RemoteUid, flags: frozenset[str]) -> None:
        self._recorder.flags(box.number, self._validity, uid, flags)
        box.report.flags_changed += 1

    # -- the end -----------------------------------------------------------------------------------------------------

    def conclude(self, report: AccountReport, provider: Provider | None, *, is_unchanged: bool) -> list[Box]:
        """Add the counts of each mailbox to ``report``; return those that the server lists no more and that are empty.

        ``is_unchanged`` says that all mail did not have to be opened; if it could not be, nothing is known of them.
        """
        with self._lock:
            if self._look is None and not is_unchanged:
                unknown = [unread(box.listed, box.known, self._lend) for box in self.boxes]
                report.mailboxes.extend(unknown)
                if any(box.failed for box in unknown):
                    report.warnings.append(f"{self.source.name} was not read, and so neither were the labels")
                return []
            self._warn_of_hidden(report, provider)
            for box in self.boxes:
                box.report.unchanged = self._look is None
                report.mailboxes.append(box.report)
            ended = [box for box in self.boxes if not box.is_listed and not box.report.listed]
            for box in ended:
                self._recorder.mailbox_vanished(box.number)
            return ended

    def _warn_of_hidden(self, report: AccountReport, provider: Provider | None) -> None:
        """Say it if STATUS counts more messages in a mailbox than labels account for: all mail does not show all."""
        name = str(self.source.name)
        missed = sum(box.failed + box.excluded for box in report.mailboxes if box.mailbox == name)
        short = [str(box.listed.name) for box in self.boxes if _is_short(box, missed)]
        if short:
            more = f" and {len(short) - _SHOWN} more" if len(short) > _SHOWN else ""
            report.warnings.append(
                f"{name} does not show all messages of {', '.join(short[:_SHOWN])}{more}; {about_ceilings(provider)}"
            )


def _is_short(box: Box, missed: int) -> bool:
    """Return whether a mailbox has clearly more messages than it got; a few may have left it since it was listed."""
    said = _said(box)
    return said - box.report.listed - missed > max(_MAY_HAVE_LEFT, said // 50)


def _said(box: Box) -> int:
    """Return how many messages STATUS says that a mailbox has."""
    return (box.listed.cursor.messages if box.listed.cursor else None) or 0


def _count_new(box: Box) -> None:
    box.report.listed += 1
    box.report.new += 1
    box.report.linked += 1


def _facts(record: PlacementRecord) -> MessageFacts:
    return MessageFacts(
        record.uid,
        record.size,
        record.date,
        frozenset(record.flags),
        record.account_id,
        record.labels,
        record.thread_id,
    )
