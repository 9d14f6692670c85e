"""An account at a POP3 server from which messages are removed; each batch by a session of its own (RFC 1939)."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from mailarchive.errors import MailboxUnavailable, UsageError
from mailarchive.mail.mailbox_name import mailbox_name
from mailarchive.model import Account, Cursor, Fetched, ListedMailbox, MailboxName, MessageFacts, RemoteUid, UidValidity
from mailarchive.remote.pop3.removing import RemovingSession
from mailarchive.removers.base import Spool

_INBOX = mailbox_name(b"INBOX", None)
_NAME = re.compile(rb"[\x21-\x7e]+")
_OURS = (b"header:", b"body:", b"unnamed:")


class Pop3Remover:
    """An account with one maildrop; a session of it is made anew after each removal. See ``Remover``."""

    has_labels = False
    has_dates = False
    most_at_once = 1000

    def __init__(self, account: Account, connect: Callable[[], RemovingSession]) -> None:
        """Connect and log in. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation."""
        self._account = account
        self._connect = connect
        self._session = connect()

    @property
    def account(self) -> Account:
        return self._account

    def mailboxes(self) -> list[ListedMailbox]:
        return [ListedMailbox(_INBOX)]

    def check(self, trash: MailboxName | None) -> None:
        del trash
        if self._session.is_google:
            raise UsageError(
                "Gmail decides by its own settings what POP3 removes; nothing is removed", hint="use IMAP for that"
            )

    def look(self, mailbox: ListedMailbox) -> "Pop3Removable":
        if mailbox.name.raw != _INBOX.raw:
            raise MailboxUnavailable(f"{mailbox.name} does not exist: over POP3 there is INBOX only")
        return Pop3Removable(self._session, self._renewed)

    def open(self, mailbox: ListedMailbox, trash: MailboxName | None) -> "Pop3Removable":
        del trash
        return self.look(mailbox)

    def _renewed(self) -> RemovingSession:
        self._session = self._connect()
        return self._session

    def close(self) -> None:
        self._session.close()


class Pop3Removable:
    """The maildrop, as the newest session shows it. See ``OpenRemovable``.

    Messages without a UIDL of their own are called ``unnamed:`` and their number, which no archive knows.
    """

    def __init__(self, session: RemovingSession, renew: Callable[[], RemovingSession]) -> None:
        self._renew = renew
        self._read(session)

    def _read(self, session: RemovingSession) -> None:
        self._session = session
        self._sizes = session.sizes()
        names = session.names()
        often = Counter(names.values())
        self._numbers: dict[RemoteUid, int] = {}
        for number in sorted(self._sizes.keys() | names.keys()):
            name = names.get(number, b"")
            is_good = often[name] == 1 and _NAME.fullmatch(name) and not name.startswith(_OURS)
            self._numbers[name.decode("ascii") if is_good else f"unnamed:{number}"] = number

    @property
    def cursor(self) -> Cursor:
        return Cursor(UidValidity(0), None, None, len(self._numbers))

    def uids(self) -> list[RemoteUid]:
        return list(self._numbers)

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        for uid in uids:
            if (number := self._numbers.get(uid)) is not None:
                yield MessageFacts(uid, self._sizes.get(number))

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        named = self._named(uids)
        for number, header in self._session.headers(list(named)):
            yield named[number], header

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        named = self._named(uids)
        for come in self._session.bodies(list(named), spool):
            yield from (Fetched(named[number], body) for number, body in come)

    def remove(self, uids: Sequence[RemoteUid]) -> None:
        self._session.remove(list(self._named(uids)))
        self._read(self._renew())

    def _named(self, uids: Sequence[RemoteUid]) -> dict[int, RemoteUid]:
        return {self._numbers[uid]: uid for uid in uids if uid in self._numbers}
