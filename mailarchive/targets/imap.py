"""An account at an IMAP server, as a target: which commands put many messages there in little time."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from mailarchive.config import Endpoint
from mailarchive.errors import MailboxUnavailable, MessageRefused, NoRoom, SourceError, Throttled
from mailarchive.mail.body import MemoryBody
from mailarchive.model import (
    KEEPS_ALL,
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
from mailarchive.remote.imap import Compression, ImapMailbox, Password, Timeouts, number_sets
from mailarchive.remote.imap.writing import WritingSession
from mailarchive.remote.throttling import is_for_now
from mailarchive.targets.accounts import NO_ROOM, Abilities, Copying, Outcome, Spool

_MESSAGES_A_COMMAND = 400
_OCTETS_A_COMMAND = 2 << 20
"""A command with many messages (MULTIAPPEND, RFC 3502) is all or nothing: what is refused is found by halving it."""
_MANY_AHEAD, _SINGLE_AHEAD = 2, 100
"""How many commands are on the way at a time: with many messages each, and with one."""
_OCTETS_AHEAD = 4 << 20
_COPIES_AHEAD = 10
_ENOUGH = 3
"""After so many messages in a row that are refused for want of room, or for now, no more are sent."""


class ImapTarget:
    """One connection to an IMAP account. See ``AccountTarget``."""

    def __init__(
        self,
        account: Account,
        endpoint: Endpoint,
        password: Password,
        timeouts: Timeouts | None = None,
        compression: Compression | None = None,
    ) -> None:
        """Connect and log in. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation."""
        self._account = account
        self._session = WritingSession(endpoint, password, timeouts, compression)

    @property
    def account(self) -> Account:
        return self._account

    def abilities(self) -> Abilities:
        session = self._session
        prefix, delimiter = session.namespace()
        return Abilities(
            prefix,
            delimiter,
            session.append_limit(),
            session.room(),
            takes_nul=session.offers("BINARY"),
            tells_uids=session.offers("UIDPLUS"),
            has_labels=session.offers("X-GM-EXT-1"),
        )

    def mailboxes(self) -> list[ListedMailbox]:
        return self._session.mailboxes()

    def create(self, name: MailboxName, use: str | None = None) -> None:
        self._session.create(name, use)

    def open(self, mailbox: ListedMailbox) -> "ImapOpenTarget":
        cursor, permanent = self._session.select(mailbox.name)
        return ImapOpenTarget(self._session, mailbox.name, cursor, permanent)

    def look(self, mailbox: ListedMailbox) -> "ImapOpenTarget":
        cursor = self._session.examine(mailbox.name).cursor
        return ImapOpenTarget(self._session, mailbox.name, cursor, KEEPS_ALL)

    def close(self) -> None:
        self._session.close()


class ImapOpenTarget:
    """A mailbox opened by SELECT, or by EXAMINE. See ``OpenTarget``."""

    def __init__(self, session: WritingSession, name: MailboxName, cursor: Cursor, permanent: Permanent) -> None:
        self._session = session
        self._name = name
        self._reading = ImapMailbox(session, cursor, {})
        self.permanent = permanent

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

    def append(self, messages: Iterable[Outbound], *, alone: bool = False) -> Iterator[Outcome]:
        return _Appending(self._session, self._name, self.cursor.uidvalidity, alone=alone).run(messages)

    def copy(self, wanted: Iterable[Copying]) -> Iterator[Mapping[int, int]]:
        waiting: deque[tuple[Copying, list[tuple[bytes, int]]]] = deque()
        for one in wanted:
            sets = number_sets(one.uids)
            waiting.append((one, [(self._session.start_copy(numbers, one.name), count) for numbers, count in sets]))
            if len(waiting) > _COPIES_AHEAD:
                yield self._copied(*waiting.popleft())
        while waiting:
            yield self._copied(*waiting.popleft())

    def _copied(self, copying: Copying, tags: Iterable[tuple[bytes, int]]) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for tag, messages in tags:
            with suppress(MessageRefused, MailboxUnavailable):
                copied = self._session.finish_copy(tag, messages)
                if copied.uidvalidity == copying.uidvalidity:
                    found |= copied.uids
        return found

    def label(self, uids: Sequence[int], labels: Sequence[str]) -> None:
        for numbers, _messages in number_sets(uids):
            self._session.label(numbers, labels)


class _Sent(NamedTuple):
    """A command on its way, with its messages and the place of the first."""

    tag: bytes
    first: int
    messages: Sequence[Outbound]
    octets: int


class _Appending:
    """Puts messages into one mailbox, many ahead of the answers."""

    def __init__(self, session: WritingSession, name: MailboxName, uidvalidity: int | None, *, alone: bool) -> None:
        self._session = session
        self._name = name
        self._uidvalidity = uidvalidity
        many = session.offers("MULTIAPPEND") and not alone
        self._most = _MESSAGES_A_COMMAND if many else 1
        self._ahead = 1 if alone else _MANY_AHEAD if many else _SINGLE_AHEAD
        self._waiting: deque[_Sent] = deque()
        self._octets = 0
        self._held: list[Outcome] = []
        """What was refused in a row, and not for what it is."""
        self._enough: SourceError | None = None

    def run(self, messages: Iterable[Outbound]) -> Iterator[Outcome]:
        first = 0
        for batch, octets in self._batches(messages):
            while self._waiting and (len(self._waiting) >= self._ahead or self._octets + octets > _OCTETS_AHEAD):
                yield from self._finish_oldest()
            if self._enough or self._session.is_asked_to_slow_down:
                break
            self._waiting.append(_Sent(self._session.start_append(self._name, batch), first, batch, octets))
            self._octets += octets
            first += len(batch)
        while self._waiting:
            yield from self._finish_oldest()
        if self._enough is not None:
            raise self._enough
        yield from self._let_go()
        self._session.heed()

    def _batches(self, messages: Iterable[Outbound]) -> Iterator[tuple[list[Outbound], int]]:
        """Yield messages for one command each, with their octets; one that is not in memory has its own."""
        batch: list[Outbound] = []
        octets = 0
        for message in messages:
            size = message.body.size
            is_large = not isinstance(message.body, MemoryBody)
            if batch and (is_large or octets + size > _OCTETS_A_COMMAND):
                yield batch, octets
                batch, octets = [], 0
            batch.append(message)
            octets += size
            if is_large or len(batch) == self._most:
                yield batch, octets
                batch, octets = [], 0
        if batch:
            yield batch, octets

    def _finish_oldest(self) -> Iterator[Outcome]:
        sent = self._waiting.popleft()
        self._octets -= sent.octets
        yield from self._finish(sent.tag, sent.first, sent.messages)

    def _finish(self, tag: bytes, first: int, messages: Sequence[Outbound]) -> Iterator[Outcome]:
        """Yield what became of the messages of a command; if it was refused they are sent again in halves."""
        try:
            stored = self._session.finish_append(tag, len(messages))
        except MessageRefused as error:
            if self._enough is not None:
                return
            if len(messages) == 1:
                yield from self._refused(first, error)
                return
        else:
            yield from self._let_go()
            uids = stored.uids if stored.uidvalidity == self._uidvalidity else []
            yield from (Outcome(first + n, uids[n] if uids else None) for n in range(len(messages)))
            return
        half = len(messages) // 2
        for start, part in ((first, messages[:half]), (first + half, messages[half:])):
            if self._enough is None:
                yield from self._finish(self._session.start_append(self._name, part), start, part)

    def _refused(self, place: int, error: MessageRefused) -> Iterator[Outcome]:
        """Yield a refusal, but hold back what may not be about the message; if enough were held back nothing is sent.

        Then nothing is known of those messages.
        """
        outcome = Outcome(place, None, str(error), error.code)
        if error.code != NO_ROOM and not is_for_now(error.code, str(error)):
            yield from self._let_go()
            yield outcome
            return
        self._held.append(outcome)
        if len(self._held) >= _ENOUGH:
            is_full = error.code == NO_ROOM
            told = NoRoom(f"{self._name} takes no further message: {error}")
            self._enough = told if is_full else Throttled(f"{self._name} takes no message for now: {error}")

    def _let_go(self) -> Iterator[Outcome]:
        """Yield what was held back: it is about the messages."""
        held, self._held = self._held, []
        yield from held
