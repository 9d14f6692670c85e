"""What a running operation tells whoever watches: values, never text on a terminal."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that the user should see (a repair, a ceiling, a mailbox that vanished)."""

    text: str


@dataclass(frozen=True, slots=True)
class Detail:
    """A sentence for ``--verbose``."""

    text: str


@dataclass(frozen=True, slots=True)
class MailboxPlanned:
    """A mailbox has been compared: this many messages (and octets, as the server says) will be fetched."""

    account: str
    mailbox: str
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class MessagesDone:
    """So many messages are in the archive, or have failed for good in this run."""

    account: str
    mailbox: str
    messages: int
    octets: int


@dataclass(frozen=True, slots=True)
class MessagesLinked:
    """So many messages that were to be fetched are in the archive already."""

    account: str
    mailbox: str
    messages: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run waits before it tries again."""

    account: str
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of a long local operation (verify, export, rebuild), in octets."""

    done: int
    total: int


Event = Notice | Detail | MailboxPlanned | MessagesDone | MessagesLinked | Waiting | Progress
Observer = Callable[[Event], None]
"""Is told each event, from any thread."""


def ignore(_event: Event) -> None:
    """Watch nothing."""
