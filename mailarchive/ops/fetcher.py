"""Fetch each message in the way that brings it: many at once, a large one in pieces, a refused one in other ways."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing

from mailarchive.archive.partials import Key, Partial
from mailarchive.archive.writer import Writer
from mailarchive.errors import FetchRefused, PiecesUnsupported
from mailarchive.mail.body import JoinedBody, SpooledBody
from mailarchive.model import Body, Fetched, MessageFacts, RemoteUid
from mailarchive.ops import plan as plans
from mailarchive.ops.fetching import NotFetched, fetch_each
from mailarchive.sources.base import OpenMailbox

TAIL = 64
"""So many of the last octets of a message are compared when more is asked for."""
MOST_SHORT = 10
"""So many messages that are shorter than the server says, and whole, show that its sizes mean nothing."""


class Fetcher:
    """Fetches messages of one opened mailbox."""

    def __init__(
        self,
        opened: OpenMailbox,
        writer: Writer,
        key: Callable[[MessageFacts], Key],
        is_stopping: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        """``tell`` gets a sentence about each message that is not what the server says, or came in another way."""
        self._opened = opened
        self._writer = writer
        self._key = key
        self._is_stopping = is_stopping
        self._tell = tell
        self._true_sizes = 0
        self._false_sizes = 0
        self._short = 0

    def each(self, batch: Sequence[MessageFacts]) -> Iterator[Fetched | NotFetched]:
        """Yield for each of ``batch`` either the message or why it did not come; nothing more when stopping.

        A large message that is not yielded goes on in the next run. Raises what ``fetch_each`` raises.
        """
        for facts in filter(plans.is_large, batch):
            yield from self._large(facts)
        small = {facts.uid: facts for facts in batch if not plans.is_large(facts)}
        if small:
            yield from self._whole(small, in_pieces=True)

    def _whole(self, messages: dict[RemoteUid, MessageFacts], *, in_pieces: bool) -> Iterator[Fetched | NotFetched]:
        def rescue(uid: RemoteUid) -> Fetched | None:
            return self._rescue(messages[uid], in_pieces=in_pieces)

        for item in fetch_each(self._opened, list(messages), self._writer.spool, rescue):
            if isinstance(item, NotFetched):
                yield item
            else:
                yield self._checked(item, messages[item.uid], in_pieces=in_pieces)

    # -- large ones, in pieces -------------------------------------------------------------------------------------

    def _large(self, facts: MessageFacts) -> Iterator[Fetched | NotFetched]:
        with closing(self._writer.partials.open(self._key(facts), facts.size)) as partial:
            try:
                self._receive(facts, partial)
            except FetchRefused as error:
                self._tell(f"message {facts.uid} cannot be fetched in pieces: {error}")
                if isinstance(error, PiecesUnsupported) or not partial.length:
                    partial.restart()
            else:
                if self._is_stopping():
                    return
                if partial.length != facts.size:
                    self._tell_size(facts, partial.length, "and that is all it has")
                yield Fetched(facts.uid, partial.body())
                self._writer.partials.stored(partial.key)
                return
        if not self._is_stopping():
            yield from self._whole({facts.uid: facts}, in_pieces=False)

    def _receive(self, facts: MessageFacts, partial: Partial) -> None:
        """Receive what is still to come of a message: to where the server says that it ends, or to where it does."""
        while not self._is_stopping():
            had = partial.length
            for piece in self._opened.pieces(facts.uid, partial.length, partial.tail):
                partial.append(piece)
                if self._is_stopping():
                    return
            if partial.length in {had, facts.size}:
                break
        if not partial.length and facts.size:
            raise FetchRefused(_nothing(facts))

    # -- what did not come, or not as the server says ------------------------------------------------------------

    def _rescue(self, facts: MessageFacts, *, in_pieces: bool) -> Fetched | None:
        """Try to bring a message from its header and its text, then in pieces; None if it comes in no way."""
        halves = self._halves(facts)
        if halves is not None and facts.size in {None, halves.size}:
            return Fetched(facts.uid, halves)
        body = self._pieces(facts) if in_pieces else None
        if body is None and halves is not None and not self._sizes_are_true:
            self._tell_size(facts, halves.size, "in two halves")
            return Fetched(facts.uid, halves)
        if halves is not None:
            halves.close()
        return None if body is None else Fetched(facts.uid, body)

    @property
    def _sizes_are_true(self) -> bool:
        return self._true_sizes > 0 and not self._false_sizes

    def _halves(self, facts: MessageFacts) -> Body | None:
        try:
            body = self._opened.halves(facts.uid, self._writer.spool).body
        except FetchRefused:
            return None
        self._tell(f"message {facts.uid} does not come whole; header and text came by themselves")
        return _unless_empty(body, facts)

    def _pieces(self, facts: MessageFacts) -> Body | None:
        try:
            body = self._rest(facts.uid, 0, b"")
        except FetchRefused:
            return None
        self._tell(f"message {facts.uid} does not come whole; it came in pieces")
        return _unless_empty(body, facts)

    def _rest(self, uid: RemoteUid, offset: int, before: bytes) -> SpooledBody:
        """Return the octets of a message from ``offset`` on. Raises FetchRefused."""
        file = self._writer.spool()
        try:
            size = 0
            for piece in self._opened.pieces(uid, offset, before):
                size += file.write(piece)
        except BaseException:
            file.close()
            raise
        return SpooledBody(file, size)

    def _checked(self, item: Fetched, facts: MessageFacts, *, in_pieces: bool) -> Fetched | NotFetched:
        """Return a message that came; of one that is shorter than the server says, ask whether there is more."""
        size = item.body.size
        if facts.size is None or size == facts.size:
            self._true_sizes += facts.size is not None
            return item
        if not size:
            item.body.close()
            return self._rescue(facts, in_pieces=in_pieces) or NotFetched(facts.uid, _nothing(facts))
        if size > facts.size or self._short >= MOST_SHORT:
            self._false_sizes += 1
            self._tell_size(facts, size, "")
            return item
        return self._completed(item, facts)

    def _completed(self, item: Fetched, facts: MessageFacts) -> Fetched:
        """Return a message with what the server has of it beyond what it sent."""
        size = item.body.size
        try:
            rest = self._rest(item.uid, size, _tail(item.body.chunks()))
        except FetchRefused as error:
            self._tell_size(facts, size, f"and whether there is more cannot be found out: {error}")
            return item
        if rest.size:
            self._tell_size(facts, size, f"and {rest.size} more when asked again")
            return Fetched(item.uid, JoinedBody((item.body, rest)))
        rest.close()
        self._false_sizes += 1
        self._short += 1
        self._tell_size(facts, size, "and that is all it has")
        return item

    def _tell_size(self, facts: MessageFacts, sent: int, more: str) -> None:
        self._tell(f"message {facts.uid}: the server says {facts.size} octets and sent {sent} {more}".rstrip())


def _nothing(facts: MessageFacts) -> str:
    return f"the server says that it has {facts.size} octets, and sent none"


def _unless_empty(body: Body, facts: MessageFacts) -> Body | None:
    if body.size or not facts.size:
        return body
    body.close()
    return None


def _tail(chunks: Iterable[bytes]) -> bytes:
    last = b""
    for chunk in chunks:
        last = (last + chunk)[-TAIL:]
    return last
