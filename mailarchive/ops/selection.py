"""Which placements of an archive a reader wants: by account, mailbox and date, there or gone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime

from mailarchive.archive.archive import Archive
from mailarchive.mail.mailbox_name import is_named
from mailarchive.records import KnownMailbox, PlacementRecord


@dataclass(frozen=True, slots=True)
class Selection:
    """Which placements: globs over the printed mailbox name, INTERNALDATE in [since, before)."""

    mailboxes: tuple[str, ...] = ()
    account: str | None = None
    since: date | None = None
    before: date | None = None
    gone: bool | None = False
    """False: those at the server; True: those that vanished from it; None: both."""
    moved: bool = False
    """Only those that vanished from their mailbox, and are elsewhere in the account."""
    exclude: tuple[str, ...] = ()


def chosen(archive: Archive, selection: Selection) -> Iterator[tuple[KnownMailbox, PlacementRecord]]:
    """Yield the selected placements with their mailbox, mailbox by mailbox."""
    for box in selected(archive, selection):
        for gone in (False, True) if selection.gone is None else (selection.gone,):
            for record in archive.catalog.placements(box.number, gone=gone):
                if is_within(record.date, selection):
                    yield box, record


def selected(archive: Archive, selection: Selection) -> list[KnownMailbox]:
    """Return the selected mailboxes, by account and name."""
    return selected_of(archive.catalog.mailboxes(selection.account), selection)


def selected_of(boxes: Iterable[KnownMailbox], selection: Selection) -> list[KnownMailbox]:
    """Return those of ``boxes`` that are selected, by account and name."""
    return sorted((box for box in boxes if _is_chosen(box, selection)), key=lambda box: (box.account, str(box.name)))


def _is_chosen(box: KnownMailbox, selection: Selection) -> bool:
    """Return whether a mailbox is selected, by its account and its name."""
    name = str(box.name)
    return (
        selection.account in {None, box.account}
        and (not selection.mailboxes or any(is_named(name, glob) for glob in selection.mailboxes))
        and not any(is_named(name, glob) for glob in selection.exclude)
    )


def matchless(archive: Archive, selection: Selection) -> Iterator[str]:
    """Yield a sentence for each filter of ``selection`` that fits no account or mailbox of the archive."""
    boxes = archive.catalog.mailboxes(selection.account)
    if selection.account and not boxes:
        yield f"the archive has no account {selection.account} (see: mailarchive mailboxes)"
        return
    for glob in selection.mailboxes:
        if not any(is_named(str(box.name), glob) for box in boxes):
            yield f"no mailbox matches {glob} (upper and lower case matter; see: mailarchive mailboxes)"


def is_within(moment: datetime | None, selection: Selection) -> bool:
    """Return whether INTERNALDATE is in the selected days, as the server's own zone counts them."""
    if selection.since is None and selection.before is None:
        return True
    if moment is None:
        return False
    day = moment.date()
    return (selection.since is None or day >= selection.since) and (selection.before is None or day < selection.before)
