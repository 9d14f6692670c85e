"""A source whose steps fail as a test decides, behind a RetryingSource on a clock that stands still."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from mailarchive.errors import ConnectionLost, SourceError
from mailarchive.model import Fetched, ListedMailbox, MessageFacts, RemoteUid
from mailarchive.remote.patience import Crew
from mailarchive.sources.base import OpenMailbox, Source, Spool
from mailarchive.sources.memory import MemoryAccount, MemorySource
from mailarchive.sources.retrying import RetryingSource
from tests.servers.still_clock import StillClock

Trouble = Callable[[str, RemoteUid | None], None]
"""Is called before each step (its name, the uid about to be yielded) and may raise."""


class Troubled:
    """A Source whose steps fail as ``trouble`` decides."""

    def __init__(self, inner: Source, trouble: Trouble) -> None:
        self._inner = inner
        self._trouble = trouble
        self.account = inner.account
        self.has_labels = inner.has_labels
        self.shows = inner.shows

    def mailboxes(self) -> list[ListedMailbox]:
        self._trouble("mailboxes", None)
        return self._inner.mailboxes()

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> OpenMailbox:
        self._trouble("open", None)
        return TroubledMailbox(self._inner.open(mailbox, first), self._trouble)

    def leave(self, secure: Callable[[], None]) -> None:
        self._trouble("leave", None)
        self._inner.leave(secure)

    def close(self) -> None:
        self._inner.close()


class TroubledMailbox:
    def __init__(self, inner: OpenMailbox, trouble: Trouble) -> None:
        self._inner = inner
        self._trouble = trouble
        self.cursor = inner.cursor
        self.has_more = True

    def uids(self) -> list[RemoteUid]:
        self._trouble("uids", None)
        return self._inner.uids()

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        for facts in self._inner.facts(uids):
            self._trouble("facts", facts.uid)
            yield facts

    def flags(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        for pair in self._inner.flags(uids):
            self._trouble("flags", pair[0])
            yield pair

    def flags_since(self, modseq: int) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        for pair in self._inner.flags_since(modseq):
            self._trouble("flags_since", pair[0])
            yield pair

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        for pair in self._inner.headers(uids):
            self._trouble("headers", pair[0])
            yield pair

    def beginnings(self, uids: Sequence[RemoteUid], count: int) -> Iterator[tuple[RemoteUid, bytes]]:
        for pair in self._inner.beginnings(uids, count):
            self._trouble("beginnings", pair[0])
            yield pair

    def pieces(self, uid: RemoteUid, offset: int, before: bytes = b"") -> Iterator[bytes]:
        for piece in self._inner.pieces(uid, offset, before):
            self._trouble("pieces", uid)
            yield piece

    def halves(self, uid: RemoteUid, spool: Spool) -> Fetched:
        self._trouble("halves", uid)
        return self._inner.halves(uid, spool)

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        for uid in uids:
            self._trouble("fetch", uid)
            yield from self._inner.fetch([uid], spool)


class World:
    """An account of ten messages behind a RetryingSource, and what happened."""

    def __init__(self, trouble: Trouble = lambda _step, _uid: None, *, waits: bool = False) -> None:
        self.account = MemoryAccount()
        self.account.create("INBOX")
        for number in range(10):
            self.account.append("INBOX", b"%d" % number)
        self.clock = StillClock()
        self.stop = threading.Event()
        self.waits: list[tuple[float, str]] = []
        self.connections = 0
        self.trouble = trouble
        self.patient = waits
        self.crew = Crew()

    def connect(self) -> Source:
        self.connections += 1
        self.trouble("connect", None)
        return Troubled(MemorySource(self.account), self.trouble)

    def source(self) -> RetryingSource:
        return RetryingSource(
            self.connect,
            clock=self.clock,
            stop=self.stop,
            on_wait=self.on_wait,
            waits=self.patient,
            crew=self.crew,
        )

    def on_wait(self, seconds: float, reason: str) -> None:
        self.waits.append((seconds, reason))

    def opened(self) -> OpenMailbox:
        source = self.source()
        return source.open(source.mailboxes()[0])


def failing(step: str, *places: int, error: type[SourceError] = ConnectionLost) -> Trouble:
    """Fail at the given occasions (counted from 1) of a step."""
    seen = Counter[str]()

    def trouble(at: str, _uid: RemoteUid | None) -> None:
        seen[at] += 1
        if at == step and seen[at] in places:
            raise error(f"{at} failed")

    return trouble


def raising(step: str, *errors: SourceError | None) -> Trouble:
    """Raise ``errors`` one after the other at the occasions of a step; None lets one pass."""
    left = list(errors)

    def trouble(at: str, _uid: RemoteUid | None) -> None:
        if at == step and left and (error := left.pop(0)) is not None:
            raise error

    return trouble


def at_uid(uid: int, *others: int) -> Trouble:
    """Lose the connection whenever one of the messages is fetched."""

    def trouble(step: str, at: RemoteUid | None) -> None:
        if step == "fetch" and at in {uid, *others}:
            raise ConnectionLost("cut")

    return trouble
