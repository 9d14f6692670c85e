"""What the labels in Google's export mean: which are mailboxes, which are flags, in the languages they come in."""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import NamedTuple

ALL_MAIL = "All Mail"
"""Where a message is that has no label that is a mailbox."""

_MAILBOXES = {
    "inbox": (("INBOX",), ""),
    "sent": (("Sent",), "\\Sent"),
    "drafts": (("Drafts",), "\\Drafts"),
    "spam": (("Spam",), "\\Junk"),
    "trash": (("Trash",), "\\Trash"),
}
_CATEGORIES = ("category ", "category_", "kategorie ", "catégorie ", "categoría ", "categoria ", "categorie ")


@cache
def _meanings() -> dict[str, str]:
    """Return what each of Gmail's own labels means, by the label in one case."""
    text = resources.files("mailarchive.mail").joinpath("takeout_labels.toml").read_text("utf-8")
    return {word.casefold(): meaning for meaning, words in tomllib.loads(text).items() for word in words}


class Sorted(NamedTuple):
    """``mailboxes`` as parts of names, with their special use ("" if they have none); ``flags`` as IMAP has them."""

    mailboxes: dict[tuple[str, ...], str]
    flags: frozenset[str]


def sort(labels: Iterable[str]) -> Sorted:
    """Return what ``labels`` mean; a label of the user is a mailbox, and ``/`` in it stands between the parts."""
    mailboxes: dict[tuple[str, ...], str] = {}
    meanings = set()
    for label in labels:
        meaning = _meanings().get(label.strip().casefold(), "")
        meanings.add(meaning)
        if meaning in _MAILBOXES:
            parts, use = _MAILBOXES[meaning]
            mailboxes[parts] = use
        elif not meaning and not label.casefold().startswith(_CATEGORIES):
            mailboxes[tuple(part for part in label.split("/") if part) or (label,)] = ""
    flags = {"\\Flagged"} if "starred" in meanings else set()
    flags |= {"\\Draft"} if "drafts" in meanings else set()
    flags |= set() if "unread" in meanings else {"\\Seen"}
    return Sorted(mailboxes or {(ALL_MAIL,): "\\All"}, frozenset(flags))
