"""The contract of a Remover: an account from which messages are removed, each by its UID."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Protocol

from mailarchive.model import Account, Cursor, Fetched, ListedMailbox, MailboxName, MessageFacts, RemoteUid

Spool = Callable[[], BinaryIO]


class OpenRemovable(Protocol):
    """A mailbox opened for reading and removing. What reads is as of a Source.

    All methods raise ConnectionLost, Stalled or ProtocolViolation when the connection is of no more use.
    """

    @property
    def cursor(self) -> Cursor:
        """The mailbox's state when it was opened; ``messages`` is never None."""

    def uids(self) -> list[RemoteUid]:
        """Return every message's uid."""

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        """Yield facts of those of ``uids`` that exist."""

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        """Yield the header sections of those of ``uids`` that the server shows. Raises FetchRefused."""

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        """Yield the messages of ``uids``. Raises FetchRefused."""

    def remove(self, uids: Sequence[RemoteUid]) -> None:
        """Remove ``uids``, which ascend, and no other message.

        When it returns the server has said that it did; whether it is so has to be asked. Raises MessageRefused.
        """


class Remover(Protocol):
    """One connection to an account, made once and not again."""

    @property
    def account(self) -> Account:
        """Whose account this is."""

    @property
    def has_labels(self) -> bool:
        """Whether mailboxes show labels (Gmail)."""

    @property
    def has_dates(self) -> bool:
        """Whether the server tells when messages came (INTERNALDATE)."""

    @property
    def most_at_once(self) -> int:
        """How many messages ``remove`` is given at most."""

    def mailboxes(self) -> list[ListedMailbox]:
        """Return all selectable mailboxes."""

    def check(self, trash: MailboxName | None) -> None:
        """Raise UsageError if the server cannot move messages to ``trash``, or with None remove them by UID."""

    def look(self, mailbox: ListedMailbox) -> OpenRemovable:
        """Open ``mailbox`` for reading only. Raises MailboxUnavailable."""

    def open(self, mailbox: ListedMailbox, trash: MailboxName | None) -> OpenRemovable:
        """Open ``mailbox``, to move messages to ``trash``, or with None to remove them for good.

        Raises MailboxUnavailable.
        """

    def close(self) -> None:
        """End the connection; never raises."""
