"""Maildir and Maildir++, plain or compressed as Dovecot does."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mailarchive.mail.maildir_name import KEYWORDS_FILE, MaildirName, flags_of, mailbox_parts, parse, parse_keywords
from mailarchive.readers.base import Letter, Place, Reading
from mailarchive.readers.files import body_of
from mailarchive.readers.regular import contents

_MAILDIR = ("cur", "new")
_OFFLINEIMAPS = ",FMD5="


def is_maildir(path: Path) -> bool:
    """Return whether a directory is a Maildir."""
    return all((path / name).is_dir() for name in _MAILDIR)


def is_offlineimaps(path: Path) -> bool:
    """Return whether OfflineIMAP made a Maildir; it puts ``.`` between the parts of a mailbox's name."""
    return any(_OFFLINEIMAPS in file for name in _MAILDIR for file in os.listdir(path / name))  # noqa: PTH208 - quicker


def places(path: Path, mailbox: tuple[str, ...]) -> Iterator[Place]:
    """Yield the Maildir at ``path``, which is called ``mailbox``, and those of Maildir++ in it."""
    yield Place(path, mailbox or ("INBOX",), "maildir")
    for below in sorted(path.iterdir()):
        if below.name.startswith(".") and is_maildir(below):
            yield Place(below, (*mailbox, *mailbox_parts(below.name)), "maildir")


def read(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the messages of one Maildir, by name; what is in ``new`` is not seen yet."""
    keywords = _keywords(place.path)
    for name in _MAILDIR:
        for file in sorted(os.listdir(place.path / name)):  # noqa: PTH208 - a Path for each of many takes long
            if file.startswith("."):
                continue
            path = place.path / name / file
            told = parse(file) if name == "cur" else MaildirName(file)
            body = body_of(path, reading)
            if body is not None:
                date = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
                yield Letter(place.mailbox, body, str(path), date, flags_of(told.letters, keywords))


def _keywords(path: Path) -> dict[int, str]:
    try:
        return parse_keywords(contents(path / KEYWORDS_FILE))
    except OSError:
        return {}
