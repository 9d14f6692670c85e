"""An account in memory, which sources read, targets fill, and tests change meanwhile."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailarchive.errors import FetchRefused, MailboxUnavailable, PiecesUnsupported
from mailarchive.mail.body import JoinedBody, MemoryBody
from mailarchive.mail.digest import header_section
from mailarchive.mail.mailbox_name import encode_name, mailbox_name
from mailarchive.model import (
    Account,
    Cursor,
    Fetched,
    ListedMailbox,
    MailboxName,
    MessageFacts,
    RemoteUid,
    UidValidity,
)
from mailarchive.remote.receiving import Spool

DELIMITER = "/"
PIECE = 1 << 20


@dataclass(slots=True)
class MemoryMessage:
    """One message of a mailbox."""

    octets: bytes
    facts: MessageFacts
    modseq: int


@dataclass(slots=True)
class MemoryMailbox:
    """The state of one mailbox, messages by uid."""

    name: MailboxName
    uidvalidity: UidValidity
    special_use: frozenset[str] = frozenset()
    uidnext: int = 1
    modseq: int = 1
    messages: dict[int, MemoryMessage] = field(default_factory=dict)

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.uidvalidity, self.uidnext, self.modseq, len(self.messages))


class MemoryAccount:
    """Mailboxes by path (``a/b``), for any number of connections and threads.

    ``fetches`` counts how often each body was fetched from its beginning, by (path, UIDVALIDITY, uid). ``append_limit``
    and ``quota`` are what targets heed: how many octets a message may have, and all of them.
    """

    def __init__(self, name: str = "me@memory.example") -> None:
        self.account = Account(name, "memory")
        self.fetches: Counter[tuple[str, int, int]] = Counter()
        self.append_limit: int | None = None
        self.quota: int | None = None
        self.subscribed: set[str] = set()
        self._mailboxes: dict[str, MemoryMailbox] = {}
        self._uidvalidity = 0
        self._lock = threading.RLock()

    def create(self, path: str, special_use: Iterable[str] = ()) -> None:
        """Make an empty mailbox. Raises ValueError if it exists."""
        with self._lock:
            if path in self._mailboxes:
                raise ValueError(f"{path} exists")
            name = mailbox_name(encode_name(path), DELIMITER)
            self._mailboxes[path] = MemoryMailbox(name, self._next_uidvalidity(), frozenset(special_use))

    def ensure(self, path: str, special_use: Iterable[str] = ()) -> None:
        """Make an empty mailbox unless it is there, and subscribe to it."""
        with self._lock:
            if path not in self._mailboxes:
                self.create(path, special_use)
            self.subscribed.add(path)

    def room(self) -> int | None:
        """Return for how many octets there is room; None if there is no quota."""
        with self._lock:
            if self.quota is None:
                return None
            boxes = self._mailboxes.values()
            return max(0, self.quota - sum(len(one.octets) for box in boxes for one in box.messages.values()))

    def delete(self, path: str) -> None:
        """Remove a mailbox with its messages. Raises KeyError."""
        with self._lock:
            del self._mailboxes[path]

    def rename(self, old: str, new: str) -> None:
        """Give a mailbox another name; UIDs and UIDVALIDITY stay. Raises KeyError, ValueError if ``new`` exists."""
        with self._lock:
            if new in self._mailboxes:
                raise ValueError(f"{new} exists")
            mailbox = self._mailboxes.pop(old)
            mailbox.name = mailbox_name(encode_name(new), DELIMITER)
            self._mailboxes[new] = mailbox

    def renew(self, path: str) -> None:
        """Give a mailbox a new UIDVALIDITY and number its messages from 1. Raises KeyError."""
        with self._lock:
            mailbox = self._mailboxes[path]
            messages = list(mailbox.messages.values())
            mailbox.uidvalidity, mailbox.uidnext, mailbox.modseq = self._next_uidvalidity(), 1, 1
            mailbox.messages.clear()
            for message in messages:
                facts = message.facts
                self.append(
                    path,
                    message.octets,
                    facts.flags,
                    facts.internaldate,
                    account_id=facts.account_id,
                    labels=facts.labels,
                )

    def append(
        self,
        path: str,
        octets: bytes,
        flags: Iterable[str] = (),
        internaldate: datetime | None = None,
        *,
        account_id: str | None = None,
        labels: Iterable[str] = (),
    ) -> int:
        """Add a message and return its uid. Raises KeyError."""
        with self._lock:
            mailbox = self._mailboxes[path]
            uid = mailbox.uidnext
            mailbox.uidnext += 1
            mailbox.modseq += 1
            facts = MessageFacts(uid, len(octets), internaldate, frozenset(flags), account_id, tuple(labels))
            mailbox.messages[uid] = MemoryMessage(octets, facts, mailbox.modseq)
            return uid

    def expunge(self, path: str, uid: int) -> None:
        """Remove a message. Raises KeyError."""
        with self._lock:
            mailbox = self._mailboxes[path]
            del mailbox.messages[uid]
            mailbox.modseq += 1

    def set_flags(self, path: str, uid: int, flags: Iterable[str]) -> None:
        """Replace a message's flags. Raises KeyError."""
        with self._lock:
            mailbox = self._mailboxes[path]
            message = mailbox.messages[uid]
            mailbox.modseq += 1
            facts = message.facts
            message.modseq = mailbox.modseq
            message.facts = MessageFacts(
                uid, facts.size, facts.internaldate, frozenset(flags), facts.account_id, facts.labels
            )

    def messages(self, path: str) -> dict[int, MemoryMessage]:
        """Return the messages of a mailbox by ascending uid. Raises KeyError."""
        with self._lock:
            return dict(self._mailboxes[path].messages)

    def contents(self) -> dict[str, dict[int, bytes]]:
        """Return the octets of every message by path and uid."""
        with self._lock:
            return {
                path: {uid: message.octets for uid, message in mailbox.messages.items()}
                for path, mailbox in self._mailboxes.items()
            }

    def listed(self) -> list[ListedMailbox]:
        """Return what LIST and STATUS would say."""
        with self._lock:
            return [ListedMailbox(box.name, box.special_use, box.cursor) for box in self._mailboxes.values()]

    def find(self, name: MailboxName, uidvalidity: int | None = None) -> tuple[str, MemoryMailbox]:
        """Return path and state of a mailbox. Raises MailboxUnavailable if it is gone or has another UIDVALIDITY."""
        with self._lock:
            for path, mailbox in self._mailboxes.items():
                if mailbox.name.raw == name.raw and uidvalidity in {None, mailbox.uidvalidity}:
                    return path, mailbox
        raise MailboxUnavailable(f"{name} does not exist")

    def _next_uidvalidity(self) -> UidValidity:
        self._uidvalidity += 1
        return UidValidity(self._uidvalidity)


class MemoryOpenMailbox:
    """A mailbox of a MemoryAccount as it is now; the cursor is as it was when it was opened."""

    def __init__(self, account: MemoryAccount, name: MailboxName, check: Callable[[], None]) -> None:
        self._account = account
        self._name = name
        self._check = check
        self._cursor = account.find(name)[1].cursor

    @property
    def cursor(self) -> Cursor:
        return self._cursor

    @property
    def has_more(self) -> bool:
        return False

    def uids(self) -> list[RemoteUid]:
        return [uid for uid, _message in self._messages()]

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        for uid in uids:
            message = self._message(uid)
            if message is not None:
                yield message.facts

    def flags(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        for facts in self.facts(uids):
            yield facts.uid, facts.flags

    def flags_since(self, modseq: int) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        for uid, message in self._messages():
            if message.modseq > modseq:
                yield uid, message.facts.flags

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        for uid in dict.fromkeys(uids):
            message = self._message(uid)
            if message is not None:
                yield uid, header_section(message.octets)

    def beginnings(self, uids: Sequence[RemoteUid], count: int) -> Iterator[tuple[RemoteUid, bytes]]:
        for uid, header in self.headers(uids):
            yield uid, self._octets(uid)[len(header) :][:count]

    def pieces(self, uid: RemoteUid, offset: int, before: bytes = b"") -> Iterator[bytes]:
        octets = self._octets(uid)
        if octets[max(0, offset - len(before)) : offset] != before:
            raise PiecesUnsupported("the message is another one now")
        if not offset:
            self._count(uid)
        for start in range(offset, len(octets), PIECE):
            self._check()
            yield octets[start : start + PIECE]

    def halves(self, uid: RemoteUid, spool: Spool) -> Fetched:
        del spool
        octets = self._octets(uid)
        self._count(uid)
        end = len(header_section(octets))
        return Fetched(uid, JoinedBody((MemoryBody(octets[:end]), MemoryBody(octets[end:]))))

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        del spool
        for uid in dict.fromkeys(uids):
            message = self._message(uid)
            if message is not None:
                self._count(uid)
                yield Fetched(uid, MemoryBody(message.octets))

    def _octets(self, uid: RemoteUid) -> bytes:
        message = self._message(uid)
        if message is None:
            raise FetchRefused("there is no such message")
        return message.octets

    def _count(self, uid: RemoteUid) -> None:
        path, mailbox = self._account.find(self._name)
        self._account.fetches[path, mailbox.uidvalidity, int(uid)] += 1

    def _messages(self) -> list[tuple[int, MemoryMessage]]:
        self._check()
        return sorted(self._account.find(self._name, self._cursor.uidvalidity)[1].messages.items())

    def _message(self, uid: RemoteUid) -> MemoryMessage | None:
        self._check()
        if not isinstance(uid, int):
            return None
        return self._account.find(self._name, self._cursor.uidvalidity)[1].messages.get(uid)
