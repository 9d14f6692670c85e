"""Back up mailboxes into a deduplicated archive that outlives this program."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailarchive.api import Archive, ArchivedMailbox, Mailbox, Message, ReadOnly, open  # noqa: A004
    from mailarchive.errors import (
        ArchiveDamaged,
        ArchiveError,
        ArchiveLocked,
        ArchiveMissing,
        FormatTooNew,
        MailArchiveError,
        StorageFailed,
    )

__version__ = "0.1.0"

__all__ = [
    "Archive",
    "ArchiveDamaged",
    "ArchiveError",
    "ArchiveLocked",
    "ArchiveMissing",
    "ArchivedMailbox",
    "FormatTooNew",
    "MailArchiveError",
    "Mailbox",
    "Message",
    "ReadOnly",
    "StorageFailed",
    "open",
]


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> object:
        """Import what a program uses when it uses it: the command line starts without."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        errors = import_module("mailarchive.errors")
        return getattr(errors if hasattr(errors, name) else import_module("mailarchive.api"), name)
