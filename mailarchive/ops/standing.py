"""What a mailbox of the target has of what is wanted there, what it lacks, and what it refuses."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from mailarchive.archive.restoring import Landed
from mailarchive.mail.mending import Flaw
from mailarchive.model import Digest, HeaderDigest
from mailarchive.ops.copies import Copies, Original
from mailarchive.ops.matching import Match, matches
from mailarchive.ops.outgoing_mail import Evidence
from mailarchive.ops.restore_common import Notes
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.wanted import Wanted, missing
from mailarchive.records import MENDED, KnownTargetMailbox
from mailarchive.targets.accounts import OpenTarget

COPY = "copy"
"""How a target has a message that was copied there from another mailbox of it."""
THERE = "there"
"""How a target has a message that was not sent to it by a restore."""


class Have(NamedTuple):
    """A message that the mailbox was given, or had, as far as is known; ``how`` as in ``RestoredRecord``."""

    digest: Digest
    uid: int | None
    how: str | None = None

    @property
    def mended(self) -> bool:
        """Whether a mended copy of it is there."""
        return self.how == MENDED


class Mended(NamedTuple):
    """A copy of a message without ``flaws``."""

    flaws: frozenset[Flaw]
    digest: Digest
    size: int
    header: HeaderDigest


class _Refused(NamedTuple):
    item: Wanted
    reason: str
    flaws: frozenset[Flaw]


class Standing:
    """How one mailbox stands; ``place`` is its own among the destinations.

    ``pending`` is what is neither there nor refused, by its place among what is wanted; what stands in ``mended`` as
    well is sent as a mended copy. ``since`` is the UID from which on there may be messages that were sent and not
    written down; None as long as nothing was. ``uidvalidity`` is that with which the UIDs hold.
    """

    def __init__(
        self, place: int, report: RestoredMailbox, wanted: Sequence[Wanted], have: Iterable[Have], copies: Copies
    ) -> None:
        self.report = report
        self.pending: dict[int, Wanted] = {}
        self.mended: dict[int, Mended] = {}
        self.since: int | None = None
        self.uidvalidity: int | None = None
        self.unreadable: set[Digest] = set()
        """What turned out to be damaged."""
        self.copying: set[int] = set()
        """The places of what is being copied, or was when the connection was lost."""
        self.is_begun = False
        """Whether something may have been sent by this run."""
        self.place = place
        self._wanted = wanted
        self._remembered = tuple(have)
        self._have = list(self._remembered)
        self._copies = copies
        self._refused: dict[int, _Refused] = {}
        self._kept_out: set[int] = set()

    def recall(self, known: KnownTargetMailbox | None) -> None:
        """Compare with what is remembered of the mailbox; with nothing if it was made anew (None)."""
        self.since = None if known is None else known.uidnext
        self.uidvalidity = None if known is None else known.uidvalidity
        self._have = [] if known is None else list(self._remembered)
        self.compare()

    def compare(self) -> None:
        """Find out what is pending as far as is known."""
        there = Counter(one.digest for one in self._have)
        self.pending, self.report.known = missing(self._wanted, there)
        self.report.damaged = len(self._wanted) - len(self.pending) - self.report.known

    def offer_all(self) -> None:
        """Let other mailboxes copy what this one was given before."""
        uids = {one.digest: one.uid for one in self._have if one.uid is not None and not one.mended}
        for item in self._wanted:
            if (uid := uids.get(item.message.digest)) is not None:
                self._offer(item, uid)

    def _offer(self, item: Wanted, uid: int, kept: frozenset[str] | None = None) -> None:
        original = Original(self.place, self.uidvalidity, uid, item.flags, item.date, kept)
        self._copies.landed(original, item.message.digest)

    def is_of(self, messages: int | None) -> bool:
        """Return whether a mailbox with so many messages may well be as it was left."""
        return messages == len(self._have)

    def gone(self, uids: Iterable[int], *, again: bool) -> list[Have]:
        """Return what is no longer among ``uids``, those of all that is there.

        ``again``: also what is there under a UID that was not told, so that it is looked for anew.
        """
        there = set(uids) if again else {None, *uids}
        return [one for one in self._have if one.uid not in there]

    def note_removed(self, gone: Sequence[Have], *, again: bool) -> None:
        """Note what is ``gone``; ``again``: it is pending again."""
        if gone and again:
            removed = set(gone)
            self._have = [one for one in self._have if one not in removed]
            self.compare()
        elif gone:
            wanted = {item.message.digest for item in self._wanted}
            self.report.removed = sum(one.digest in wanted for one in gone)

    # -- what is there -------------------------------------------------------------------------------------------

    def match(
        self, opened: OpenTarget, uids: Sequence[int], evidence: Evidence, *, always: bool
    ) -> tuple[list[tuple[int, Landed]], int]:
        """Return which pending messages are among ``uids``, and count them; and how many octets of them this run sent.

        What was restored under a UID that is not known takes its own first. ``always``: only what may have been sent
        and not written down is looked at.
        """
        known = {one.uid for one in self._have}
        strange = [uid for uid in uids if uid not in known]
        if always:
            strange = [uid for uid in strange if self.since is not None and uid >= self.since]
        looked_for = [*self._nameless(), *((place, self._as_sent(place)) for place in self.pending)]
        found = matches(opened, strange, [item for _place, item in looked_for], self.since, evidence)
        landed: list[tuple[int, Landed]] = []
        octets = 0
        for match in found:
            place, item = looked_for[match.place]
            if place >= 0:
                one = self._found(place, match, evidence)
                octets += self._count(one) * item.message.size
                landed.append((place, one))
        return landed, octets

    def _as_sent(self, place: int) -> Wanted:
        """Return a pending message as it looks when it is there."""
        item, mended = self.pending[place], self.mended.get(place)
        if mended is None:
            return item
        return item._replace(message=item.message._replace(size=mended.size, header=mended.header))

    def _found(self, place: int, match: Match, evidence: Evidence) -> Landed:
        """Return what is known of a message that was found: of one that an earlier run sent also how."""
        item, mended = self.pending[place], self.mended.get(place)
        was_sent = self.since is not None and match.uid >= self.since
        if was_sent and place in self.copying:
            return Landed(item.message.digest, match.uid, COPY)
        sent = mended.digest if mended else None
        is_as_sent = match.size in {None, item.message.size, *evidence.with_other_ends(item.message)}
        if was_sent and mended is None and match.size is not None and not is_as_sent:
            sent = evidence.mended(item.message, match.size)
        return Landed(item.message.digest, match.uid, None if was_sent else THERE, sent)

    def _nameless(self) -> list[tuple[int, Wanted]]:
        """Return what is there under a UID that is not known, with -1 as its place."""
        left = Counter(one.digest for one in self._have if one.uid is None)
        found = []
        for item in self._wanted if left else ():
            if left[item.message.digest]:
                left[item.message.digest] -= 1
                found.append((-1, item))
        return found

    def _count(self, one: Landed) -> bool:
        """Count a message that was found; return whether it was sent by this run."""
        report, was_sent = self.report, one.how is None and self.is_begun
        report.there += one.how == THERE
        report.copied += one.how == COPY
        report.known += one.how is None and not was_sent
        report.sent += was_sent
        report.mended += was_sent and one.sent is not None
        return was_sent

    def landed(
        self, landed: Iterable[tuple[int, Landed]], kept: Callable[[Wanted], frozenset[str]] | None = None
    ) -> None:
        """Note that pending messages are there; they have been written down.

        ``kept`` returns the flags that were sent with them just now.
        """
        for place, one in landed:
            item = self.pending.pop(place)
            have = Have(one.digest, one.uid, one.how if one.sent is None else MENDED)
            self._have.append(have)
            if have.uid is not None and not have.mended:
                self._offer(item, have.uid, kept(item) if kept else None)

    def uids(self) -> dict[Digest, int]:
        """Return the UIDs of what is there, as far as they are known."""
        return {one.digest: one.uid for one in self._have if one.uid is not None}

    # -- what is not taken ---------------------------------------------------------------------------------------

    def damaged(self, place: int) -> None:
        """Note that a message cannot be read."""
        self.unreadable.add(self.pending.pop(place).message.digest)
        self.report.damaged += 1

    def refuse(self, place: int, reason: str, flaws: frozenset[Flaw] = frozenset()) -> None:
        """Note that a message is not taken as it is, and what may be odd about it."""
        item = self.pending.pop(place)
        if before := self._refused.get(place):
            reason, flaws = f"{before.reason}; and the mended copy: {reason}", before.flaws
        self._refused[place] = _Refused(item, reason, flaws)
        self._kept_out.add(place)

    def mend(self, place: int, mended: Mended) -> None:
        """Let a mended copy of a refused message be sent."""
        self.mended[place] = mended
        self.pending[place] = self._refused[place].item
        self._kept_out.discard(place)

    @property
    def settled(self) -> int:
        """How many are there, or were refused."""
        return self.report.settled + len(self._kept_out)

    def refused(self) -> set[Digest]:
        """Return what is not there and was not taken."""
        return {self._refused[place].item.message.digest for place in self._kept_out}

    def conclude(self, notes: Notes) -> RestoredMailbox:
        """Return the counts, when nothing more is done, and note what was refused."""
        self.report.left = len(self.pending)
        self.report.refused = len(self._kept_out)
        for place, (item, reason, flaws) in self._refused.items():
            if place not in self.pending:
                notes.refused(self.report.mailbox, item, reason, flaws, mended=place not in self._kept_out)
        return self.report
