"""An account at an IMAP server from which messages are removed."""

from collections.abc import Iterator, Sequence

from mailarchive.config import Endpoint
from mailarchive.errors import MailboxUnavailable, UsageError
from mailarchive.model import Account, Cursor, Fetched, ListedMailbox, MailboxName, MessageFacts, Permanent, RemoteUid
from mailarchive.remote.imap import ImapMailbox, Password, number_sets
from mailarchive.remote.imap.removing import RemovingSession
from mailarchive.removers.base import Spool


class ImapRemover:
    """One connection to an IMAP account. See ``Remover``."""

    has_dates = True
    most_at_once = 100

    def __init__(self, account: Account, endpoint: Endpoint, password: Password) -> None:
        """Connect and log in. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation."""
        self._account = account
        self._session = RemovingSession(endpoint, password)

    @property
    def account(self) -> Account:
        return self._account

    @property
    def has_labels(self) -> bool:
        return self._session.offers("X-GM-EXT-1")

    def mailboxes(self) -> list[ListedMailbox]:
        return self._session.mailboxes()

    def check(self, trash: MailboxName | None) -> None:
        if self._session.offers("UIDPLUS") or (trash is not None and self._session.offers("MOVE")):
            return
        raise UsageError(
            "this server has no way to remove messages by their UID (UIDPLUS, MOVE); nothing is removed",
            hint="remove them with the mail program that you use",
        )

    def look(self, mailbox: ListedMailbox) -> "ImapRemovable":
        return ImapRemovable(self._session, self._session.examine(mailbox.name).cursor, None)

    def open(self, mailbox: ListedMailbox, trash: MailboxName | None) -> "ImapRemovable":
        cursor, permanent = self._session.select(mailbox.name)
        if trash is None and not _keeps_deleted(permanent):
            raise MailboxUnavailable(f"{mailbox.name} does not let messages be removed")
        return ImapRemovable(self._session, cursor, trash)

    def close(self) -> None:
        self._session.close()


class ImapRemovable:
    """A mailbox opened by SELECT, or by EXAMINE. See ``OpenRemovable``."""

    def __init__(self, session: RemovingSession, cursor: Cursor, trash: MailboxName | None) -> None:
        self._session = session
        self._reading = ImapMailbox(session, cursor, {})
        self._trash = trash

    @property
    def cursor(self) -> Cursor:
        return self._reading.cursor

    def uids(self) -> list[RemoteUid]:
        return self._reading.uids()

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        return self._reading.facts(uids)

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        return self._reading.headers(uids)

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        return self._reading.fetch(uids, spool)

    def remove(self, uids: Sequence[RemoteUid]) -> None:
        for numbers, _count in number_sets([uid for uid in uids if isinstance(uid, int)]):
            if self._trash is None:
                self._session.expunge(numbers)
            elif self._session.offers("MOVE"):
                self._session.move(numbers, self._trash)
            else:
                self._session.copy(numbers, self._trash)
                self._session.expunge(numbers)


def _keeps_deleted(permanent: Permanent) -> bool:
    return permanent.takes_any or "\\deleted" in permanent.flags
