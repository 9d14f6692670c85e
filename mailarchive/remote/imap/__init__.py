"""The door to IMAP servers: a session that only looks; the one that adds is ``writing``, and for targets alone."""

from mailarchive.remote.compression import Compression
from mailarchive.remote.dial import Timeouts
from mailarchive.remote.imap.login import Password
from mailarchive.remote.imap.mailbox import ImapMailbox, is_whole
from mailarchive.remote.imap.session import ImapSession, Selected
from mailarchive.remote.imap.sets import number_sets

__all__ = [
    "Compression",
    "ImapMailbox",
    "ImapSession",
    "Password",
    "Selected",
    "Timeouts",
    "is_whole",
    "number_sets",
]
