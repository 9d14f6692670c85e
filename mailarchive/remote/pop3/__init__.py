"""The door to POP3 servers: one session, read and never changed."""

from mailarchive.remote.dial import Timeouts
from mailarchive.remote.pop3.login import Password
from mailarchive.remote.pop3.session import Pop3Session
from mailarchive.remote.pop3.wire import Pace

__all__ = ["Pace", "Password", "Pop3Session", "Timeouts"]
