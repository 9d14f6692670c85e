"""The contract of an AccountTarget: an account that messages are put into, and from which nothing is ever removed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

from mailarchive.model import (
    Account,
    Cursor,
    Fetched,
    ListedMailbox,
    MailboxName,
    MessageFacts,
    Outbound,
    Permanent,
    RemoteUid,
)
from mailarchive.remote.line import Line

__all__ = ["Abilities", "AccountTarget", "Copied", "Line", "OpenTarget", "Outcome", "Spool"]

Spool = Callable[[], BinaryIO]


class Abilities(NamedTuple):
    """What an account takes. Octets are None where the server does not tell.

    ``prefix`` and ``delimiter`` shape the names of mailboxes (NAMESPACE, RFC 9051 section 6.3.10); ``takes_nul`` says
    that messages may hold NUL (BINARY, RFC 3516); ``has_labels`` that it is Gmail.
    """

    prefix: bytes
    delimiter: str | None
    append_limit: int | None
    room: int | None
    takes_nul: bool
    has_labels: bool


class Outcome(NamedTuple):
    """What became of a message, by its place among those that were to be put: its UID there, or why it was refused.

    ``uid`` is None if it is there and the server does not say under which UID; ``code`` is the response code.
    """

    place: int
    uid: int | None = None
    refused: str | None = None
    code: str = ""


class Copied(NamedTuple):
    """How messages were copied: the UIDs there in the order of the originals, or none if the server does not tell."""

    uidvalidity: int | None
    uids: Sequence[int]


class OpenTarget(Protocol):
    """A mailbox opened for reading and, unless ``look`` opened it, writing. What reads is as of a Source.

    All methods raise ConnectionLost, Stalled or ProtocolViolation when the connection is of no more use, Throttled when
    the server asks for patience, and MailboxUnavailable when only this mailbox is of no use.
    """

    @property
    def cursor(self) -> Cursor:
        """The mailbox's state when it was opened."""

    @property
    def permanent(self) -> Permanent:
        """The flags that it keeps."""

    def uids(self) -> list[RemoteUid]:
        """Return every message's uid, ascending."""

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        """Yield facts of those of ``uids`` that exist."""

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        """Yield the header sections of those of ``uids`` that the server shows. Raises FetchRefused."""

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        """Yield the messages of ``uids``. Raises FetchRefused."""

    def append(self, messages: Iterable[Outbound], *, alone: bool = False) -> Iterator[Outcome]:
        """Put ``messages`` into the mailbox in their order, octet for octet; yield what became of each.

        Many are on the way at a time, unless each is to go ``alone``. One that is refused does not hold up others. The
        first that is neither yielded nor refused when an error is raised may or may not be there, as those behind it.
        When the account has no more room the rest is refused without being sent.
        """

    def copy(self, uids: Sequence[int], name: MailboxName) -> Copied:
        """Copy messages of this mailbox to another. Raises MessageRefused if none was copied."""

    def label(self, uids: Sequence[int], labels: Sequence[str]) -> None:
        """Add labels to messages, where the account ``has_labels``. Raises MessageRefused."""


class AccountTarget(Protocol):
    """One connection to an account that messages are put into. Not thread-safe: each worker has its own."""

    @property
    def account(self) -> Account:
        """Whose account this is."""

    def abilities(self) -> Abilities:
        """Return what the account takes."""

    def mailboxes(self) -> list[ListedMailbox]:
        """Return all selectable mailboxes, each with its cursor where the server tells it."""

    def create(self, name: MailboxName, use: str | None = None) -> None:
        """Make a mailbox, if it is not there, for a special use where that can be said. Raises MailboxUnavailable."""

    def subscribe(self, name: MailboxName) -> bool:
        """Subscribe to a mailbox; return whether that was done."""

    def open(self, mailbox: ListedMailbox) -> OpenTarget:
        """Open ``mailbox``; the one opened before is of no more use. Raises MailboxUnavailable."""

    def look(self, mailbox: ListedMailbox) -> OpenTarget:
        """Open ``mailbox`` for reading only. Raises MailboxUnavailable."""

    def close(self) -> None:
        """End the connection; never raises, may be called twice and from another thread."""
