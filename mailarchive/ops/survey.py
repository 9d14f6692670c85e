"""Compare the mailboxes that a server lists with those of the archive, writing nothing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailarchive.errors import MailboxUnavailable
from mailarchive.model import ListedMailbox
from mailarchive.ops import plan as plans
from mailarchive.ops.generation import continued, spoken
from mailarchive.ops.imported import is_imported
from mailarchive.ops.look import Lend
from mailarchive.ops.options import PullOptions
from mailarchive.ops.report import Failure, MailboxReport
from mailarchive.ops.views import Views, is_from_labels, is_in_step, shows_all_mail, views_of
from mailarchive.records import KnownFailure, KnownMailbox
from mailarchive.sources.base import Source

MOST_COMPARED = 50
"""So many pairs of mailboxes are looked at in vain to find out which was renamed to which."""
HIDDEN = (
    "All Mail is hidden from IMAP, so messages without a label are not seen; "
    "in Gmail's settings, under Labels, let All Mail show in IMAP"
)
SAMPLE = 20
"""So many messages of a mailbox are looked at."""


def mailbox_key(raw: bytes) -> bytes:
    """Return what tells mailboxes of an account apart: the server's name, INBOX in any case (RFC 9051 section 5.1)."""
    return b"INBOX" if raw.upper() == b"INBOX" else raw


@dataclass(slots=True)
class Survey:
    """What a listing means. Each listed mailbox is either reported already or to be opened."""

    listed: list[ListedMailbox]
    known: dict[bytes, KnownMailbox] = field(default_factory=dict)
    """What the archive has, by what the server calls it now."""
    to_open: list[ListedMailbox] = field(default_factory=list)
    reports: list[MailboxReport] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    vanished: list[KnownMailbox] = field(default_factory=list)
    renamed: list[tuple[KnownMailbox, ListedMailbox]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    views: Views | None = None
    """Which of them only show messages of another one; those are neither reported nor opened."""

    def known_as(self, mailbox: ListedMailbox) -> KnownMailbox | None:
        """Return what the archive has of a listed mailbox."""
        return self.known.get(mailbox_key(mailbox.name.raw))


def survey(lend: Lend, source: Source, account: str, options: PullOptions, now: datetime) -> Survey:
    """Sort the mailboxes of ``source``: left out, unchanged, renamed, vanished, to be opened. Raises SourceError."""
    found = Survey(source.mailboxes())
    with lend() as catalog:
        known = [] if is_imported(catalog, account) else catalog.mailboxes(account)
    boxes = sorted(known, key=lambda box: (box.present, box.number))
    found.known = {mailbox_key(box.name.raw): box for box in boxes}
    found.views = views_of(found.listed, lambda box: _is_selected(box, options)) if source.has_labels else None
    if source.has_labels and not shows_all_mail(found.listed):
        found.notes.append(HIDDEN)
    if found.views:
        _follow_special_uses(found)
    else:
        _follow_renames(found, lend, source)
    found.listed = [_continued(mailbox, found.known_as(mailbox)) for mailbox in found.listed]
    here = {mailbox_key(mailbox.name.raw) for mailbox in found.listed}
    found.vanished = [box for key, box in found.known.items() if box.present and key not in here]
    if found.views:
        found.vanished = [box for box in found.vanished if not found.views.show(box.name, box.special_use)]
    for mailbox in found.listed:
        if not _is_selected(mailbox, options):
            messages = _messages(mailbox)
            found.reports.append(MailboxReport(str(mailbox.name), messages, excluded=messages))
        elif found.views and found.views.show(mailbox.name, mailbox.special_use):
            continue
        elif _is_behind(found, mailbox, options) or not _is_unchanged(found, lend, mailbox, options, now):
            found.to_open.append(mailbox)
    return found


def _is_selected(mailbox: ListedMailbox, options: PullOptions) -> bool:
    return plans.is_selected(str(mailbox.name), options.mailboxes, options.exclude)


def _is_behind(found: Survey, mailbox: ListedMailbox, options: PullOptions) -> bool:
    """Return whether ``mailbox`` has to be opened for the sake of those that only show its messages."""
    if found.views is None or mailbox.name.raw != found.views.source.name.raw:
        return False
    known = found.known_as(mailbox)
    listed = {mailbox_key(other.name.raw) for other in found.listed}
    names = [(other.name, other.special_use) for other in found.listed]
    names += [
        (box.name, frozenset(box.special_use)) for key, box in found.known.items() if box.present and key not in listed
    ]
    shown = [ListedMailbox(name, use) for name, use in names if found.views.show(name, use)]
    return not all(
        is_in_step(found.known_as(other), known.uidvalidity if known else None)
        for other in shown
        if _is_selected(other, options)
    )


def _continued(mailbox: ListedMailbox, known: KnownMailbox | None) -> ListedMailbox:
    return mailbox._replace(cursor=continued(mailbox.cursor, known)) if mailbox.cursor else mailbox


def unread(mailbox: ListedMailbox, known: KnownMailbox | None, lend: Lend) -> MailboxReport:
    """Return the report of a mailbox that could not be read: what the archive does not have counts as failed."""
    messages, have = _messages(mailbox), 0
    if known is not None:
        with lend() as catalog:
            have = min(messages, catalog.present(known.number))
    return MailboxReport(str(mailbox.name), messages, known=have, failed=messages - have)


def _messages(mailbox: ListedMailbox) -> int:
    return (mailbox.cursor.messages if mailbox.cursor else None) or 0


def _is_unchanged(found: Survey, lend: Lend, mailbox: ListedMailbox, options: PullOptions, now: datetime) -> bool:
    """Report a mailbox that need not be opened, and return whether it is one."""
    known = found.known_as(mailbox)
    if known is None or known.cursor is None or not plans.is_unchanged(known, mailbox, options.since):
        return False
    with lend() as catalog:
        failures = catalog.failures(known.number, known.cursor.uidvalidity)
        unproved = options.paranoid and catalog.unproved(known.number, known.cursor.uidvalidity)
    if unproved or any(plans.is_due(failure, now) for failure in failures):
        return False
    found.reports.append(_unchanged(str(mailbox.name), known, failures))
    found.failures.extend(
        Failure(str(mailbox.name), str(failure.uid), failure.why, failure.tries) for failure in failures
    )
    return True


def _unchanged(name: str, known: KnownMailbox, failures: Sequence[KnownFailure]) -> MailboxReport:
    listed = (known.cursor.messages if known.cursor else None) or 0
    return MailboxReport(
        name,
        listed,
        known=listed - len(failures) - known.excluded,
        failed=len(failures),
        excluded=known.excluded,
        unchanged=True,
    )


# -- renamed mailboxes -------------------------------------------------------------------------------------------------


def _follow_renames(found: Survey, lend: Lend, source: Source) -> None:
    """Find known mailboxes under other names: with the same UIDVALIDITY, and the same messages under the same UIDs."""
    moved: set[int] = set()
    taken: set[bytes] = set()
    in_vain = 0
    for old, new in _perhaps_renamed(found):
        if in_vain == MOST_COMPARED:
            break
        if old.number in moved or new.name.raw in taken:
            continue
        if not _has_the_messages_of(old, new, lend, source):
            in_vain += 1
            continue
        moved.add(old.number)
        taken.add(new.name.raw)
        found.renamed.append((old, new))
    for old, _new in found.renamed:
        del found.known[mailbox_key(old.name.raw)]
    for old, new in found.renamed:
        found.known[mailbox_key(new.name.raw)] = old._replace(name=new.name)


def _follow_special_uses(found: Survey) -> None:
    """Find mailboxes of Gmail that have another name because the user chose another language."""
    listed = {mailbox_key(mailbox.name.raw) for mailbox in found.listed}
    left = {
        use: box for key, box in found.known.items() if box.present and key not in listed for use in box.special_use
    }
    for new in found.listed:
        known = found.known_as(new)
        old = next((left[use] for use in new.special_use if use in left), None)
        if old is not None and (known is None or not known.present):
            found.renamed.append((old, new))
            del found.known[mailbox_key(old.name.raw)]
            found.known[mailbox_key(new.name.raw)] = old._replace(name=new.name)


def _perhaps_renamed(found: Survey) -> Iterator[tuple[KnownMailbox, ListedMailbox]]:
    """Yield pairs (left, appeared) that have the same UIDVALIDITY; those with the same cursor first.

    Many servers give several mailboxes one UIDVALIDITY, so it does not decide.
    """
    by_validity: defaultdict[int | None, list[KnownMailbox]] = defaultdict(list)
    listed = {mailbox_key(mailbox.name.raw): mailbox for mailbox in found.listed}
    for key, box in found.known.items():
        if is_from_labels(box):
            continue
        if box.present and (key not in listed or _validity(listed[key]) not in {None, spoken(box.uidvalidity)}):
            by_validity[spoken(box.uidvalidity)].append(box)
    appeared = [mailbox for mailbox in found.listed if not _is_known(found, mailbox)]
    pairs = [(old, new) for new in appeared for old in by_validity.get(_validity(new), ()) if old.uidvalidity]
    yield from sorted(pairs, key=lambda pair: pair[0].cursor != pair[1].cursor)


def _is_known(found: Survey, mailbox: ListedMailbox) -> bool:
    known = found.known_as(mailbox)
    return known is not None and known.present and spoken(known.uidvalidity) == _validity(mailbox)


def _validity(mailbox: ListedMailbox) -> int | None:
    return mailbox.cursor.uidvalidity if mailbox.cursor else None


def _has_the_messages_of(old: KnownMailbox, new: ListedMailbox, lend: Lend, source: Source) -> bool:
    """Look at the newest messages of ``old`` in ``new``; an empty mailbox must have the same cursor."""
    with lend() as catalog:
        expected = {seen.uid: seen for seen in catalog.newest(old.number, SAMPLE)}
    if not expected:
        return old.cursor is not None and old.cursor == new.cursor
    try:
        facts = list(source.open(new).facts(list(expected)))
    except MailboxUnavailable:
        return False
    return 2 * len(facts) >= len(expected) and all(
        item.size in {expected[item.uid].size, expected[item.uid].said_size}
        and item.internaldate == expected[item.uid].date
        for item in facts
    )
