"""An account at a POP3 server: one mailbox, INBOX, without flags and dates, that one connection at a time may read."""

from collections.abc import Callable, Iterator, Sequence

from mailarchive.config import RECENT, Endpoint
from mailarchive.errors import MailboxUnavailable, PiecesUnsupported
from mailarchive.mail.mailbox_name import mailbox_name
from mailarchive.model import Account, Cursor, Fetched, ListedMailbox, MessageFacts, RemoteUid, UidValidity
from mailarchive.providers import provider_of
from mailarchive.remote.pop3 import Pace, Password, Pop3Session, Timeouts
from mailarchive.sources.base import Shows, Spool
from mailarchive.sources.maildrop import Maildrop

_INBOX = mailbox_name(b"INBOX", None)


class Pop3Source:
    """One session of a POP3 account. What it shows does not change until it ends (RFC 1939 section 3)."""

    def __init__(
        self,
        account: Account,
        endpoint: Endpoint,
        password: Password,
        timeouts: Timeouts | None = None,
        *,
        pace: Pace | None = None,
    ) -> None:
        """Connect and log in. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation.

        ``pace`` is what the connections to the account before this one have learned.
        """
        self._account = account
        self._is_recent = endpoint.user.startswith(RECENT)
        provider = provider_of(endpoint.host, endpoint.port)
        self._shows_part = provider is not None and provider.pop_shows_part
        self._session = Pop3Session(endpoint, password, timeouts, pace)
        self._maildrop: Maildrop | None = None

    @property
    def account(self) -> Account:
        return self._account

    @property
    def has_labels(self) -> bool:
        return False

    @property
    def shows(self) -> Shows:
        if not (self._shows_part or self._session.is_google):
            return "everything"
        return "some" if self._is_recent else "next"

    def mailboxes(self) -> list[ListedMailbox]:
        self._session.check()
        return [ListedMailbox(_INBOX, cursor=_cursor(self._session.messages))]

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> "Pop3Mailbox":
        del first
        if mailbox.name.raw != _INBOX.raw:
            raise MailboxUnavailable(f"{mailbox.name} does not exist: over POP3 there is INBOX only")
        self._session.check()
        if self._maildrop is None:
            self._maildrop = Maildrop(self._session)
        return Pop3Mailbox(self._session, self._maildrop)

    def leave(self, secure: Callable[[], None]) -> None:
        secure()
        self._session.leave()

    def close(self) -> None:
        self._session.close()


class Pop3Mailbox:
    """The maildrop of a session."""

    def __init__(self, session: Pop3Session, maildrop: Maildrop) -> None:
        self._session = session
        self._maildrop = maildrop

    @property
    def cursor(self) -> Cursor:
        return _cursor(self._maildrop.messages)

    @property
    def has_more(self) -> bool:
        return self._session.has_more

    def uids(self) -> list[RemoteUid]:
        self._session.check()
        return list(self._maildrop.numbers)

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        drop = self._maildrop
        for uid in dict.fromkeys(uids):
            if (number := drop.numbers.get(uid)) is not None:
                yield MessageFacts(uid, drop.sizes.get(number))

    def flags(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        del uids
        return iter(())

    def flags_since(self, modseq: int) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        del modseq
        return iter(())

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        return self._maildrop.headers(uids)

    def beginnings(self, uids: Sequence[RemoteUid], count: int) -> Iterator[tuple[RemoteUid, bytes]]:
        return self._maildrop.beginnings(uids, count)

    def pieces(self, uid: RemoteUid, offset: int, before: bytes = b"") -> Iterator[bytes]:
        del uid, offset, before
        raise PiecesUnsupported("POP3 sends messages whole only")

    def halves(self, uid: RemoteUid, spool: Spool) -> Fetched:
        del uid, spool
        raise PiecesUnsupported("POP3 sends messages whole only")

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        return self._maildrop.bodies(uids, spool)


def _cursor(messages: int | None) -> Cursor:
    return Cursor(UidValidity(0), None, None, messages)
