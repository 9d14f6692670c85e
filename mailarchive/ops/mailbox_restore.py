"""One mailbox of a target: look at what it has, send or copy what it lacks, and write down what it was given."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from mailarchive.archive.messages import MessageReader
from mailarchive.archive.restoring import Landed
from mailarchive.errors import MailboxUnavailable, SourceError, Throttled
from mailarchive.mail.mending import Flaw
from mailarchive.model import KEEPS_ALL, Cursor, Digest, ListedMailbox, MailboxName, MessageFacts
from mailarchive.ops.letters import Letters, Withheld, as_mended, kept_flags
from mailarchive.ops.matching import numbers
from mailarchive.ops.naming import Destination
from mailarchive.ops.outgoing_mail import Evidence
from mailarchive.ops.restore_common import SETTLING, Common, Phase
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.routes import Route
from mailarchive.ops.standing import Standing
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import NO_ROOM, AccountTarget, OpenTarget, Outcome

_TOLD_AT_ONCE = 100
"""Outcomes are written down in groups of at most so many; what is not is recognised by the next run."""
_LOSSES_BEFORE_ALONE = 2
_LOSSES_OF_ONE = 2
"""After so many lost connections nothing else is on the way; a message that then ends so many is given up."""

Copyable = tuple[int, Wanted, int]
"""A pending message by its place, and its UID in the mailbox that it can be copied from."""


class MailboxRestore:
    """Brings one mailbox of the target up to what is wanted there.

    ``work`` may be called again after any SourceError: it looks again at what is there.
    """

    last_phase = Phase.COPY

    def __init__(self, place: int, route: Route, common: Common) -> None:
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
        self._losses = self._losses_copying = 0
        self._suspicion: dict[int, int] = {}

    @property
    def name(self) -> MailboxName:
        """What the mailbox is called there."""
        return self._destination.name

    @property
    def uidvalidity(self) -> int | None:
        """The UIDVALIDITY of the mailbox when it was listed; None if the server did not tell."""
        listed = self._destination.listed
        return listed.cursor.uidvalidity if listed and listed.cursor else None

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
        """How many messages need nothing more."""
        return self._standing.settled

    @property
    def is_unfinished(self) -> bool:
        """Whether something is left that other mailboxes have sent, or were to send."""
        return bool(self._standing.pending) and not self.report.error

    def conclude(self) -> RestoredMailbox:
        """Return the counts, when nothing more is done."""
        return self._standing.conclude(self._common.notes)

    def work(
        self, phase: Phase, target: AccountTarget, reader: MessageReader, destinations: Sequence[Destination]
    ) -> None:
        """Send what is missing but for what another mailbox is to send first; when that is done copy it from there.

        Raises SourceError, StorageFailed.
        """
        with self._looking_again():
            if phase == Phase.SEND:
                self._send(target, reader)
            else:
                self._copy(target, reader, destinations)

    # -- looking ---------------------------------------------------------------------------------------------------

    def _look(self, target: AccountTarget, reader: MessageReader) -> OpenTarget:
        """Open the mailbox, made if need be; find out what of the pending it has if that is not known."""
        name = self._destination.name
        if self._destination.listed is None and not self.report.made:
            target.create(name, self._destination.use)
            self.report.made = True
            target.subscribe(name)
        self._let_settle()
        opened = target.open(ListedMailbox(name))
        self._permanent = opened.permanent
        if not self._is_looked:
            self._recognise(opened.cursor)
            self._catch_up(opened, reader)
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
            standing.note_removed(uids, again=self._common.options.again)
        if standing.pending and uids:
            landed, octets = standing.match(opened, uids, Evidence(reader), always=self._common.options.always)
            self._landed(landed, octets)
        if since != following:
            self._announce(cursor, following)
        standing.since = following
        self._is_looked = standing.is_begun = True

    def _announce(self, cursor: Cursor, uidnext: int) -> int:
        name = self._destination.name
        return self._common.log.mailbox(self._common.target, name.raw, name.delimiter, cursor.uidvalidity, uidnext)

    def _landed(self, landed: Sequence[tuple[int, Landed]], octets: int) -> None:
        """Write down what is there; ``octets`` of it were sent."""
        if landed:
            self._common.log.restored(self._box, [one for _place, one in landed])
            self._standing.landed(landed)
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

    def _send(self, target: AccountTarget, reader: MessageReader) -> None:
        opened = self._look(target, reader)
        copies, pending = self._common.copies, self._standing.pending
        mine = [place for place, item in pending.items() if copies.is_for(self._place, item.message.digest)]
        self._append(opened, reader, mine)

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
            self._landed(landed, octets)
            self.report.sent += len(landed)
            self._losses = 0

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

    # -- copying ---------------------------------------------------------------------------------------------------

    def _copy(self, target: AccountTarget, reader: MessageReader, destinations: Sequence[Destination]) -> None:
        """Copy from other mailboxes what they have been sent, and send the rest."""
        if not self._is_looked:
            self._look(target, reader)
        with self._doubting_copies():
            for (source, uidvalidity), group in self._groups():
                if self._common.is_stopping():
                    return
                self._copy_from(target, ListedMailbox(destinations[source].name), uidvalidity, group)
        if self._standing.pending and not self._common.is_stopping():
            opened = self._look(target, reader)
            self._append(opened, reader, list(self._standing.pending))

    @contextmanager
    def _doubting_copies(self) -> Iterator[None]:
        """Where the connection ends again and again while something is copied, everything is sent."""
        try:
            yield
        except SourceError as error:
            if error.retryable and not isinstance(error, Throttled):
                self._losses_copying += 1
                if self._losses_copying >= _LOSSES_OF_ONE:
                    self._common.copies.keeps = False
            raise

    def _groups(self) -> Iterator[tuple[tuple[int, int | None], list[Copyable]]]:
        """Yield by destination and UIDVALIDITY what can be copied from there."""
        found: dict[tuple[int, int | None], dict[int, Copyable]] = {}
        for place, item in self._standing.pending.items():
            original = self._common.copies.original(self._place, item.message.digest, item.flags, item.date)
            if original is not None and place not in self._standing.mended:
                # A message is copied once; what is wanted twice is sent the second time.
                group = found.setdefault((original.destination, original.uidvalidity), {})
                group.setdefault(original.uid, (place, item, original.uid))
        for source, group in sorted(found.items(), key=lambda one: one[0][0]):
            yield source, [group[uid] for uid in sorted(group)]

    def _copy_from(
        self, target: AccountTarget, source: ListedMailbox, uidvalidity: int | None, group: Sequence[Copyable]
    ) -> None:
        """Copy messages from one mailbox; what was not copied is left pending."""
        copies = self._common.copies
        opened = _looked_at(target, source, uidvalidity)
        group = self._alike(opened, group) if opened else []
        dated = next((one for one in group if one[1].date is not None), None)
        if opened and dated and copies.keeps is None:
            with copies.trying:
                if copies.keeps is None:
                    self._try_copy(target, opened, dated)
                    opened = _looked_at(target, source, uidvalidity)
            group = [one for one in group if one[0] in self._standing.pending]
        if opened and group and copies.keeps:
            self._copy_some(opened, group)

    def _alike(self, opened: OpenTarget, group: Sequence[Copyable]) -> list[Copyable]:
        """Return what is there still, with the size, the date and the flags that the copy should have."""
        facts = {one.uid: one for one in opened.facts([uid for _place, _item, uid in group])}
        return [one for one in group if self._is_alike(one[1], facts.get(one[2]))]

    def _is_alike(self, item: Wanted, facts: MessageFacts | None) -> bool:
        if facts is None or facts.size != item.message.size or facts.internaldate != (item.date or facts.internaldate):
            return False
        kept = kept_flags(item.flags, self._permanent, self._common.abilities)
        return {flag.lower() for flag in facts.flags} == {flag.lower() for flag in kept}

    def _copy_some(self, opened: OpenTarget, group: Sequence[Copyable]) -> Mapping[int, int]:
        """Copy messages, and return the UIDs of copies; if some are not known it has to be looked what is there."""
        uids = [uid for _place, _item, uid in group]
        copied = opened.copy(uids, self._destination.name, self._standing.uidvalidity)
        landed = [
            (place, Landed(item.message.digest, copied[uid], "copy")) for place, item, uid in group if uid in copied
        ]
        self.report.copied += len(landed)
        self._landed(landed, 0)
        self._is_looked = len(landed) == len(group)
        return copied

    def _try_copy(self, target: AccountTarget, opened: OpenTarget, first: Copyable) -> None:
        """See whether a first copy has the date and the size of its original."""
        _place, item, uid = first
        copied = self._copy_some(opened, [first])
        if uid not in copied:
            return
        there = target.look(ListedMailbox(self._destination.name))
        facts = next(iter(there.facts([copied[uid]])), None)
        keeps = facts is not None and facts.internaldate == item.date and facts.size == item.message.size
        self._common.copies.keeps = keeps
        if not keeps:
            self._common.notes.note(
                "the target changes the date of what it copies: what is in several mailboxes is sent to each; message "
                f"{item.message.digest.hex()[:12]} in {self.name}, by which this was found out, has another date there"
            )


def _looked_at(target: AccountTarget, mailbox: ListedMailbox, uidvalidity: int | None) -> OpenTarget | None:
    """Open a mailbox for reading; None if it is not there any more, or another one is in its place."""
    try:
        opened = target.look(mailbox)
    except MailboxUnavailable:
        return None
    return opened if opened.cursor.uidvalidity == uidvalidity else None


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
