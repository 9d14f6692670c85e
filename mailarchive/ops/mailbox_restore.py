"""One mailbox of a target: look at what it has, send or copy what it lacks, and write down what it was given."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from mailarchive.archive.messages import MessageReader
from mailarchive.archive.restoring import Landed
from mailarchive.errors import MailboxUnavailable, NoRoom, SourceError, Throttled
from mailarchive.mail.mending import Flaw
from mailarchive.model import KEEPS_ALL, Cursor, Digest, ListedMailbox, MailboxName
from mailarchive.ops.letters import Letters, Withheld, as_mended, kept_flags
from mailarchive.ops.matching import numbers
from mailarchive.ops.outgoing_mail import Evidence
from mailarchive.ops.restore_common import SETTLING, Common
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.routes import Route
from mailarchive.ops.standing import COPY, Standing
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import NO_ROOM, AccountTarget, OpenTarget, Outcome

_TOLD_AT_ONCE = 100
"""Outcomes are written down in groups of at most so many; what is not is recognised by the next run."""
_LOSSES_BEFORE_ALONE = 2
_LOSSES_OF_ONE = 2
"""After so many lost connections nothing else is on the way; a message that then ends so many is given up."""
_GIVEN_UP_IN_A_ROW = 3
"""After so many it is not about the messages."""


class MailboxRestore:
    """Brings one mailbox of the target up to what is wanted there.

    ``send`` and ``send_rest`` may be called again after any SourceError: they look again at what is there.
    """

    def __init__(self, place: int, route: Route, common: Common) -> None:
        self.is_given_up = False
        """Whether connections were lost again and again over it."""
        self._destination = route.destination
        self.report = route.report()
        self._place = place
        self._route = route
        self._common = common
        self._standing = Standing(place, self.report, route.wanted, route.have, common.copies)
        self._permanent = KEEPS_ALL
        self._box = 0
        self._is_looked = False
        self._lost: float | None = None
        self._losses = 0
        self._given_up = self._in_vain = 0
        self._lock = threading.Lock()
        self._suspicion: dict[int, int] = {}

    @property
    def name(self) -> MailboxName:
        """What the mailbox is called there."""
        return self._destination.name

    @property
    def place(self) -> int:
        """Its place among the destinations."""
        return self._place

    @property
    def uidvalidity(self) -> int | None:
        """The UIDVALIDITY with which ``uids`` hold."""
        return self._standing.uidvalidity

    def uids(self) -> dict[Digest, int]:
        """Return the UIDs of what is there."""
        return self._standing.uids()

    def refused(self) -> set[Digest]:
        """Return what is not taken."""
        return self._standing.refused()

    def damaged(self) -> set[Digest]:
        """Return what cannot be read."""
        return self._standing.unreadable

    def prepare(self) -> bool:
        """Compare what is wanted with what the archive remembers; return whether the mailbox has to be opened."""
        self._standing.recall(self._route.remembered)
        self._standing.offer_all()
        again = self._common.options.again
        if (why := self._route.why_not(again=again)) is not None:
            self.report.error, self.report.hint = why
            return False
        if self._route.lost_note:
            self._common.notes.note(self._route.lost_note)
        return self._destination.listed is None or self._route.must_be_opened(self._standing, again=again)

    def planned(self) -> tuple[str, int, int]:
        """Return what the mailbox is called, how many messages are needed there, and their octets."""
        pending = self._standing.pending.values()
        return self.report.mailbox, len(pending), sum(item.message.size for item in pending)

    @property
    def settled(self) -> int:
        """How many messages need nothing more, but for those that were given up to no end."""
        return self._standing.settled - self._in_vain

    @property
    def is_unheard(self) -> bool:
        """Whether the connection was lost, and nobody has looked since what had arrived."""
        return self._lost is not None

    @property
    def is_unfinished(self) -> bool:
        """Whether something is left to be sent, or to be copied from other mailboxes."""
        return bool(self._standing.pending) and not self.report.error and not self.is_given_up

    def conclude(self) -> RestoredMailbox:
        """Return the counts, when nothing more is done."""
        return self._standing.conclude(self._common.notes)

    def send(self, target: AccountTarget, reader: MessageReader) -> None:
        """Send what is missing but for what another mailbox is to send first. Raises SourceError, StorageFailed."""
        with self._looking_again():
            opened = self._look(target, reader)
            copies, pending = self._common.copies, self._standing.pending
            mine = [place for place, item in pending.items() if copies.is_for(self._place, item.message.digest)]
            self._append(opened, reader, mine)

    def send_rest(self, target: AccountTarget, reader: MessageReader) -> None:
        """Send what is still missing when that was copied that could be. Raises as ``send``."""
        with self._looking_again():
            opened = self._look(target, reader)
            self._append(opened, reader, list(self._standing.pending))

    def fail(self, error: MailboxUnavailable) -> None:
        """Note that the mailbox cannot be used; if it has no room, no other has."""
        self.report.error, self.report.hint = str(error), error.hint
        if isinstance(error, NoRoom):
            self._common.uploads.is_full = True

    # -- looking ---------------------------------------------------------------------------------------------------

    def _look(self, target: AccountTarget, reader: MessageReader) -> OpenTarget:
        """Open the mailbox, made if need be; find out what of the pending it has if that is not known."""
        name = self._destination.name
        if self._destination.listed is None and not self.report.made:
            target.create(name, self._destination.use)
            self.report.made = True
        self._let_settle()
        opened = target.open(ListedMailbox(name))
        self._permanent = opened.permanent
        if not self._is_looked or self._standing.copying:
            self._recognise(opened.cursor)
            self._catch_up(opened, reader)
            self._standing.copying.clear()
        return opened

    def _let_settle(self) -> None:
        """Wait until the server has done with what was on its way when the connection was lost."""
        if self._lost is not None:
            clock, stop = self._common.around.clock, self._common.around.stop
            clock.sleep(max(0.0, self._lost + SETTLING - clock.monotonic()), stop)
            self._lost = None

    def _recognise(self, cursor: Cursor) -> None:
        """See whether the mailbox is the one that is known. Raises MailboxUnavailable if it changed meanwhile."""
        known, standing = self._route.known, self._standing
        if standing.is_begun:
            if cursor.uidvalidity != standing.uidvalidity:
                raise MailboxUnavailable(
                    f"{self.name} was made anew while it was filled", hint="run the same command again"
                )
        elif known and known.uidvalidity != cursor.uidvalidity:
            standing.recall(None)
        elif known and self._route.is_lost:
            standing.recall(known)
        standing.uidvalidity = cursor.uidvalidity

    def _catch_up(self, opened: OpenTarget, reader: MessageReader) -> None:
        """Compare with what is there, and write down from which UID on there may be something of ours.

        If the process dies before the second line is written, the next run looks as far back as this one.
        """
        standing, cursor = self._standing, opened.cursor
        uids = numbers(opened.uids()) if cursor.messages else []
        following = cursor.uidnext or (uids[-1] + 1 if uids else 1)
        since = following if standing.since is None else standing.since
        self._box = self._announce(cursor, since)
        if not standing.is_begun:
            self._note_removed(uids)
        if standing.pending and uids:
            landed, octets = standing.match(opened, uids, Evidence(reader), always=self._common.options.always)
            self._common.uploads.reserve(octets)
            self._landed(landed, octets)
        if since != following:
            self._announce(cursor, following)
        standing.since = following
        self._is_looked = standing.is_begun = True

    def _note_removed(self, uids: Sequence[int]) -> None:
        """Note what was removed; what is to be sent again no longer counts as restored, in the archive as well.

        A mailbox that was lost, and came into being again with the UIDVALIDITY that it had, is filled again.
        """
        standing, options = self._standing, self._common.options
        again = options.again or self._route.is_lost
        gone = standing.gone(uids, again=again and not options.always)
        if gone and again:
            self._common.log.not_there(self._box, [(one.digest, one.uid) for one in gone])
        standing.note_removed(gone, again=again)

    def _announce(self, cursor: Cursor, uidnext: int) -> int:
        name = self._destination.name
        return self._common.log.mailbox(self._common.target, name.raw, name.delimiter, cursor.uidvalidity, uidnext)

    def _landed(
        self,
        landed: Sequence[tuple[int, Landed]],
        octets: int,
        kept: Callable[[Wanted], frozenset[str]] | None = None,
    ) -> None:
        """Write down what is there; ``octets`` of it were sent, with the flags that ``kept`` returns if just now."""
        if landed:
            self._common.log.restored(self._box, [one for _place, one in landed])
            self._standing.landed(landed, kept)
            self.report.sent_bytes += octets
            self._common.done(self.report.mailbox, len(landed), octets)

    @contextmanager
    def _looking_again(self) -> Iterator[None]:
        """After an error it is not known what is there."""
        try:
            yield
        except SourceError as error:
            self._is_looked = False
            if not isinstance(error, Throttled | MailboxUnavailable):
                self._lost = self._common.around.clock.monotonic()
            raise

    # -- sending ---------------------------------------------------------------------------------------------------

    def _append(self, opened: OpenTarget, reader: MessageReader, places: Sequence[int]) -> None:
        """Append pending messages, and mended copies of what is refused if they are wanted."""
        while places and not self._common.is_stopping():
            before = set(self._standing.mended)
            self._append_once(opened, reader, places)
            places = [place for place in self._standing.mended if place not in before]

    def _append_once(self, opened: OpenTarget, reader: MessageReader, places: Sequence[int]) -> None:
        standing = self._standing
        letters = Letters(reader, opened.permanent, self._common, partial(self._withhold, reader), standing.mended)
        is_alone = self._losses >= _LOSSES_BEFORE_ALONE
        refused: list[tuple[int, Outcome]] = []
        unheard = 0
        items = [(place, standing.pending[place]) for place in places]
        try:
            for group in _groups_of(opened.append(letters.of(items), alone=is_alone)):
                unheard = group[-1].place + 1
                outcomes = [(letters.on_the_way[outcome.place], outcome) for outcome in group]
                self._sent(letters, [one for one in outcomes if one[1].refused is None])
                refused += [one for one in outcomes if one[1].refused is not None]
        except SourceError as error:
            self._blame(letters.on_the_way[unheard : unheard + 1], error, is_alone=is_alone)
            raise
        finally:
            letters.release(unheard)
            self._refuse(letters, reader, refused)

    def _sent(self, letters: Letters, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        landed: list[tuple[int, Landed]] = []
        octets, pending = 0, self._standing.pending
        for place, outcome in outcomes:
            item, mended = pending[place], self._standing.mended.get(place)
            self._common.notes.dropped(letters.dropped(item))
            landed.append((place, Landed(item.message.digest, outcome.uid, None, mended.digest if mended else None)))
            octets += mended.size if mended else item.message.size
        if landed:
            self._common.notes.odd_ends(
                sum(one.sent is None and pending[place].message.eol != "crlf" for place, one in landed)
            )
            self._landed(landed, octets, letters.kept)
            self.report.sent += len(landed)
            self.report.mended += sum(one.sent is not None for _place, one in landed)
            self._losses = self._given_up = 0

    def _refuse(self, letters: Letters, reader: MessageReader, refused: Sequence[tuple[int, Outcome]]) -> None:
        """Note what was refused; what is odd about it can be mended, but not that there is no room for it."""
        for place, outcome in refused:
            item = self._standing.pending[place]
            flaws = frozenset[Flaw]() if outcome.code == NO_ROOM else letters.flaws(item)
            self._keep_out(reader, place, outcome.refused or "", flaws)

    def _withhold(self, reader: MessageReader, withheld: Withheld) -> None:
        if withheld.damaged:
            self._standing.damaged(withheld.place)
            self._common.notes.note(withheld.reason)
        else:
            self._keep_out(reader, withheld.place, withheld.reason, withheld.flaws)

    def _keep_out(self, reader: MessageReader, place: int, reason: str, flaws: frozenset[Flaw]) -> None:
        """Note that a message is not taken as it is; let a mended copy be sent if that is wanted and may help."""
        standing = self._standing
        item = standing.pending[place]
        standing.refuse(place, reason, flaws)
        if self._common.options.fix and flaws and place not in standing.mended:
            standing.mend(place, as_mended(reader, item.message, flaws))

    def _blame(self, suspects: Sequence[int], error: SourceError, *, is_alone: bool) -> None:
        """Count a lost connection; a message that ends it whenever it is sent alone is given up."""
        if isinstance(error, Throttled) or not error.retryable:
            return
        self._losses += 1
        for place in suspects if is_alone else ():
            self._suspicion[place] = self._suspicion.get(place, 0) + 1
            if self._suspicion[place] >= _LOSSES_OF_ONE:
                self._standing.refuse(place, f"the connection ends whenever this message is sent: {error}")
                self._given_up += 1
                self._in_vain += self._given_up > _GIVEN_UP_IN_A_ROW

    # -- copies from other mailboxes -------------------------------------------------------------------------------

    def lacks(self) -> list[tuple[int, Wanted]]:
        """Return what is known to be missing, by place, and may be copied from other mailboxes."""
        if not self._is_looked or self.report.error:
            return []
        return [(place, item) for place, item in self._standing.pending.items() if place not in self._standing.mended]

    def kept(self, item: Wanted) -> frozenset[str]:
        """Return the flags of a message that the mailbox keeps."""
        return kept_flags(item.flags, self._permanent, self._common.abilities)

    def begin_copying(self, places: Iterable[int]) -> None:
        """Note what is about to be copied: unless ``copied`` tells of it, it is not known whether it arrived."""
        with self._lock:
            self._standing.copying.update(places)

    def copied(self, there: Sequence[tuple[int, Wanted, int]]) -> None:
        """Write down copies, by place, with their UIDs."""
        landed = [(place, Landed(item.message.digest, uid, COPY)) for place, item, uid in there]
        with self._lock:
            self._landed(landed, 0)
            self.report.copied += len(landed)
            self._standing.copying.difference_update(place for place, _one in landed)

    def lose(self) -> None:
        """Note that the connection was lost with copies on their way."""
        self._lost = self._common.around.clock.monotonic()


def _groups_of(outcomes: Iterable[Outcome]) -> Iterator[list[Outcome]]:
    """Yield outcomes in small groups; also those that came before an error."""
    group: list[Outcome] = []
    try:
        for outcome in outcomes:
            group.append(outcome)
            if len(group) == _TOLD_AT_ONCE:
                yield group
                group = []
    except SourceError:
        if group:
            yield group
        raise
    if group:
        yield group
