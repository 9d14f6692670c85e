"""One mailbox of a pull: write down what changed, hand out batches to fetch, and count."""

import threading
from collections import deque
from collections.abc import Sequence

from mailarchive.archive.partials import Key
from mailarchive.archive.placing import BY_VARIANT
from mailarchive.archive.writer import Added, Arrival, Writer
from mailarchive.model import HeaderDigest, MessageFacts, RemoteUid
from mailarchive.ops import plan as plans
from mailarchive.ops.budget import Admitted, Budget, too_large
from mailarchive.ops.fetching import NotFetched
from mailarchive.ops.labels import Labels
from mailarchive.ops.linking import BY_SAMPLE, Link, Linker, Place, Sorted
from mailarchive.ops.look import Look
from mailarchive.ops.options import PullOptions
from mailarchive.ops.report import Failure, MailboxReport
from mailarchive.ops.sizes import Sizes
from mailarchive.ops.storing import Answer, Came
from mailarchive.sources.base import OpenMailbox

WINDOW = 5000
"""Facts are asked for so many messages at a time, so that memory does not grow with the mailbox."""


class MailboxPull:
    """A mailbox being pulled by one or more workers. Thread-safe.

    The cursor is recorded last, when each listed message is accounted for: if the process dies before, the next run
    lists the mailbox again and fetches only what is not in the archive.
    """

    def __init__(
        self,
        writer: Writer,
        linker: Linker,
        budget: Budget,
        look: Look,
        number: int,
        options: PullOptions,
        labels: Labels | None = None,
    ) -> None:
        self.look = look
        self.number = number
        self.report = MailboxReport(str(look.listed.name), look.plan.listed, known=look.plan.known)
        self.is_shared = True
        """Whether more than one connection may fetch messages of the mailbox."""
        self.failures: list[Failure] = []
        self.sizes = Sizes(self.report.mailbox, look.tries)
        self.downloaded_messages = self.downloaded_bytes = 0
        self.stored_messages = self.stored_bytes = 0
        self._told_linked = 0
        self.sampled = 0
        """Messages recognised although the server does not tell their true size."""
        self.mistaken: list[str] = []
        """Messages that linking would have taken for others."""
        self._account = ""
        self._failed: set[RemoteUid] = set()
        self._writer = writer
        self._linker = linker
        self._budget = budget
        self._options = options
        self._labels = labels
        self._since = options.since
        self._place = Place((number, look.cursor.uidvalidity), frozenset(look.plan.gone))
        self._validity = look.cursor.uidvalidity
        self._lock = threading.Lock()
        fresh = look.plan.fresh[::-1] if options.newest_first else look.plan.fresh
        self._windows = deque(fresh[start : start + WINDOW] for start in range(0, len(fresh), WINDOW))
        self._batches: deque[list[MessageFacts]] = deque()
        self._later: list[MessageFacts] = []
        """New, but perhaps the same messages as are being fetched elsewhere."""
        self._expected = {uid: Link(MessageFacts(uid), digest, BY_VARIANT) for uid, digest in look.unproved.items()}
        """What the messages that are downloaded only to be compared should be."""
        self._came: dict[RemoteUid, int] = {}
        """Octets that had come of large messages when the budget was asked."""
        self._in_hand = 0
        self._held = 0
        """Those that the budget keeps for another day."""
        self._is_open = True
        self._is_sure = not look.missing and len(look.returned) == len(look.plan.returned)
        """Whether the server described each message that it announced."""

    def write_changes(self, account: str) -> None:
        """Record the mailbox, what has vanished from it, what is there again, and changed flags."""
        look, known = self.look, self.look.known
        self._account = account
        if self._labels is not None:
            self._labels.begin(look)
        if (
            known is None
            or not known.present
            or known.uidvalidity != self._validity
            or known.name != look.listed.name
            or known.special_use != tuple(sorted(look.listed.special_use))
        ):
            self._writer.mailbox(self.number, account, look.listed, self._validity)
        if look.plan.gone or look.plan.ended:
            self._writer.gone(self.number, self._validity, [*look.plan.gone, *look.plan.ended])
        self.report.gone = len(look.plan.gone)
        with self._writer.together():
            for uid, flags in look.flags:
                self._writer.flags(self.number, self._validity, uid, flags)
            for facts in look.relabelled:
                self._writer.labels(self.number, self._validity, facts.uid, facts.labels)
        self.report.flags_changed = len(look.flags)
        for failure in look.plan.waiting:
            self._fail(failure.uid, failure.why, failure.tries)
        for facts in look.returned:
            self._place_returned(facts)
        self._forget(len(look.plan.returned) - len(look.returned))

    def _forget(self, messages: int) -> None:
        """Count no more ``messages`` that were listed and then not found; the next run looks for them again."""
        self.report.listed -= messages
        self._is_sure = self._is_sure and not messages

    def _place_returned(self, facts: MessageFacts) -> None:
        """Place anew what was recorded as gone, from the archive's own octets."""
        with self._writer.catalog() as catalog:
            before = catalog.placement(self.number, self._validity, facts.uid)
        if before is not None:
            self._writer.place(self.number, self._validity, facts, before.digest, "uid", self._also(facts))
            self.report.known += 1

    @property
    def has_work(self) -> bool:
        """Whether there is something to take."""
        with self._lock:
            return bool(self._batches or self._windows) or self._linker.is_ready(self._place.here, self._later)

    @property
    def batches_left(self) -> int:
        """About how many batches wait."""
        with self._lock:
            return len(self._batches) + len(self._windows) * (WINDOW // plans.BATCH_MESSAGES)

    def take(self, opened: OpenMailbox) -> list[MessageFacts] | None:
        """Take the next batch to fetch, or None if all are taken. Each goes to ``arrived`` or ``give_back``."""
        while True:
            with self._lock:
                if self._batches:
                    batch = self._batches.popleft()
                    self._in_hand += len(batch)
                    return batch
                window = self._windows.popleft() if self._windows else []
                later = self._later
                if not window and not self._linker.is_ready(self._place.here, later):
                    return None
                self._later = []
                self._in_hand += len(window) + len(later)
            self._sort(opened, window, later)

    def newly_linked(self) -> int:
        """Return how many messages were linked since this was asked last."""
        with self._lock:
            linked, self._told_linked = self.report.linked - self._told_linked, self.report.linked
            return linked

    def _sort(self, opened: OpenMailbox, window: list[RemoteUid], later: list[MessageFacts]) -> None:
        """Link what the archive has, leave out what is too old, forget what vanished, and put the rest into batches."""
        try:
            facts = self._described(opened, window) if window else []
            wanted = [item for item in facts if not plans.is_too_old(item, self._since)]
            found = self._linker.sort(opened, self._place, later + wanted)
        except BaseException:
            with self._lock:
                self._later += later
                if window:
                    self._windows.appendleft(window)
                self._in_hand -= len(window) + len(later)
            raise
        if self._options.paranoid:
            self._expected.update((link.facts.uid, link) for link in found.links)
            found = Sorted([], [*found.fresh, *(link.facts for link in found.links)], found.later)
        # Labels are asked first: their lock is never taken by who holds the writer's.
        also = [self._also(link.facts) for link in found.links]
        with self._writer.together():
            for link, boxes in zip(found.links, also, strict=True):
                self._writer.place(self.number, self._validity, link.facts, link.digest, link.by, boxes)
        admitted = self._admit(found.fresh, window)
        with self._lock:
            self.report.excluded += len(facts) - len(wanted)
            self._forget(len(window) - len(facts))
            self.report.new += len(found.links)
            self.report.linked += len(found.links)
            self.sampled += sum(link.by == BY_SAMPLE for link in found.links)
            self._later += found.later
            self._batches.extend(plans.batches(admitted.now, shared=self.is_shared))
            self._held += len(admitted.later)
            for item in admitted.never:
                self._is_sure = False
                self._fail(item.uid, too_large(item), 0)
            self._in_hand -= len(window) + len(later)

    def _admit(self, fresh: list[MessageFacts], window: Sequence[RemoteUid]) -> Admitted:
        """Ask the budget in the order in which messages are to be fetched; others may fetch what it does not admit."""
        if self._options.newest_first:
            place = {uid: number for number, uid in enumerate(window)}
            fresh = sorted(fresh, key=lambda item: place.get(item.uid, -1))
        large = {item.uid: item for item in fresh if plans.is_large(item)}
        came = {uid: self._writer.partials.length(self.key(item), item.size) for uid, item in large.items()}
        self._came.update(came)
        admitted = self._budget.admit(fresh, came)
        self._linker.release(self._place.here, [*admitted.later, *admitted.never])
        return admitted

    def _described(self, opened: OpenMailbox, window: Sequence[RemoteUid]) -> list[MessageFacts]:
        """Return facts of the messages of ``window``; empty ones for those that are listed and not described."""
        facts = list(opened.facts(window))
        silent = set(window).difference(item.uid for item in facts)
        if silent:
            self._is_sure = False
            facts.extend(MessageFacts(uid) for uid in opened.uids() if uid in silent)
        return facts

    def arrived(self, answers: Sequence[Answer]) -> int:
        """Put answers where they belong; return the octets that were downloaded. Raises StorageFailed."""
        came = [(item, facts) for item, facts in answers if isinstance(item, Came)]
        for item, facts in answers:
            self._settle(facts, 0 if isinstance(item, NotFetched) else item.prepared.size)
        try:
            arrivals = [Arrival(facts, item.prepared, self._also(facts)) for item, facts in came]
            added = self._writer.add(self.number, self._validity, arrivals)
        finally:
            for item, _facts in came:
                item.prepared.body.close()
        for item, facts in answers:
            if isinstance(item, NotFetched):
                self._did_not_come(item, facts)
        self._linker.release(self._place.here, [facts for _item, facts in answers])
        with self._lock:
            self._in_hand -= len(answers)
            for (item, _facts), one in zip(came, added, strict=True):
                self._count(item.uid, one, item.prepared.header)
        return sum(one.size for one in added)

    def _did_not_come(self, item: NotFetched, facts: MessageFacts) -> None:
        if item.why is None:
            with self._lock:
                self._forget(1)
            return
        self._writer.failed(self.number, self._validity, item.uid, item.why)
        with self._lock:
            self._fail(item.uid, item.why, self.look.tries.get(facts.uid, 0) + 1)

    def _count(self, uid: RemoteUid, added: Added, header: HeaderDigest) -> None:
        expected = self._expected.pop(uid, None)
        if expected is not None and not self._is_as_expected(expected, added, header):
            self.mistaken.append(f"message {uid} of {self.report.mailbox} is not what its header looks like")
        self.report.new += 1
        self.downloaded_messages += 1
        self.downloaded_bytes += added.size
        if added.stored:
            self.stored_messages += 1
            self.stored_bytes += added.size

    def _is_as_expected(self, link: Link, added: Added, header: HeaderDigest) -> bool:
        if link.digest == added.digest:
            return True
        forms = {self._writer.form_of(digest, header) for digest in (link.digest, added.digest)}
        return link.by == BY_VARIANT and len(forms) == 1

    def _settle(self, facts: MessageFacts, octets: int) -> None:
        came = self._came.pop(facts.uid, 0)
        self._budget.settle(facts, max(0, octets - came), came)

    def _also(self, facts: MessageFacts) -> Sequence[int]:
        """Return the mailboxes in which the message is because of its labels."""
        return self._labels.arriving(facts) if self._labels is not None else ()

    def give_back(self, batch: list[MessageFacts]) -> None:
        """Give back what was taken and not fetched, because the connection was lost for good or the run ends."""
        if batch:
            with self._lock:
                self._in_hand -= len(batch)
                self._batches.appendleft(batch)

    def _fail(self, uid: RemoteUid, why: str, tries: int) -> None:
        self.report.failed += 1
        self._failed.add(uid)
        self.failures.append(Failure(self.report.mailbox, str(uid), why, tries))

    def finish(self) -> None:
        """If every listed message is accounted for, record that the mailbox has been read whole.

        Not if the server kept something back, or messages vanished meanwhile: then the next run looks again.
        """
        with self._lock:
            if self._waiting() or self._held or self._in_hand or not self._is_open:
                return
            self._is_open = False
        known, cursor = self.look.known, self.look.cursor
        since, excluded = plans.iso(self._since), self.report.excluded
        if not self._is_sure:
            return
        if known is None or (known.cursor, known.since, known.excluded) != (cursor, since, excluded):
            self._writer.cursor(self.number, cursor, since, excluded)
        self._writer.partials.settle(self._account, self.look.listed.name.raw, self._validity, self._failed)

    def key(self, facts: MessageFacts) -> Key:
        """Return what a message of the mailbox is known by while it is received in pieces."""
        return Key(self._account, self.look.listed.name.raw, self._validity, facts.uid)

    def give_up(self, why: str) -> None:
        """Count what waits as failed for one reason: the mailbox broke while it was read. The next run looks again."""
        with self._lock:
            self._is_open = False
            self.report.failed += self._waiting()
            waiting = [facts for batch in self._batches for facts in batch]
            self._linker.release(self._place.here, waiting)
            for facts in waiting:
                self._settle(facts, 0)
            self._batches.clear()
            self._windows.clear()
            self._later.clear()
            self.failures.append(Failure(self.report.mailbox, "", why, 1))

    def abandon(self) -> int:
        """Count what was never fetched as failed, so that the numbers add up; return how many without a reason."""
        with self._lock:
            left = self._waiting() + self._in_hand
            self.report.failed += left + self._held
            return left

    def _waiting(self) -> int:
        return sum(map(len, self._batches)) + sum(map(len, self._windows)) + len(self._later)
