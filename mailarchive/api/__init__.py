"""Archives for Python programs: objects to read with, and a mailbox of the standard library."""

from mailarchive.api.archive import Archive, ArchivedMailbox, Message, open  # noqa: A004 - called mailarchive.open
from mailarchive.api.stdlib import Mailbox, ReadOnly

__all__ = ["Archive", "ArchivedMailbox", "Mailbox", "Message", "ReadOnly", "open"]
