"""Which messages of an archive go to which mailbox of a target, and what that is known to have of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from mailarchive.archive.archive import Catalog
from mailarchive.model import Digest, ListedMailbox, MailboxName
from mailarchive.ops import gmail_names
from mailarchive.ops.copies import Copies
from mailarchive.ops.naming import Destination, Naming, destinations
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.restore_scope import Scope
from mailarchive.ops.selection import Selection
from mailarchive.ops.standing import Have, Standing
from mailarchive.ops.wanted import Wanted, shared_digests, wanted_of
from mailarchive.records import KnownTargetMailbox
from mailarchive.targets.accounts import Abilities


class Route(NamedTuple):
    """A mailbox of the target and what it should have; ``known`` and ``have`` are what the archive remembers of it.

    Where there are labels, ``label`` is the one that puts a message of the mailbox with all mail into this one.
    ``moved`` is what the mailbox that is known seems to be called now.
    """

    destination: Destination
    wanted: Sequence[Wanted]
    known: KnownTargetMailbox | None = None
    have: Sequence[Have] = ()
    label: str | None = None
    moved: MailboxName | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the mailbox was filled before, and is not there any more."""
        return self.known is not None and self.destination.listed is None

    @property
    def lost_note(self) -> str:
        """What to say if it is lost."""
        name = self.destination.name
        return f"{name}, filled by an earlier run, is not there any more: it is made again" if self.is_lost else ""

    def why_not(self, *, again: bool) -> tuple[str, str] | None:
        """Return why the mailbox is left alone, unless it is to be filled ``again``, and what to do."""
        if self.moved is None or again:
            return None
        name = self.destination.name
        reason = f"{name}, filled by an earlier run, seems to be called {self.moved} there now"
        return reason, "go on there with --map, or fill the old name anew with --again"

    def must_be_opened(self, standing: Standing, *, again: bool) -> bool:
        """Return whether the mailbox, if it is there, may have or lack something that is not known of."""
        listed = self.destination.listed
        messages = listed.cursor.messages if listed and listed.cursor else None
        is_changed = self.remembered is not None and not standing.is_of(messages)
        return listed is not None and (bool(standing.pending) or is_changed or again)

    @property
    def remembered(self) -> KnownTargetMailbox | None:
        """The mailbox that was given messages, if it is still that one as far as is known before it is opened."""
        listed, known = self.destination.listed, self.known
        if listed is None or known is None:
            return None
        return known if listed.cursor is None or listed.cursor.uidvalidity == known.uidvalidity else None

    @property
    def changed_note(self) -> str:
        """What to say of a name that had to be changed, when the mailbox is filled for the first time."""
        return self.destination.changed if self.known is None else ""

    def report(self) -> RestoredMailbox:
        """Return the counts to begin with."""
        sources = sorted({f"{box.account} {box.name}" for box in self.destination.sources})
        return RestoredMailbox(str(self.destination.name), sources, len(self.wanted))


def routes(
    catalog: Catalog,
    scope: Scope,
    abilities: Abilities,
    listed: Sequence[ListedMailbox],
    options: RestoreOptions,
    target: int | None,
) -> list[Route]:
    """Return where everything goes; ``target`` is its number in the archive."""
    all_mail = next((box for box in listed if "\\All" in box.special_use), None) if abilities.has_labels else None
    known = {} if target is None else {box.raw: box for box in catalog.target_mailboxes(target)}
    naming = Naming(listed, abilities.prefix, abilities.delimiter, filled=known.keys())
    if all_mail is not None:
        naming = replace(naming, fit=gmail_names.as_label)
    found = _selected(destinations(scope.neighbours, naming, options.wishes), scope)
    planned = [Route(one, wanted_of(catalog, one.sources, options.selection, scope.past)) for one in found]
    planned = _with_something(planned, options.selection)
    if all_mail is not None:
        planned = _by_label(planned, all_mail)
    wanted = {route.destination.name.raw for route in planned}
    strange = [(box, known.get(box.name.raw)) for box in listed if box.name.raw not in wanted]
    return [_remembered(catalog, route, known.get(route.destination.name.raw), strange) for route in planned]


def _selected(found: Iterable[Destination], scope: Scope) -> list[Destination]:
    """Leave out what nothing that is restored goes to."""
    chosen = {box.number for box in scope.boxes}
    some = (replace(one, sources=[box for box in one.sources if box.number in chosen]) for one in found)
    return [one for one in some if one.sources]


def copies_between(planned: Sequence[Route], abilities: Abilities) -> Copies:
    """Return who sends what several mailboxes want; where there are labels nothing is copied for them."""
    shared = shared_digests(route.wanted for route in planned if route.label is None)
    return Copies(shared, tells_uids=abilities.tells_uids)


def _with_something(planned: Sequence[Route], selection: Selection) -> list[Route]:
    """Leave out mailboxes of which no message of the selected days is; those that are empty are made all the same."""
    is_of_days = selection.since is not None or selection.before is not None
    return [route for route in planned if route.wanted or not is_of_days]


def _remembered(
    catalog: Catalog,
    route: Route,
    known: KnownTargetMailbox | None,
    strange: Iterable[tuple[ListedMailbox, KnownTargetMailbox | None]],
) -> Route:
    """Add what is remembered; of a mailbox that is lost also as what it may be there now, one of ``strange``."""
    if known is None:
        return route
    have = [Have(*one) for one in catalog.restored(known.box)]
    route = route._replace(known=known, have=have)
    if not have or not route.is_lost or route.label is not None:
        return route
    # Where a mailbox is given another name it keeps its UIDVALIDITY, and messages their UIDs.
    alike = [(box, other) for box, other in strange if box.cursor and box.cursor.uidvalidity == known.uidvalidity]
    moved = (box.name for box, other in alike if other is None or _has_same(catalog, other, have))
    return route._replace(moved=next(moved, None))


def _has_same(catalog: Catalog, other: KnownTargetMailbox, have: Iterable[Have]) -> bool:
    """Return whether one of the messages in another mailbox has the UID that it has in the one that is remembered."""
    there = {(one.digest, one.uid) for one in catalog.restored(other.box)}
    return any(one.uid is not None and (one.digest, one.uid) in there for one in have)


def _by_label(planned: Sequence[Route], all_mail: ListedMailbox) -> list[Route]:
    """Send each message to the mailbox with all mail, once, and let labels put it into the others.

    Spam and trash have no part in that; as a message is in one of these three places only, they get what the mailbox
    with all mail does not.
    """
    places = [route for route in planned if gmail_names.is_place(route.destination)]
    labels = [
        route._replace(wanted=distinct(route.wanted), label=gmail_names.label_of(route.destination))
        for route in planned
        if not gmail_names.is_place(route.destination)
    ]
    whole = next((route for route in places if route.destination.name.raw == all_mail.name.raw), None)
    others = [route for route in places if route is not whole]
    sources = whole.destination.sources if whole else []
    wanted = distinct([*(whole.wanted if whole else ()), *(item for route in labels for item in route.wanted)])
    first = Route(Destination(all_mail.name, all_mail, list(sources)), wanted)
    # There a message has one date and one set of flags, whichever mailboxes show it.
    as_sent = {item.message.digest: item for item in wanted}
    shown = [route._replace(wanted=[as_sent[item.message.digest] for item in route.wanted]) for route in labels]
    return [first, *_elsewhere(others, set(as_sent)), *shown]


def _elsewhere(others: Iterable[Route], taken: set[Digest]) -> Iterator[Route]:
    """Yield routes without what is ``taken``, or wanted by one before."""
    for route in others:
        wanted = [item for item in route.wanted if item.message.digest not in taken]
        taken |= {item.message.digest for item in wanted}
        yield route._replace(wanted=distinct(wanted))


def distinct(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Return each message once, the oldest first."""
    found: dict[Digest, Wanted] = {}
    for item in wanted:
        found.setdefault(item.message.digest, item)
    dated = {digest: item.date.timestamp() if item.date else 0.0 for digest, item in found.items()}
    return sorted(found.values(), key=lambda item: dated[item.message.digest])
