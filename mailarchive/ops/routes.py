"""Which messages of an archive go to which mailbox of a target, and what that is known to have of them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailarchive.archive.archive import Catalog
from mailarchive.errors import UsageError
from mailarchive.model import Digest, ListedMailbox
from mailarchive.ops import gmail_names
from mailarchive.ops.naming import Destination, destinations
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import RestoredMailbox
from mailarchive.ops.restore_scope import Scope
from mailarchive.ops.selection import Selection
from mailarchive.ops.standing import Have
from mailarchive.ops.wanted import Wanted, wanted_of
from mailarchive.records import MENDED, KnownTargetMailbox
from mailarchive.targets.accounts import Abilities


class Route(NamedTuple):
    """A mailbox of the target and what it should have; ``known`` and ``have`` are what the archive remembers of it.

    Where there are labels, ``label`` is the one that puts a message of the mailbox with all mail into this one.
    """

    destination: Destination
    wanted: Sequence[Wanted]
    known: KnownTargetMailbox | None = None
    have: Sequence[Have] = ()
    label: str | None = None

    @property
    def remembered(self) -> KnownTargetMailbox | None:
        """The mailbox that was given messages, if it is still that one as far as is known before it is opened."""
        listed, known = self.destination.listed, self.known
        if listed is None or known is None:
            return None
        return known if listed.cursor is None or listed.cursor.uidvalidity == known.uidvalidity else None

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
    """Return where everything goes; ``target`` is its number in the archive. Raises UsageError if that is nothing."""
    all_mail = next((box for box in listed if "\\All" in box.special_use), None) if abilities.has_labels else None
    boxes = scope.boxes if all_mail is None else gmail_names.as_labels(scope.boxes)
    found = destinations(boxes, listed, abilities.prefix, abilities.delimiter, options.wishes)
    planned = [Route(one, wanted_of(catalog, one.sources, options.selection, scope.past)) for one in found]
    planned = _with_something(planned, options.selection)
    if all_mail is not None:
        planned = _by_label(planned, all_mail)
    known = {} if target is None else {box.raw: box for box in catalog.target_mailboxes(target)}
    return [_remembered(catalog, route, known.get(route.destination.name.raw)) for route in planned]


def _with_something(planned: Sequence[Route], selection: Selection) -> list[Route]:
    """Leave out mailboxes of which no message of the selected days is; those that are empty are made all the same."""
    if not any(route.wanted for route in planned):
        raise UsageError("no message in the archive matches: nothing is restored", hint="see: mailarchive list")
    is_of_days = selection.since is not None or selection.before is not None
    return [route for route in planned if route.wanted or not is_of_days]


def _remembered(catalog: Catalog, route: Route, known: KnownTargetMailbox | None) -> Route:
    if known is None:
        return route
    have = [Have(one.digest, one.uid, one.how == MENDED) for one in catalog.restored(known.box)]
    return route._replace(known=known, have=have)


def _by_label(planned: Sequence[Route], all_mail: ListedMailbox) -> list[Route]:
    """Send each message to the mailbox with all mail, once, and let labels put it into the others.

    Spam and trash have no part in that.
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
    return [first, *others, *shown]


def distinct(wanted: Iterable[Wanted]) -> list[Wanted]:
    """Return each message once, the oldest first."""
    found: dict[Digest, Wanted] = {}
    for item in wanted:
        found.setdefault(item.message.digest, item)
    dated = {digest: item.date.timestamp() if item.date else 0.0 for digest, item in found.items()}
    return sorted(found.values(), key=lambda item: dated[item.message.digest])
