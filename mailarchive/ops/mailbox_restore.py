"""One mailbox of a target: look at what it has, send or copy what it lacks, and write down what it was given."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from mailarchive.archive.messages import MessageReader
from mailarchive.archive.restoring import Landed
from mailarchive.errors import MessageRefused, ProtocolViolation, SourceError, Throttled
from mailarchive.mail.digest import digest_of
from mailarchive.model import Cursor, Digest, ListedMailbox, MailboxName
from mailarchive.ops.letters import Letters, Withheld
from mailarchive.ops.matching import numbers
from mailarchive.ops.naming import Destination
from mailarchive.ops.outgoing_mail import head_of
from mailarchive.ops.restore_common import Common
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.routes import Route
from mailarchive.ops.standing import Standing
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import AccountTarget, OpenTarget, Outcome

_TOLD_AT_ONCE = 100
"""Outcomes are written down in groups of at most so many; what is not is recognised by the next run."""
_LOSSES_BEFORE_ALONE = 2
_LOSSES_OF_ONE = 2
"""After so many lost connections nothing else is on the way; a message that then ends so many is given up."""

Copyable = tuple[int, Wanted, int]
"""A pending message by its place, and its UID in the mailbox that it can be copied from."""


class MailboxRestore:
    """Brings one mailbox of the target up to what is wanted there.

    ``send`` and ``copy`` may be called again after any SourceError: they look again at what is there.
    """

    def __init__(self, place: int, route: Route, common: Common) -> None:
        self._destination = route.destination
        self.report = route.report()
        self._place = place
        self._route = route
        self._common = common
        self._standing = Standing(place, self.report, route.wanted, route.have, common.copies)
        self._box = 0
        self._is_looked = False
        self._losses = 0
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

    def prepare(self) -> bool:
        """Compare what is wanted with what the archive remembers; return whether the mailbox has to be opened."""
        self._standing.recall(self._route.remembered)
        self._standing.offer_all()
        is_there = self._destination.listed is not None
        return bool(self._standing.pending) or not is_there or self._common.options.again

    def planned(self) -> tuple[str, int, int]:
        """Return what the mailbox is called, how many messages are needed there, and their octets."""
        pending = self._standing.pending.values()
        return self.report.mailbox, len(pending), sum(item.message.size for item in pending)

    @property
    def is_deferring(self) -> bool:
        """Whether something is left that other mailboxes have sent, or were to send."""
        return bool(self._standing.pending) and not self.report.error

    def conclude(self) -> RestoredMailbox:
        """Return the counts, when nothing more is done."""
        return self._standing.conclude(self._common.notes)

    # -- looking ---------------------------------------------------------------------------------------------------

    def _look(self, target: AccountTarget, reader: MessageReader) -> OpenTarget:
        """Open the mailbox, made if need be; find out what of the pending it has if that is not known."""
        name = self._destination.name
        if self._destination.listed is None and not self.report.made:
            target.create(name, self._destination.use)
            target.subscribe(name)
            self.report.made = True
        opened = target.open(ListedMailbox(name))
        if not self._is_looked:
            known = self._route.known
            if known and known.uidvalidity != opened.cursor.uidvalidity and not self._standing.is_begun:
                self._standing.recall(None)
            self._catch_up(opened, reader)
        return opened

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
            landed, octets = standing.match(
                opened, uids, lambda item: head_of(reader, item.message), always=self._common.options.always
            )
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
        except SourceError:
            self._is_looked = False
            raise

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, target: AccountTarget, reader: MessageReader) -> None:
        """Send what is missing, but for what another mailbox is to send first. Raises SourceError, StorageFailed."""
        with self._looking_again():
            opened = self._look(target, reader)
            copies = self._common.copies
            mine = [
                (place, item)
                for place, item in self._standing.pending.items()
                if copies.is_for(self._place, item.message.digest)
            ]
            self._append(opened, mine, reader)

    def _append(self, opened: OpenTarget, items: Sequence[tuple[int, Wanted]], reader: MessageReader) -> None:
        letters = Letters(reader, opened.permanent, self._common, self._withhold)
        is_alone = self._losses >= _LOSSES_BEFORE_ALONE
        refused: list[tuple[int, Outcome]] = []
        heard = 0
        try:
            for group in _groups_of(opened.append(letters.of(items), alone=is_alone)):
                heard += len(group)
                outcomes = [(letters.on_the_way[outcome.place], outcome) for outcome in group]
                self._sent(letters, [one for one in outcomes if one[1].refused is None])
                refused += [one for one in outcomes if one[1].refused is not None]
        except SourceError as error:
            self._blame(letters.on_the_way[heard : heard + 1], error, is_alone=is_alone)
            raise
        finally:
            for place, outcome in refused:
                flaws = letters.flaws(self._standing.pending[place])
                self._standing.refuse(place, outcome.refused or "", flaws)
        if self._common.options.fix:
            self._send_mended(opened, letters)

    def _sent(self, letters: Letters, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        if not outcomes:
            return
        items = [self._standing.pending[place] for place, _outcome in outcomes]
        for item in items:
            self._common.notes.dropped(letters.dropped(item))
        landed = [
            (place, Landed(item.message.digest, outcome.uid))
            for (place, outcome), item in zip(outcomes, items, strict=True)
        ]
        self._landed(landed, sum(item.message.size for item in items))
        self.report.sent += len(outcomes)
        self._losses = 0

    def _withhold(self, withheld: Withheld) -> None:
        if withheld.damaged:
            self._standing.damaged(withheld.place)
            self._common.notes.note(withheld.reason)
        else:
            self._standing.refuse(withheld.place, withheld.reason, withheld.flaws)

    def _send_mended(self, opened: OpenTarget, letters: Letters) -> None:
        """Send mended copies of what was refused; those are listed in any case."""
        for place, item, flaws in self._standing.mendable():
            if self._common.is_stopping():
                return
            mended = letters.mended(item, flaws)
            (outcome,) = opened.append([mended], alone=True)
            if outcome.refused is None:
                digest = digest_of(b"".join(mended.body.chunks()))
                self._standing.mend(place)
                self._landed([(place, Landed(item.message.digest, outcome.uid, None, digest))], mended.body.size)
                self.report.sent += 1

    def _blame(self, suspects: Sequence[int], error: SourceError, *, is_alone: bool) -> None:
        """Count a lost connection; a message that ends it whenever it is sent alone is given up."""
        if isinstance(error, Throttled) or not error.retryable:
            return
        self._losses += 1
        for place in suspects if is_alone else ():
            self._suspicion[place] = self._suspicion.get(place, 0) + 1
            if self._suspicion[place] >= _LOSSES_OF_ONE:
                self._standing.refuse(place, f"the connection ends whenever this message is sent: {error}")
                self._losses = 0

    # -- copying ---------------------------------------------------------------------------------------------------

    def copy(self, target: AccountTarget, reader: MessageReader, destinations: Sequence[Destination]) -> None:
        """Copy from other mailboxes what they have been sent, and send the rest. Raises as ``send``."""
        with self._looking_again():
            if not self._is_looked:
                self._look(target, reader)
            for source, group in self._groups():
                self._copy(target, destinations[source], group)
            if self._standing.pending and not self._common.is_stopping():
                self._append(self._look(target, reader), list(self._standing.pending.items()), reader)

    def _groups(self) -> Iterator[tuple[int, list[Copyable]]]:
        """Yield by destination what can be copied from there."""
        found: dict[int, dict[int, Copyable]] = {}
        for place, item in self._standing.pending.items():
            original = self._common.copies.original(self._place, item.message.digest, item.flags, item.date)
            if original is not None:
                # A message is copied once; what is wanted twice is sent the second time.
                found.setdefault(original.destination, {}).setdefault(original.uid, (place, item, original.uid))
        for destination, group in sorted(found.items()):
            yield destination, [group[uid] for uid in sorted(group)]

    def _copy(self, target: AccountTarget, source: Destination, group: Sequence[Copyable]) -> None:
        """Copy messages from one mailbox; what was not copied is left pending, and is not to be copied again."""
        copies = self._common.copies
        if copies.keeps is None:
            self._copy_some(target.look(ListedMailbox(source.name)), group[:1])
            self._try_copy(target, group[0])
        rest = [one for one in group if one[0] in self._standing.pending]
        if rest and copies.keeps:
            self._copy_some(target.look(ListedMailbox(source.name)), rest)
        copies.forget(item.message.digest for place, item, _uid in rest if place in self._standing.pending)

    def _copy_some(self, opened: OpenTarget, group: Sequence[Copyable]) -> None:
        try:
            copied = opened.copy([uid for _place, _item, uid in group], self._destination.name)
        except MessageRefused:
            return
        if len(copied.uids) != len(group):
            self._common.copies.forget(item.message.digest for _place, item, _uid in group)
            raise ProtocolViolation("the server copied messages and does not say which")
        self.report.copied += len(group)
        self._landed(
            [
                (place, Landed(item.message.digest, uid, "copy"))
                for (place, item, _original), uid in zip(group, copied.uids, strict=True)
            ],
            0,
        )

    def _try_copy(self, target: AccountTarget, first: Copyable) -> None:
        """See whether the first copy has the date and the size of its original."""
        place, item, _uid = first
        uid = self._standing.newest_uid
        if place in self._standing.pending or uid is None:
            return
        opened = target.look(ListedMailbox(self._destination.name))
        found = next(iter(opened.facts([uid])), None)
        self._common.copies.keeps = found is not None and (item.date is None or found.internaldate == item.date)
        if not self._common.copies.keeps:
            self._common.notes.note(
                "the target gives copies another date: what is in several mailboxes is sent to each"
            )


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
