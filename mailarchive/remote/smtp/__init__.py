"""The door to servers that take mail: SMTP (RFC 5321) and LMTP (RFC 2033); messages go out as they are."""

from mailarchive.remote.dial import Timeouts
from mailarchive.remote.smtp.login import Password
from mailarchive.remote.smtp.session import SmtpSession

__all__ = ["Password", "SmtpSession", "Timeouts"]
