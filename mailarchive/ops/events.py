"""What a running operation tells whoever watches: values, never text on a terminal."""

from collections.abc import Callable
from typing import NamedTuple


class Notice(NamedTuple):
    """A sentence that the user should see (a repair, a ceiling, a mailbox that vanished)."""

    text: str


class Detail(NamedTuple):
    """A sentence for ``--verbose``."""

    text: str


class MailboxPlanned(NamedTuple):
    """A mailbox has been compared: this many messages (and octets, as the server says) will be fetched."""

    account: str
    mailbox: str
    messages: int
    octets: int


class MessagesDone(NamedTuple):
    """So many messages are in the archive, or have failed for good in this run."""

    account: str
    mailbox: str
    messages: int
    octets: int


class MessagesLinked(NamedTuple):
    """So many messages that were to be fetched are in the archive already."""

    account: str
    mailbox: str
    messages: int


class Waiting(NamedTuple):
    """The run waits before it tries again."""

    account: str
    seconds: float
    reason: str


class Progress(NamedTuple):
    """A step of a long local operation (verify, export, rebuild), in octets."""

    done: int
    total: int


Event = Notice | Detail | MailboxPlanned | MessagesDone | MessagesLinked | Waiting | Progress
Observer = Callable[[Event], None]
"""Is told each event, from any thread."""


def ignore(_event: Event) -> None:
    """Watch nothing."""
