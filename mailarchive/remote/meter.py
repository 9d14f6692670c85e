"""How much a server may send for one command: enough for the largest accounts, and not without end."""

from mailarchive.errors import MailboxUnavailable

MOST_MESSAGES = 5_000_000
"""In one mailbox."""
_RESPONSES = 250_000
"""LIST and STATUS of 100,000 mailboxes, and more."""
_OCTETS = 64 << 20
_RESPONSES_PER_MESSAGE = 3
_OCTETS_PER_MESSAGE = 1 << 10


def check_count(mailbox: str, messages: int) -> None:
    """Raise MailboxUnavailable if a mailbox is said to have more messages than can be."""
    if messages > MOST_MESSAGES:
        raise MailboxUnavailable(
            f"{mailbox} cannot be read: the server says that it has {messages} messages, and more than "
            f"{MOST_MESSAGES} in one mailbox are not supported"
        )


class Meter:
    """Counts what comes for one command."""

    __slots__ = ("_octets", "_responses")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._responses = self._octets = 0

    def allows(self, octets: int, messages: int) -> bool:
        """Count one response of ``octets``; return whether there may be so many about ``messages`` messages."""
        messages = min(messages, MOST_MESSAGES)
        self._responses += 1
        self._octets += octets
        return (
            self._responses <= _RESPONSES + _RESPONSES_PER_MESSAGE * messages
            and self._octets <= _OCTETS + _OCTETS_PER_MESSAGE * messages
        )
