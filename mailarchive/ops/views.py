"""Which mailboxes of Gmail only show messages of the one with all mail, and which label each of them shows; pure."""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from mailarchive.mail.mailbox_name import decode_name, encode_name, mailbox_name
from mailarchive.model import LABELLED, Cursor, ListedMailbox, MailboxName, UidValidity
from mailarchive.records import KnownMailbox

_ALL = "\\All"
_INBOX = "\\Inbox"
_PLACES = frozenset({_ALL, "\\Junk", "\\Trash"})
_SYSTEM = {
    "\\inbox": _INBOX,
    "\\sent": "\\Sent",
    "\\starred": "\\Flagged",
    "\\flagged": "\\Flagged",
    "\\important": "\\Important",
    "\\draft": "\\Drafts",
    "\\drafts": "\\Drafts",
}
"""System labels, and the special use (RFC 6154, RFC 8457) of the mailboxes that show them."""
_SHOWN_NOWHERE = frozenset({"", "\\all", "\\junk", "\\spam", "\\trash"})


class Views(NamedTuple):
    """The mailboxes that only show messages of ``source``, which has all mail: each shows those with one label."""

    source: ListedMailbox

    def show(self, name: MailboxName, special_use: Collection[str]) -> bool:
        """Return whether a mailbox is one of them.

        What stands beside the one with all mail, under the provider's name, and has no special use is not: chats.
        """
        if name.raw == b"INBOX" or not set(_SYSTEM.values()).isdisjoint(special_use):
            return True
        if not _PLACES.isdisjoint(special_use) or name.raw == self.source.name.raw:
            return False
        parent = self.source.name.parts[:-1]
        return not parent or name.parts[: len(parent)] != parent

    def named(self, label: str) -> ListedMailbox | None:
        """Return the mailbox that would show ``label`` if the server listed it; None for those that none shows."""
        delimiter = self.source.name.delimiter or "/"
        if not label.startswith("\\"):
            return ListedMailbox(mailbox_name(encode_name(label), delimiter)) if label else None
        if label.lower() in _SHOWN_NOWHERE:
            return None
        parent, separator, _name = self.source.name.raw.rpartition(delimiter.encode("latin-1"))
        raw = parent + separator + encode_name(label[1:])
        use = _SYSTEM.get(label.lower())
        return ListedMailbox(mailbox_name(raw, delimiter), frozenset({use} if use else ()))


def shows_all_mail(listed: Iterable[ListedMailbox]) -> bool:
    """Return whether the mailbox with all mail is among those listed."""
    return any(_ALL in box.special_use for box in listed)


def views_of(listed: Iterable[ListedMailbox], is_selected: Callable[[ListedMailbox], bool]) -> Views | None:
    """Return the views of a Gmail account, None if the mailbox with all mail is hidden or not selected."""
    source = next((box for box in listed if _ALL in box.special_use and is_selected(box)), None)
    return None if source is None else Views(source)


def label_key(label: str) -> str:
    """Return what tells labels apart: system labels have several names."""
    return _SYSTEM.get(label.lower(), label) if label.startswith("\\") else label


def label_of(name: MailboxName, special_use: Collection[str]) -> str:
    """Return the key of the label that a mailbox shows."""
    if name.raw == b"INBOX":
        return _INBOX
    return next((use for use in _SYSTEM.values() if use in special_use), decode_name(name.raw))


def labelled(uidvalidity: int) -> UidValidity:
    """Return what UIDs of the mailbox with all mail, under ``uidvalidity``, stand under in mailboxes of labels.

    So they are never taken for those that the mailbox of a label has itself.
    """
    return UidValidity(uidvalidity + LABELLED)


def mark(uidvalidity: int) -> Cursor:
    """Return the cursor of a mailbox that is kept in step with the one with all mail under ``uidvalidity``."""
    return Cursor(labelled(uidvalidity), None, None, None)


def is_from_labels(known: KnownMailbox) -> bool:
    """Return whether what is known of a mailbox came from labels."""
    return known.uidvalidity is not None and known.uidvalidity >= LABELLED


def is_in_step(known: KnownMailbox | None, uidvalidity: int | None) -> bool:
    """Return whether a mailbox has exactly the placements that the labels recorded under ``uidvalidity`` give it."""
    if known is None or uidvalidity is None:
        return False
    return known.present and known.uidvalidity == labelled(uidvalidity) and known.cursor == mark(uidvalidity)
