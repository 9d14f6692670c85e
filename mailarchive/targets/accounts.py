"""The contract of an AccountTarget: an account that messages are put into, and from which nothing is ever removed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

__all__ = ["NO_ROOM", "Abilities", "AccountTarget", "Copying", "Line", "OpenTarget", "Outcome", "Spool"]

Spool = Callable[[], BinaryIO]

NO_ROOM = "OVERQUOTA"
"""The response code of what is refused for want of room (RFC 9208 section 5.1.3)."""


class Abilities(NamedTuple):
    """What an account takes. Octets are None where the server does not tell.

    ``prefix`` and ``delimiter`` shape the names of mailboxes (NAMESPACE, RFC 9051 section 6.3.10); ``takes_nul`` says
    that messages may hold NUL (BINARY, RFC 3516); ``tells_uids`` that it says under which UID something was put
    (UIDPLUS, RFC 4315); ``has_labels`` that it is Gmail.
    """

    prefix: bytes
    delimiter: str | None
    append_limit: int | None
    room: int | None
    takes_nul: bool
    tells_uids: bool
    has_labels: bool


class Outcome(NamedTuple):
    """What became of a message, by its place among those that were to be put: its UID there, or why it was refused.

    ``uid`` is None if it is there and the server does not say under which UID; ``code`` is the response code.
    """

    place: int
    uid: int | None = None
    refused: str | None = None
    code: str = ""


class Copying(NamedTuple):
    """Messages that are to be copied to another mailbox, whose UIDs hold with ``uidvalidity``; ``uids`` ascend."""

    uids: Sequence[int]
    name: MailboxName
    uidvalidity: int | None


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
        first that is not yielded when an error is raised may or may not be there, as those behind it. Raises NoRoom
        if there is none left: what was not yielded then is not there.
        """

    def copy(self, wanted: Iterable[Copying]) -> Iterator[Mapping[int, int]]:
        """Copy messages of this mailbox to others; yield for each of ``wanted`` under which UIDs they are there.

        Many are on the way at a time. Of a message that is not among those it is not known whether it is there.
        """

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
        """Make a mailbox, if it is not there, for a special use where that can be said, and subscribe to it.

        Raises MailboxUnavailable.
        """

    def open(self, mailbox: ListedMailbox) -> OpenTarget:
        """Open ``mailbox``; the one opened before is of no more use. Raises MailboxUnavailable."""

    def look(self, mailbox: ListedMailbox) -> OpenTarget:
        """Open ``mailbox`` for reading only. Raises MailboxUnavailable."""

    def close(self) -> None:
        """End the connection; never raises, may be called twice and from another thread."""
