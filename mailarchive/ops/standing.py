"""What a mailbox of the target has of what is wanted there, what it lacks, and what it refuses."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailarchive.archive.restoring import Landed
from mailarchive.mail.mending import Flaw
from mailarchive.model import Digest
from mailarchive.ops.copies import Copies, Original
from mailarchive.ops.matching import Head, Match, matches
from mailarchive.ops.restore_common import Notes
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.wanted import Wanted, missing
from mailarchive.records import KnownTargetMailbox
from mailarchive.targets.accounts import OpenTarget


class Have(NamedTuple):
    """A message that the mailbox was given, or had, as far as is known; ``mended``: a mended copy of it."""

    digest: Digest
    uid: int | None
    mended: bool = False


class Standing:
    """How one mailbox stands; ``place`` is its own among the destinations.

    ``pending`` is what is neither there nor refused, by its place among what is wanted. ``since`` is the UID from which
    on there may be messages that were sent and not written down; None as long as nothing was.
    """

    def __init__(
        self, place: int, report: RestoredMailbox, wanted: Sequence[Wanted], have: Iterable[Have], copies: Copies
    ) -> None:
        self.report = report
        self.pending: dict[int, Wanted] = {}
        self.since: int | None = None
        self.is_begun = False
        """Whether something may have been sent by this run."""
        self.place = place
        self._wanted = wanted
        self._have = list(have)
        self._copies = copies
        self._refused: dict[int, tuple[Wanted, str, frozenset[Flaw]]] = {}
        self._mended: set[int] = set()

    def recall(self, known: KnownTargetMailbox | None) -> None:
        """Compare with what is remembered of the mailbox; of nothing if it was made anew (None)."""
        self.since = None if known is None else known.uidnext
        if known is None:
            self._have.clear()
        self.compare()

    def compare(self) -> None:
        """Find out what is pending as far as is known."""
        there = Counter(one.digest for one in self._have)
        self.pending, self.report.known = missing(self._wanted, there)
        self.report.damaged = len(self._wanted) - len(self.pending) - self.report.known

    def offer_all(self) -> None:
        """Let other mailboxes copy what this one was given before."""
        uids = {one.digest: one.uid for one in self._have if one.uid is not None}
        for item in self._wanted:
            if (uid := uids.get(item.message.digest)) is not None:
                self._offer(item, uid)

    def _offer(self, item: Wanted, uid: int) -> None:
        self._copies.landed(Original(self.place, uid, item.flags, item.date), item.message.digest)

    def note_removed(self, uids: Iterable[int], *, again: bool) -> None:
        """Note what is no longer among ``uids``, those of all that is there; ``again``: it is pending again."""
        there = set(uids)
        gone = [one for one in self._have if one.uid is not None and one.uid not in there]
        if gone and again:
            self._have = [one for one in self._have if one.uid is None or one.uid in there]
            self.compare()
        else:
            self.report.removed = len(gone)

    # -- what is there -------------------------------------------------------------------------------------------

    def match(
        self, opened: OpenTarget, uids: Sequence[int], head: Head, *, always: bool
    ) -> tuple[list[tuple[int, Landed]], int]:
        """Return which pending messages are among ``uids``, and count them; and how many octets of them this run sent.

        What was restored under a UID that is not known takes its own first. ``always``: only what may have been sent
        and not written down is looked at.
        """
        known = {one.uid for one in self._have}
        strange = [uid for uid in uids if uid not in known]
        if always:
            strange = [uid for uid in strange if self.since is not None and uid >= self.since]
        looked_for = [*self._nameless(), *self.pending.items()]
        found = matches(opened, strange, [item for _place, item in looked_for], self.since, head)
        landed: list[tuple[int, Landed]] = []
        octets = 0
        for match in found:
            place, item = looked_for[match.place]
            if place >= 0:
                was_sent = self._count(match)
                octets += item.message.size if was_sent and self.is_begun else 0
                landed.append((place, Landed(item.message.digest, match.uid, None if was_sent else "there")))
        return landed, octets

    def _nameless(self) -> list[tuple[int, Wanted]]:
        """Return what is there under a UID that is not known, with -1 as its place."""
        left = Counter(one.digest for one in self._have if one.uid is None)
        found = []
        for item in self._wanted if left else ():
            if left[item.message.digest]:
                left[item.message.digest] -= 1
                found.append((-1, item))
        return found

    def _count(self, match: Match) -> bool:
        """Count a message that was found; return whether it was sent by us."""
        was_sent = self.since is not None and match.uid >= self.since
        if was_sent and self.is_begun:
            self.report.sent += 1
        elif was_sent:
            self.report.known += 1
        else:
            self.report.there += 1
        return was_sent

    def landed(self, landed: Iterable[tuple[int, Landed]]) -> None:
        """Note that pending messages are there; they have been written down."""
        for place, one in landed:
            item = self.pending.pop(place)
            self._have.append(Have(item.message.digest, one.uid))
            if one.uid is not None and one.sent is None:
                self._offer(item, one.uid)

    @property
    def newest_uid(self) -> int | None:
        """The UID of what was noted last."""
        return self._have[-1].uid if self._have else None

    def uids(self) -> dict[Digest, int]:
        """Return the UIDs of what is there, as far as they are known."""
        return {one.digest: one.uid for one in self._have if one.uid is not None}

    # -- what is not taken ---------------------------------------------------------------------------------------

    def damaged(self, place: int) -> None:
        """Note that a message cannot be read."""
        del self.pending[place]
        self.report.damaged += 1

    def refuse(self, place: int, reason: str, flaws: frozenset[Flaw] = frozenset()) -> None:
        """Note that a message is not taken as it is, and what may be odd about it."""
        self._refused[place] = self.pending.pop(place), reason, flaws

    def refused(self) -> set[Digest]:
        """Return what is not there and was not taken."""
        return {item.message.digest for place, (item, *_why) in self._refused.items() if place not in self._mended}

    def mendable(self) -> list[tuple[int, Wanted, frozenset[Flaw]]]:
        """Return what was refused, has flaws and was not mended yet."""
        return [
            (place, item, flaws)
            for place, (item, _reason, flaws) in self._refused.items()
            if flaws and place not in self._mended
        ]

    def mend(self, place: int) -> None:
        """Make a refused message pending again, as a mended copy of it is there and is about to be noted."""
        self._mended.add(place)
        self.pending[place] = self._refused[place][0]
        self.report.mended += 1

    def conclude(self, notes: Notes) -> RestoredMailbox:
        """Return the counts, when nothing more is done, and note what was refused."""
        self.report.left = len(self.pending)
        self.report.refused = len(self._refused) - len(self._mended)
        for place, (item, reason, flaws) in self._refused.items():
            notes.refused(self.report.mailbox, item, reason, flaws, mended=place in self._mended)
        return self.report
