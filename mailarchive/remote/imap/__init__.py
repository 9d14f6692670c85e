"""The door to IMAP servers: one session, looked at and never changed."""

from mailarchive.remote.compression import Compression
from mailarchive.remote.dial import Timeouts
from mailarchive.remote.imap.login import Password
from mailarchive.remote.imap.mailbox import ImapMailbox, is_whole
from mailarchive.remote.imap.session import ImapSession, Selected

__all__ = ["Compression", "ImapMailbox", "ImapSession", "Password", "Selected", "Timeouts", "is_whole"]
