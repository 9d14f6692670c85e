"""Names at Gmail: which mailboxes show labels, and what labels may not be called; pure."""

import re

from mailarchive.ops.naming import Destination, Parts

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


def as_label(parts: Parts) -> tuple[Parts, str]:
    """Return a name as Gmail takes it for a label of the user's own, and what of it had to be changed."""
    if parts == ("INBOX",):
        return parts, ""
    changed: list[str] = []
    if len(parts) > 1 and parts[0].lower() in _OWN:
        parts = parts[1:]
        changed.append("Gmail takes no label below its own")
    clean = [_SPACES.sub(" ", part.strip().replace("^", "_")) or "_" for part in parts]
    if tuple(clean) != parts:
        changed.append("Gmail takes no ^, and no spaces at the ends and side by side")
    if clean[0].lower() in _RESERVED and not (clean[0].upper() == "INBOX" and len(clean) > 1):
        clean[0] += "_"
        changed.append("Gmail keeps that name to itself")
    return tuple(clean), "; ".join(changed)
