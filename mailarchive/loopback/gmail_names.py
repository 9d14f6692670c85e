"""Names at Gmail: those of its mailboxes by language, and what a label may not be called."""

import re

ENGLISH = {
    "\\All": "[Gmail]/All Mail",
    "\\Drafts": "[Gmail]/Drafts",
    "\\Important": "[Gmail]/Important",
    "\\Sent": "[Gmail]/Sent Mail",
    "\\Junk": "[Gmail]/Spam",
    "\\Flagged": "[Gmail]/Starred",
    "\\Trash": "[Gmail]/Trash",
}
GERMAN = {
    "\\All": "[Gmail]/Alle Nachrichten",
    "\\Drafts": "[Gmail]/Entwürfe",
    "\\Important": "[Gmail]/Wichtig",
    "\\Sent": "[Gmail]/Gesendet",
    "\\Junk": "[Gmail]/Spam",
    "\\Flagged": "[Gmail]/Markiert",
    "\\Trash": "[Gmail]/Papierkorb",
}
SYSTEM_LABELS = frozenset({"\\Inbox", "\\Sent", "\\Draft", "\\Starred", "\\Important"})
_RESERVED = frozenset(
    {
        *("inbox", "sent", "sent mail", "draft", "drafts", "spam", "trash", "bin", "starred", "important", "all mail"),
        *("chat", "chats", "muted", "unread", "archive", "todo", "voicemail", "buzz", "snoozed", "scheduled", "outbox"),
        *("[gmail]", "[google mail]"),
    }
)
_BADLY_SPACED = re.compile(r"^ | $|  | /|/ |\^|^/|/$|//")


def no_label(name: str) -> str:
    """Return why a label of the user's own may not have this name; empty if it may."""
    first, _, below = name.partition("/")
    if not name or _BADLY_SPACED.search(name):
        return f"Invalid folder name: {name}"
    if first.lower() in _RESERVED and not (first.lower() == "inbox" and below):
        return f"Label name is reserved: {name}"
    return ""
