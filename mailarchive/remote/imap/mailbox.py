"""A mailbox that is open at an IMAP server: what to ask when, and what to do when it does not answer as it should."""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence

from mailarchive.errors import FetchRefused, MailboxUnavailable
from mailarchive.model import Cursor, Fetched, MessageFacts, RemoteUid
from mailarchive.remote.imap.fetch import LIMITED
from mailarchive.remote.imap.session import ImapSession
from mailarchive.remote.imap.sets import Range, command_sets, ranges, size
from mailarchive.remote.receiving import Spool

_PER_FETCH = 5_000
"""Messages asked for at a time when UIDs have to be fetched by sequence number."""
_BODIES_PER_FETCH = 500
"""The next command is on its way while one is answered: so the line is never idle, and few are asked for in vain."""
_MOST_REFUSALS = 200
"""Refused commands after which a bad answer is no longer narrowed down to single messages."""
_MANY_RANGES = 500
_FLAGS = (b"(UID FLAGS)",)

Described = tuple[MessageFacts, bool]
"""Facts, and whether the flags were among what the server sent."""


class ImapMailbox:
    """A mailbox opened by EXAMINE. Answers are read one call at a time: the next call gives up what is left of one."""

    def __init__(self, session: ImapSession, cursor: Cursor, early: Mapping[RemoteUid, MessageFacts]) -> None:
        """``early`` are facts that came as the mailbox was opened; they hold until a message is asked for."""
        self._session = session
        self._cursor = cursor
        self._early = early
        self._existing: list[int] = []

    @property
    def cursor(self) -> Cursor:
        return self._cursor

    @property
    def has_more(self) -> bool:
        return self._session.has_more

    def uids(self) -> list[RemoteUid]:
        session = self._session
        if not session.messages:
            return []
        uids: set[int] = {uid for uid in self._early if isinstance(uid, int)}
        if len(uids) != session.messages:
            uids = self._by_search()
        if len(uids) != session.messages:
            uids |= self._by_sequence()
        uids.discard(0)
        self._existing = sorted(uids)
        return list(self._existing)

    def _by_search(self) -> set[int]:
        session, uids = self._session, set[int]()
        found = [] if self._is_limited else session.search() or []
        if size(found) <= 2 * session.messages:
            for first, last in found:
                uids.update(range(first, last + 1))
        return uids

    def _by_sequence(self) -> set[int]:
        """Ask for UIDs by sequence number, for servers whose SEARCH does not find everything."""
        uids: set[int] = set()
        first = 1
        while first <= self._session.messages:
            last = min(first + min(_PER_FETCH, self._most) - 1, self._session.messages)
            found = self._session.uids_between(first, last)
            if not found:
                break
            uids.update(found)
            first = last + 1
        return uids

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        early = self._early
        yield from (early[uid] for uid in uids if uid in early)
        rest = [uid for uid in uids if uid not in early]
        for facts, _has_flags in self._describe(rest, self._session.fact_items, lambda answer: is_whole(answer[0])):
            yield facts

    def flags(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        for facts, has_flags in self._describe(uids, _FLAGS, lambda answer: answer[1]):
            if has_flags:
                yield facts.uid, facts.flags

    def flags_since(self, modseq: int) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        if not self._session.messages:
            return
        try:
            yield from self._flags_of_all(b"(UID FLAGS) (CHANGEDSINCE %d)" % modseq)
        except FetchRefused:
            try:
                yield from self._flags_of_all(b"(UID FLAGS)")
            except FetchRefused as error:
                raise MailboxUnavailable(str(error)) from error

    def _flags_of_all(self, items: bytes) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        for numbers in self._sets(_ascending(self.uids())) if self._is_limited else (b"1:*",):
            for facts, has_flags in self._session.facts(numbers, items):
                if has_flags:
                    yield facts.uid, facts.flags

    @property
    def _most(self) -> int:
        """How many messages one command may name."""
        return self._session.message_limit or sys.maxsize

    @property
    def _is_limited(self) -> bool:
        return self._session.messages > self._most

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        wanted = _ascending(uids)
        return self._session.headers(self._sets(wanted), wanted)

    def beginnings(self, uids: Sequence[RemoteUid], count: int) -> Iterator[tuple[RemoteUid, bytes]]:
        wanted = _ascending(uids)
        return self._session.beginnings(self._sets(wanted), wanted, count)

    def pieces(self, uid: RemoteUid, offset: int, before: bytes = b"") -> Iterator[bytes]:
        self._early = {}
        return self._session.pieces.of(_number(uid), offset, before)

    def halves(self, uid: RemoteUid, spool: Spool) -> Fetched:
        self._early = {}
        return self._session.halves(_number(uid), spool)

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        self._early = {}
        wanted = _ascending(uids)
        return self._session.bodies(self._sets(wanted, _BODIES_PER_FETCH), wanted, spool)

    def _sets(self, wanted: Sequence[int], most: int = sys.maxsize) -> list[bytes]:
        return [numbers for numbers, _first, _last in self._numbered(wanted, ranges, most)]

    def _numbered(
        self,
        wanted: Sequence[int],
        named: Callable[[Sequence[int], Sequence[int]], list[Range]],
        most: int = sys.maxsize,
    ) -> Iterator[tuple[bytes, int, int]]:
        """Yield sets for commands, none of which is too long or names more than ``most`` messages, or too many."""
        step = min(most, self._most)
        for start in range(0, len(wanted), step):
            yield from command_sets(named(wanted[start : start + step], self._existing))

    def _describe(
        self, uids: Sequence[RemoteUid], variants: Sequence[bytes], whole: Callable[[Described], bool]
    ) -> Iterator[Described]:
        """Yield one answer for each of ``uids`` that exists; answers that are not ``whole`` only if no other comes.

        What the server refuses is asked again with the next of ``variants``, then in halves; a
        message that is refused alone is yielded without anything known of it.
        """
        missing = set(_ascending(uids))
        unwhole: dict[RemoteUid, Described] = {}
        work = [(sorted(missing), 0)]
        refusals = 0
        while work:
            wanted, variant = work.pop()
            for numbers, first, last in self._numbered(wanted, self._ranges):
                try:
                    for answer in self._session.facts(numbers, variants[variant]):
                        uid = answer[0].uid
                        if uid not in missing:
                            continue
                        if whole(answer):
                            missing.discard(uid)
                            yield answer
                        else:
                            unwhole[uid] = answer
                except FetchRefused as error:
                    refusals += error.code != LIMITED
                    refused = wanted[bisect_left(wanted, first) : bisect_right(wanted, last)]
                    refused = [uid for uid in refused if uid in missing and uid not in unwhole]
                    if variant + 1 < len(variants) and error.code != LIMITED:
                        work.append((refused, variant + 1))
                    elif len(refused) > 1 and refusals < _MOST_REFUSALS:
                        half = len(refused) // 2
                        work += [(refused[half:], variant), (refused[:half], variant)]
                    else:
                        unwhole.update((uid, (MessageFacts(uid), False)) for uid in refused)
        yield from (answer for uid, answer in unwhole.items() if uid in missing)

    def _ranges(self, wanted: Sequence[int], existing: Sequence[int]) -> list[Range]:
        """Return ranges that name ``wanted``, and a few others if that saves many ranges."""
        found = ranges(wanted, existing)
        if len(found) > _MANY_RANGES and not self._is_limited:
            among = bisect_right(existing, wanted[-1]) - bisect_left(existing, wanted[0])
            if len(wanted) >= 0.9 * among:
                return [(wanted[0], wanted[-1])]
        return found


def is_whole(facts: MessageFacts) -> bool:
    """Return whether facts are more than flags."""
    return facts.size is not None or facts.internaldate is not None


def _number(uid: RemoteUid) -> int:
    if not isinstance(uid, int):
        raise FetchRefused("there is no such message")
    return uid


def _ascending(uids: Sequence[RemoteUid]) -> list[int]:
    return sorted({uid for uid in uids if isinstance(uid, int)})
