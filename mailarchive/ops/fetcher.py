"""Fetch each message in the way that brings it: many at once, a large one in pieces, a refused one in other ways."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress

from mailarchive.archive.partials import Key, Partial
from mailarchive.archive.writer import Writer
from mailarchive.errors import FetchRefused, PiecesUnsupported
from mailarchive.mail.body import JoinedBody, SpooledBody
from mailarchive.model import Body, Fetched, MessageFacts, RemoteUid
from mailarchive.ops import plan as plans
from mailarchive.ops.fetching import NotFetched, Rescue, fetch_each
from mailarchive.ops.sizes import Sizes
from mailarchive.sources.base import OpenMailbox

Together = list[Fetched | NotFetched]
"""What came together."""
TAIL = 64
"""So many of the last octets of a message are compared when more is asked for."""


class Fetcher:
    """Fetches messages of one opened mailbox."""

    def __init__(
        self,
        opened: OpenMailbox,
        writer: Writer,
        key: Callable[[MessageFacts], Key],
        sizes: Sizes,
        is_stopping: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        """``tell`` gets a sentence about each message that is not what the server says, or came in another way."""
        self._opened = opened
        self._writer = writer
        self._key = key
        self._sizes = sizes
        self._is_stopping = is_stopping
        self._tell = tell

    @property
    def has_more(self) -> bool:
        """Whether mail comes as fast as it is taken; else whoever waits for it can store meanwhile what came."""
        return self._opened.has_more

    def each(self, batch: Sequence[MessageFacts]) -> Iterator[list[Fetched | NotFetched]]:
        """Yield for each of ``batch`` either the message or why it did not come, those that came together in one list.

        Nothing waits for the network in a list that is not yielded. Nothing more is yielded when stopping; a large
        message that is not goes on in the next run. Raises what ``fetch_each`` raises.
        """
        for facts in filter(plans.is_large, batch):
            yield from self._large(facts)
        small = {facts.uid: facts for facts in batch if not plans.is_large(facts)}
        if small:
            yield from self._whole(small, in_pieces=True)

    def _whole(self, messages: dict[RemoteUid, MessageFacts], *, in_pieces: bool) -> Iterator[Together]:
        def rescue(uid: RemoteUid) -> Fetched | None:
            return self._rescue(messages[uid], in_pieces=in_pieces)

        come: Together = []
        short: list[Fetched] = []
        try:
            for item in fetch_each(self._opened, list(messages), self._writer.spool, rescue):
                if isinstance(item, Fetched) and self._is_whole(item, messages[item.uid]):
                    come.append(item)
                    if not item.followed:
                        yield come
                        come = []
                    continue
                if come:
                    yield come
                    come = []
                found = item if isinstance(item, NotFetched) else self._checked(item, messages[item.uid], rescue)
                if isinstance(found, NotFetched) or not self._is_short(found, messages[item.uid]):
                    yield [found]
                else:
                    short.append(found)
            if come:
                yield come
            while short and not self._is_stopping():
                item = short.pop()
                yield [self._judged(item, messages[item.uid])]
        finally:
            for item in short:
                item.body.close()

    # -- large ones, in pieces -------------------------------------------------------------------------------------

    def _large(self, facts: MessageFacts) -> Iterator[Together]:
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
                found = self._of_pieces(facts, partial)
                yield [found]
                if isinstance(found, Fetched):
                    self._writer.partials.stored(partial.key)
                return
        if not self._is_stopping():
            yield from self._whole({facts.uid: facts}, in_pieces=False)

    def _of_pieces(self, facts: MessageFacts, partial: Partial) -> Fetched | NotFetched:
        item = Fetched(facts.uid, partial.body())
        if self._is_short(item, facts):
            return self._judged(item, facts, in_pieces=True)
        self._sizes.seen(facts, partial.length)
        if partial.length != facts.size:
            self._tell_size(facts, partial.length, "in pieces")
        return item

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
            raise FetchRefused(_wrong(facts, 0))

    # -- what did not come, or not as the server says ------------------------------------------------------------

    def _rescue(self, facts: MessageFacts, *, in_pieces: bool) -> Fetched | None:
        """Try to bring a message from its header and its text, then in pieces; None if it comes in no way."""
        halves = self._halves(facts)
        if halves is not None and facts.size in {None, halves.size}:
            return Fetched(facts.uid, halves)
        body = self._pieces(facts) if in_pieces else None
        if body is None and halves is not None and not self._sizes.are_true:
            self._tell_size(facts, halves.size, "in two halves")
            return Fetched(facts.uid, halves)
        if halves is not None:
            halves.close()
        return None if body is None else Fetched(facts.uid, body)

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

    def _is_whole(self, item: Fetched, facts: MessageFacts) -> bool:
        """Return whether a message is as large as the server says, or larger, or that says nothing that is true."""
        size = item.body.size
        if facts.size is not None and size != facts.size:
            if size < facts.size and not (size and self._sizes.lie):
                return False
            self._tell_size(facts, size, "")
        self._sizes.seen(facts, size)
        return True

    def _checked(self, item: Fetched, facts: MessageFacts, rescue: Rescue) -> Fetched | NotFetched:
        """Return a message that is shorter than the server says, and what there is more of it."""
        if item.body.size:
            return self._completed(item, facts)
        item.body.close()
        return rescue(facts.uid) or NotFetched(facts.uid, _wrong(facts, 0))

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
        if not self._sizes.are_true:
            self._sizes.seen_short()
        self._tell_size(facts, size, "and that is all it has")
        return item

    def _is_short(self, item: Fetched, facts: MessageFacts) -> bool:
        """Return whether a message may not be whole: it is shorter than told, where sizes are not known to lie."""
        return facts.size is not None and 0 < item.body.size < facts.size and not self._sizes.lie

    def _judged(self, item: Fetched, facts: MessageFacts, *, in_pieces: bool = False) -> Fetched | NotFetched:
        """Return a message that is shorter than the server says, as far as it can be believed.

        What is as long whole as ``in_pieces`` shows that the size told is not true.
        """
        is_expected = self._sizes.is_expected(facts)
        if self._sizes.lie:
            return item
        if not (is_expected or in_pieces):
            self._sizes.unclear()
            return item
        item, is_steady = self._longer(item, facts)
        size = item.body.size
        if not self._is_short(item, facts):
            self._sizes.seen(facts, size)
            return item
        self._tell_size(facts, size, "when asked once more too")
        if (is_steady and in_pieces) or not is_expected:
            self._sizes.unclear()
            if is_steady:
                self._sizes.seen(facts, size)
            return item
        if is_steady:
            self._sizes.seen_short()
        if self._sizes.is_tried_enough(facts, steady=is_steady):
            self._sizes.kept(facts, _wrong(facts, size))
            return item
        item.body.close()
        return NotFetched(facts.uid, _wrong(facts, size))

    def _longer(self, item: Fetched, facts: MessageFacts) -> tuple[Fetched, bool]:
        """Fetch a message once more; return the longer of the two, and whether both have the same length."""
        again: Fetched | None = None
        try:
            with suppress(FetchRefused):
                for fetched in self._opened.fetch([facts.uid], self._writer.spool):
                    again = fetched
        except BaseException:
            item.body.close()
            raise
        if again is None:
            return item, False
        shorter, longer = sorted((again, item), key=lambda one: one.body.size)
        is_steady = shorter.body.size == longer.body.size
        shorter.body.close()
        return longer, is_steady

    def _tell_size(self, facts: MessageFacts, sent: int, more: str) -> None:
        self._tell(f"message {facts.uid}: the server says {facts.size} octets and sent {sent} {more}".rstrip())


def _wrong(facts: MessageFacts, size: int) -> str:
    return f"the server says that it has {facts.size} octets, and sent {size or 'none'}"


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
