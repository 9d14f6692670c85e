"""Names at Gmail: which mailboxes show labels, and what labels may not be called; pure."""

import re
from collections.abc import Iterable

from mailarchive.ops.naming import Destination, Parts
from mailarchive.records import KnownMailbox

_PLACES = frozenset({"\\All", "\\Junk", "\\Trash"})
_LABELS = {
    "\\Sent": "\\Sent",
    "\\Drafts": "\\Draft",
    "\\Flagged": "\\Starred",
    "\\Important": "\\Important",
}
"""System labels as X-GM-LABELS has them, by the special use of the mailbox that shows them."""
_RESERVED = frozenset(
    {
        *("inbox", "sent", "sent mail", "draft", "drafts", "spam", "trash", "bin", "starred", "important", "all mail"),
        *("chat", "chats", "muted", "unread", "archive", "todo", "voicemail", "buzz", "snoozed", "scheduled", "outbox"),
        *("[gmail]", "[google mail]"),
    }
)
"""Names that Gmail refuses for labels of the user's own, in lower case."""
_OWN = frozenset({"[gmail]", "[google mail]"})
_SPACES = re.compile(r" {2,}")


def is_place(destination: Destination) -> bool:
    """Return whether a mailbox has messages of its own, whatever their labels."""
    return destination.listed is not None and not _PLACES.isdisjoint(destination.listed.special_use)


def label_of(destination: Destination) -> str:
    """Return the label that puts a message into a mailbox."""
    if destination.name.parts == ("INBOX",):
        return "\\Inbox"
    uses = destination.listed.special_use if destination.listed else frozenset()
    return next((_LABELS[use] for use in uses if use in _LABELS), "/".join(destination.name.parts))


def as_labels(boxes: Iterable[KnownMailbox]) -> list[KnownMailbox]:
    """Return ``boxes`` with names that Gmail takes for labels; those for a special use keep theirs."""
    own = _PLACES.union(_LABELS)
    return [
        box if own & set(box.special_use) else box._replace(name=box.name._replace(parts=_allowed(box.name.parts)))
        for box in boxes
    ]


def _allowed(parts: Parts) -> Parts:
    if parts == ("INBOX",):
        return parts
    if len(parts) > 1 and parts[0].lower() in _OWN:
        parts = parts[1:]
    clean = [_SPACES.sub(" ", part.strip().replace("^", "_")) or "_" for part in parts]
    if clean[0].lower() in _RESERVED and not (clean[0].upper() == "INBOX" and len(clean) > 1):
        clean[0] += "_"
    return tuple(clean)
