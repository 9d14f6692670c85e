"""The header fields that say who sent a message on (RFC 5322 section 3.6.6)."""

import re
from datetime import datetime
from email.utils import format_datetime

from mailarchive.mail.address import is_address

_MESSAGE_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")


def resent(sender: str, recipient: str, moment: datetime, message_id: str) -> bytes:
    """Return a block of fields to stand before the octets of a message, which stay as they are; it ends with CRLF.

    ``moment`` is aware; ``message_id`` has its angle brackets. Raises ValueError for what could be read as
    another field than it is meant to be.
    """
    if not (is_address(sender) and is_address(recipient)):
        raise ValueError("Not an address of a mailbox")
    if _MESSAGE_ID.fullmatch(message_id) is None:
        raise ValueError("Not a message identifier (RFC 5322 section 3.6.4)")
    if moment.utcoffset() is None:
        raise ValueError("A moment without time zone")
    return (
        f"Resent-Date: {format_datetime(moment)}\r\n"
        f"Resent-From: <{sender}>\r\n"
        f"Resent-To: <{recipient}>\r\n"
        f"Resent-Message-ID: {message_id}\r\n"
    ).encode()
