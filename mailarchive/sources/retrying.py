"""A Source around a Source: when the connection is lost it waits, connects again and goes on where it stopped."""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mailarchive.clock import Clock
from mailarchive.errors import FetchRefused, MailboxUnavailable, SourceError, Throttled
from mailarchive.model import Account, Cursor, Fetched, ListedMailbox, MessageFacts, RemoteUid
from mailarchive.remote.line import Line
from mailarchive.remote.patience import Crew, OnWait
from mailarchive.remote.throttling import PASSING
from mailarchive.sources.base import OpenMailbox, Shows, Source, SourceFactory, Spool

_T = TypeVar("_T")

_LOSSES_BEFORE_ALONE = 2
_LOSSES_OF_ONE = 3
_ALONE_FOR = 8
_LOST_MESSAGES_IN_A_ROW = 5
_REFUSED_IN_A_ROW = 20
_MOST_PAUSES = 4
"""So often it is believed that a server refuses messages only for now."""
_TAIL = 64
"""Octets in front of a piece that are compared when it is asked for over another connection."""


class RetryingSource:
    """Opens connections with ``connect`` as they are needed. Raises what ``connect`` raises.

    Setting ``stop`` ends waiting: the error at hand is raised. ``waits`` says whether Throttled is waited for;
    ``crew`` are the connections to the account, each with a RetryingSource of its own.
    """

    def __init__(
        self,
        connect: SourceFactory,
        *,
        clock: Clock,
        stop: threading.Event,
        on_wait: OnWait | None = None,
        waits: bool = False,
        crew: Crew | None = None,
    ) -> None:
        self._line: Line[Source] = Line(connect, clock=clock, stop=stop, on_wait=on_wait, waits=waits, crew=crew)
        self._account, self._has_labels, self._shows = self._line.do(
            lambda source: (source.account, source.has_labels, source.shows)
        )

    @property
    def account(self) -> Account:
        return self._account

    @property
    def has_labels(self) -> bool:
        return self._has_labels

    @property
    def shows(self) -> Shows:
        return self._shows

    def mailboxes(self) -> list[ListedMailbox]:
        return self._line.do(lambda source: source.mailboxes())

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> "RetryingMailbox":
        line, losses = self._line, 0
        while True:
            try:
                source = line.connection()
                opened = source.open(mailbox, None if losses else first)
            except SourceError as error:
                losses += not isinstance(error, Throttled)
                if error.retryable and losses == _LOSSES_OF_ONE:
                    line.drop()
                    raise MailboxUnavailable(f"{mailbox.name} cannot be opened: {error}") from error
                line.recover(error)
            else:
                line.progress()
                return RetryingMailbox(line, mailbox, source, opened)

    def leave(self, secure: Callable[[], None]) -> None:
        """End the connection in order; the next call makes a new one."""
        self._line.part(lambda source: source.leave(secure))

    def close(self) -> None:
        self._line.close()


@dataclass(slots=True)
class _Losses:
    """Messages of a mailbox whose fetching ended the connection, each time."""

    messages: dict[RemoteUid, FetchRefused] = field(default_factory=dict)
    in_a_row: int = 0
    """How many ended it since one came."""
    refused_in_a_row: int = 0
    """How many the server refused, each alone and with a code that may mean "not now", since one came."""
    pauses: int = 0
    """How often that was taken for the wish to be left alone."""

    def end(self) -> None:
        """Note that a message came."""
        self.in_a_row = self.refused_in_a_row = self.pauses = 0

    def is_throttling(self, batch: Sequence[RemoteUid], error: FetchRefused) -> bool:
        """Count a refusal of ``batch``; return whether it is about the account rather than about messages."""
        if len(batch) > 1 or error.code not in PASSING or self.pauses == _MOST_PAUSES:
            return False
        self.refused_in_a_row += 1
        self.pauses += self.refused_in_a_row >= _REFUSED_IN_A_ROW
        return self.refused_in_a_row >= _REFUSED_IN_A_ROW


def _refused(error: SourceError) -> FetchRefused:
    return FetchRefused(f"the connection ends whenever this message is asked for: {error}")


class RetryingMailbox:
    """A mailbox that is opened again after the connection was lost, as long as its UIDVALIDITY stays."""

    def __init__(self, line: Line[Source], listed: ListedMailbox, source: Source, opened: OpenMailbox) -> None:
        self._line = line
        self._listed = listed
        self._source = source
        self._opened = opened
        self._cursor = opened.cursor
        self._losses = _Losses()

    @property
    def cursor(self) -> Cursor:
        return self._cursor

    @property
    def has_more(self) -> bool:
        return self._opened.has_more

    def uids(self) -> list[RemoteUid]:
        while True:
            try:
                uids = self._mailbox().uids()
            except SourceError as error:
                self._line.recover(error)
            else:
                self._line.progress()
                return uids

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        return self._each(uids, lambda mailbox, rest: mailbox.facts(rest), lambda facts: facts.uid)

    def flags(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        return self._each(uids, lambda mailbox, rest: mailbox.flags(rest), lambda pair: pair[0])

    def flags_since(self, modseq: int) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        return self._each((), lambda mailbox, _rest: mailbox.flags_since(modseq), lambda pair: pair)

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        return self._each(uids, lambda mailbox, rest: mailbox.headers(rest), lambda pair: pair[0])

    def beginnings(self, uids: Sequence[RemoteUid], count: int) -> Iterator[tuple[RemoteUid, bytes]]:
        return self._each(uids, lambda mailbox, rest: mailbox.beginnings(rest, count), lambda pair: pair[0])

    def pieces(self, uid: RemoteUid, offset: int, before: bytes = b"") -> Iterator[bytes]:
        have, tail = offset, before

        def rest(mailbox: OpenMailbox) -> Iterator[bytes]:
            return mailbox.pieces(uid, have, tail)

        for piece in self._alone(uid, rest):
            have += len(piece)
            tail = (tail + piece)[-_TAIL:]
            yield piece

    def halves(self, uid: RemoteUid, spool: Spool) -> Fetched:
        return next(self._alone(uid, lambda mailbox: iter((mailbox.halves(uid, spool),))))

    def _alone(self, uid: RemoteUid, ask: Callable[[OpenMailbox], Iterator[_T]]) -> Iterator[_T]:
        """Yield the answers about one message; refuse it when the connection ends again and again without any."""
        left = 1 if uid in self._losses.messages else _LOSSES_OF_ONE
        while True:
            try:
                mailbox = self._mailbox()
            except SourceError as error:
                self._line.recover(error)
                continue
            try:
                for answer in ask(mailbox):
                    left = _LOSSES_OF_ONE
                    self._losses.end()
                    self._line.progress()
                    yield answer
                return
            except Throttled as error:
                self._line.recover(error)
                if error.answered:
                    return
            except SourceError as error:
                left -= 1
                if left or not error.retryable or self._losses.in_a_row >= _LOST_MESSAGES_IN_A_ROW:
                    self._line.recover(error)
                    continue
                self._losses.in_a_row += 1
                self._line.drop()
                self._line.progress()
                raise _refused(error) from error

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        return _Fetching(self._line, self._mailbox, self._losses, uids).run(spool)

    def _mailbox(self) -> OpenMailbox:
        """Return the mailbox, opened again if the connection is another one."""
        source = self._line.connection()
        if source is not self._source:
            opened = source.open(self._listed)
            if opened.cursor.uidvalidity != self._cursor.uidvalidity:
                raise MailboxUnavailable(f"{self._listed.name} was numbered anew while it was being read")
            self._source, self._opened = source, opened
        return self._opened

    def _each(
        self,
        uids: Sequence[RemoteUid],
        ask: Callable[[OpenMailbox, Sequence[RemoteUid]], Iterator[_T]],
        key: Callable[[_T], Hashable],
    ) -> Iterator[_T]:
        """Yield the answers about ``uids``, each once, and ask again for those that have not come."""
        seen: set[Hashable] = set()
        while True:
            try:
                for answer in ask(self._mailbox(), [uid for uid in uids if uid not in seen]):
                    if key(answer) not in seen:
                        seen.add(key(answer))
                        self._line.progress()
                        yield answer
                return
            except SourceError as error:
                self._line.recover(error)


class _Fetching:
    """One call of ``fetch``: finds the message that makes the server end the connection, and goes round it."""

    def __init__(
        self,
        line: Line[Source],
        mailbox: Callable[[], OpenMailbox],
        lost: _Losses,
        uids: Sequence[RemoteUid],
    ) -> None:
        self._line = line
        self._mailbox = mailbox
        self._lost = lost
        self._pending = dict.fromkeys(uid for uid in uids if uid not in lost.messages)
        self._refused = next((lost.messages[uid] for uid in uids if uid in lost.messages), None)
        self._losses = 0
        self._alone = 0

    def run(self, spool: Spool) -> Iterator[Fetched]:
        """Yield what arrives. Raises FetchRefused at the end for what was refused or cannot be had."""
        while self._pending:
            batch = [next(iter(self._pending))] if self._alone else list(self._pending)
            try:
                mailbox = self._mailbox()
            except SourceError as error:
                self._line.recover(error)
                continue
            try:
                for message in mailbox.fetch(batch, spool):
                    self._pending.pop(message.uid, None)
                    self._losses = 0
                    self._lost.end()
                    self._line.progress()
                    yield message
                self._finish(batch)
            except FetchRefused as error:
                if not self._lost.is_throttling(batch, error):
                    self._refused = self._refused or error
                    self._finish(batch)
                else:
                    self._line.recover(Throttled(f"the server refuses one message after the other: {error}"))
            except Throttled as error:
                if error.answered:
                    self._finish(batch)
                self._line.recover(error)
            except SourceError as error:
                self._after_loss(batch, error)
        if self._refused is not None:
            raise self._refused

    def _finish(self, batch: Sequence[RemoteUid]) -> None:
        """Note that the server has said all it will about ``batch``."""
        for uid in batch:
            self._pending.pop(uid, None)
        self._losses = 0
        self._alone = max(0, self._alone - 1)
        self._line.progress()

    def _after_loss(self, batch: Sequence[RemoteUid], error: SourceError) -> None:
        self._losses += 1
        if not self._alone:
            if self._losses == _LOSSES_BEFORE_ALONE:
                self._alone, self._losses = _ALONE_FOR, 0
        elif self._losses == _LOSSES_OF_ONE and error.retryable and self._lost.in_a_row < _LOST_MESSAGES_IN_A_ROW:
            uid = batch[0]
            self._lost.messages[uid] = _refused(error)
            self._refused = self._refused or self._lost.messages[uid]
            self._lost.in_a_row += 1
            self._finish(batch)
            self._alone = 0
            self._line.drop()
            return
        self._line.recover(error)
