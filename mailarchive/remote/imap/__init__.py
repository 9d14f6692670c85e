"""The door to IMAP servers: one session, looked at and never changed."""

from mailarchive.remote.compression import Compression
from mailarchive.remote.dial import Timeouts
from mailarchive.remote.imap.fetch import LIMITED
from mailarchive.remote.imap.login import Password
from mailarchive.remote.imap.session import ImapSession, Selected

__all__ = ["LIMITED", "Compression", "ImapSession", "Password", "Selected", "Timeouts"]
