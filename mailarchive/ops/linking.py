"""Link before download: recognise messages that the archive has, so that only what is new is fetched."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from mailarchive.archive.placing import BY_IMPORT, BY_VARIANT
from mailarchive.archive.sightings import Sightings
from mailarchive.errors import ArchiveDamaged, FetchRefused
from mailarchive.mail.digest import beginning_of_text
from mailarchive.model import Digest, HeaderDigest, MessageFacts, RemoteUid
from mailarchive.ops.headers import BEGINNING, NO_HEADER, beginnings, header_digests, shown_headers
from mailarchive.records import Here, Looks, Sighting
from mailarchive.sources.base import OpenMailbox

BY_ID, BY_HEADER, BY_SAMPLE = "account_id", "header", "sample"
"""How a message was recognised; journaled as ``by`` of its placement."""
SAMPLE = 4096
"""Octets at the end of a message that decide where the server's sizes are not the true ones."""

Lend = Callable[[], AbstractContextManager[Sightings]]
"""Lends what is known of messages for as long as nobody writes."""
Read = Callable[[Digest], Iterator[bytes]]
Key = tuple[object, ...]
Claim = tuple[Here, RemoteUid]


class Place(NamedTuple):
    """The mailbox in which messages are new. ``leaving`` are uids that are in the archive, and listed no more."""

    here: Here
    leaving: frozenset[RemoteUid] = frozenset()
    account: frozenset[int] = frozenset()
    """Mailboxes of the same account, among those in question."""


class Link(NamedTuple):
    """A message that need not be downloaded."""

    facts: MessageFacts
    digest: Digest
    by: str


class Match(NamedTuple):
    """A message that looks like one that was seen, ``by`` what."""

    message: MessageFacts
    seen: Sighting
    by: str


@dataclass(slots=True)
class Sorted:
    """New messages of a mailbox: recognised, to be fetched, or to be looked at again when another fetch has ended."""

    links: list[Link] = field(default_factory=list)
    fresh: list[MessageFacts] = field(default_factory=list)
    later: list[MessageFacts] = field(default_factory=list)


class Linker:
    """Recognises messages of one account; remembers what is being fetched. Thread-safe."""

    def __init__(self, account: str, lend: Lend, read: Read) -> None:
        self._account = account
        self._lend = lend
        self._read = read
        self._lock = threading.Lock()
        self._claims: defaultdict[Key, set[Claim]] = defaultdict(set)
        self._used_twice: set[str] = set()
        """Account-wide ids that the server gives to different messages."""

    def sort(self, opened: OpenMailbox, place: Place, messages: Sequence[MessageFacts]) -> Sorted:
        """Return what to do with each of ``messages``; each of ``fresh`` is claimed until it is released.

        Raises what the source raises, with nothing claimed.
        """
        found = Sorted()
        mine = self._claim(place.here, messages, found.later)
        try:
            rest = self._by_id(opened, place, mine, found.links)
            found.fresh.extend(self._by_header(opened, place, rest, found.links))
        except BaseException:
            self.release(place.here, mine)
            raise
        self.release(place.here, [link.facts for link in found.links])
        return found

    def release(self, here: Here, messages: Sequence[MessageFacts]) -> None:
        """Say that ``messages`` are in the archive now, or will not be fetched."""
        with self._lock:
            for message in messages:
                for key in self._keys(message):
                    claims = self._claims.get(key, set())
                    claims.discard((here, message.uid))
                    if not claims:
                        self._claims.pop(key, None)

    def is_ready(self, here: Here, messages: Sequence[MessageFacts]) -> bool:
        """Return whether one of ``messages`` need not wait for another fetch any more."""
        with self._lock:
            return any(not self._is_claimed(here, message) for message in messages)

    def _claim(self, here: Here, messages: Sequence[MessageFacts], later: list[MessageFacts]) -> list[MessageFacts]:
        mine = []
        with self._lock:
            for message in messages:
                if self._is_claimed(here, message):
                    later.append(message)
                else:
                    mine.append(message)
                    for key in self._keys(message):
                        self._claims[key].add((here, message.uid))
        return mine

    def _is_claimed(self, here: Here, message: MessageFacts) -> bool:
        """Return whether the same message, as far as a listing tells, is being fetched.

        Within a mailbox only an account-wide id tells: two messages listed at once are two, however alike they look.
        """
        return any(
            owner != here or key[0] == BY_ID for key in self._keys(message) for owner, _uid in self._claims.get(key, ())
        )

    def _keys(self, message: MessageFacts) -> list[Key]:
        keys: list[Key] = []
        if message.account_id is not None and message.account_id not in self._used_twice:
            keys.append((BY_ID, message.account_id))
        if (looks := _looks(message)) is not None and message.internaldate is not None:
            keys.append((BY_HEADER, *looks))
        return keys

    # -- by account-wide id ----------------------------------------------------------------------------------------

    def _by_id(
        self, opened: OpenMailbox, place: Place, messages: Sequence[MessageFacts], links: list[Link]
    ) -> list[MessageFacts]:
        """Link those whose account-wide id is known; return the others.

        Two messages of a mailbox may have one id because they are copies, or because the server is wrong: their
        headers tell.
        """
        named = [message.account_id for message in messages if message.account_id is not None]
        if not named:
            return list(messages)
        with self._lend() as sightings:
            known = sightings.with_ids(self._account, named)
        seen_as = {message.uid: known.get(message.account_id or "") for message in messages}
        doubtful = [message for message in messages if (seen := seen_as[message.uid]) and _stays(seen, place)]
        headers = header_digests(opened, [message.uid for message in doubtful])
        rest = []
        for message in messages:
            seen = seen_as[message.uid]
            is_same = seen is not None and message.size in {None, seen.size, seen.said_size}
            if is_same and seen is not None and _stays(seen, place):
                is_same = headers.get(message.uid) == seen.header
                if not is_same:
                    self._used_twice.add(message.account_id or "")
            if is_same and seen is not None:
                links.append(Link(message, seen.digest, BY_ID))
            else:
                rest.append(message)
        return rest

    # -- by size, date and header ----------------------------------------------------------------------------------

    def _by_header(
        self, opened: OpenMailbox, place: Place, messages: Sequence[MessageFacts], links: list[Link]
    ) -> list[MessageFacts]:
        """Link those whose size, date and header one known message has; return the others."""
        with self._lend() as sightings:
            alike = sightings.look_alike(filter(None, map(_looks, messages)), None if place.leaving else place.here)
        candidates = [message for message in messages if _looks(message) in alike]
        if not candidates:
            return list(messages)
        shown = shown_headers(opened, [message.uid for message in candidates])
        headers = {uid: header.digest for uid, header in shown.items() if header.digest != NO_HEADER}
        matches = list(self._matches(place, candidates, headers))
        as_they_are = {match.seen.digest for match in matches if not match.seen.is_form}
        matches = [match for match in matches if not (match.seen.is_form and match.seen.digest in as_they_are)]
        nameless = {uid for uid, header in shown.items() if not header.is_named}
        links_of = {link.facts.uid: link for link in self._proved(opened, matches, nameless)}
        links.extend(links_of.values())
        return [message for message in messages if message.uid not in links_of]

    def _matches(
        self, place: Place, messages: Sequence[MessageFacts], headers: dict[RemoteUid, HeaderDigest]
    ) -> Iterator[Match]:
        def kind(message: MessageFacts) -> tuple[bytes, int]:
            return headers[message.uid], message.size or 0

        described = sorted((message for message in messages if message.uid in headers), key=kind)
        for (header, _size), group in groupby(described, kind):
            with self._lend() as sightings:
                seen = sightings.with_header(HeaderDigest(header))
                ours = frozenset(one.mailbox for one in seen if sightings.account(one.mailbox) == self._account)
            yield from _match_group(place._replace(account=ours), list(group), seen)

    def _proved(self, opened: OpenMailbox, matches: Sequence[Match], nameless: Container[RemoteUid]) -> Iterator[Link]:
        """Yield the links of those matches that need no more than header and size, or whose texts are alike.

        ``nameless`` have no Message-ID: then a file's word alone is not enough.
        """
        doubtful = [match for match in matches if match.message.uid in nameless and _is_a_files_word(match)]
        begun = beginnings(opened, [match.message.uid for match in doubtful])
        unlike = {match.message.uid for match in doubtful if not self._begins_alike(match, begun)}
        for match in matches:
            is_alike = match.message.uid not in unlike
            if is_alike and (match.by != BY_SAMPLE or self._ends_alike(opened, match.message.uid, match.seen)):
                yield Link(match.message, match.seen.digest, match.by)

    def _begins_alike(self, match: Match, begun: Mapping[RemoteUid, bytes]) -> bool:
        """Compare how a text begins at the server with that in the archive."""
        theirs = begun.get(match.message.uid)
        if theirs is None:
            return False
        try:
            ours = beginning_of_text(self._read(match.seen.digest), BEGINNING)
        except ArchiveDamaged:
            return False
        theirs = theirs.rstrip(b"\r\n")
        return ours.startswith(theirs) and bool(theirs) == bool(ours.strip(b"\r\n"))

    def _ends_alike(self, opened: OpenMailbox, uid: RemoteUid, seen: Sighting) -> bool:
        """Compare the end of a message at the server, whose size is not told truly, with that in the archive."""
        start = max(0, seen.size - SAMPLE)
        try:
            ours = _tail(self._read(seen.digest), seen.size - start)
            theirs = b""
            for piece in opened.pieces(uid, start):
                theirs += piece
                if len(theirs) > len(ours):
                    break
            return theirs == ours
        except (FetchRefused, ArchiveDamaged):
            return False


def _match_group(place: Place, group: Sequence[MessageFacts], seen: Sequence[Sighting]) -> Iterator[Match]:
    """Match messages with the same header and size, if it is clear which is which.

    A known message stands for no more messages of a mailbox than it had placements in another, or in this one
    before: those that stay here are such messages too. One that is known as it is comes before one whose form it is.
    """
    chosen: list[Match] = []
    for message in group:
        fitting = [one for one in seen if _fits(message, one, place)]
        best = [one for one in fitting if not one.is_form] or fitting
        if len({one.digest for one in best}) == 1:
            one = min(best, key=lambda one: (one.by == BY_IMPORT, one.date != message.internaldate))
            chosen.append(Match(message, one, _how(message, one)))
    used = Counter(match.seen.digest for match in chosen)
    used.update(one.digest for one in seen if _stays(one, place))
    for match in chosen:
        if used[match.seen.digest] <= _most_in_one_mailbox(seen, match.seen.digest, place):
            yield match


def _is_a_files_word(match: Match) -> bool:
    """Return whether only a file says that there is such a message, and not that it came in the same second."""
    date = match.message.internaldate
    return match.seen.by == BY_IMPORT and (date is None or date != match.seen.date)


def _how(message: MessageFacts, seen: Sighting) -> str:
    """Return how a message is recognised whose header is that of a known one."""
    if seen.by in {BY_IMPORT, BY_VARIANT} and not _is_named_otherwise(message, seen):
        return BY_HEADER if message.size == seen.size and not seen.is_form else BY_VARIANT
    return BY_SAMPLE if _lied(message, seen) or _is_named_otherwise(message, seen) else BY_HEADER


def _lied(message: MessageFacts, seen: Sighting) -> bool:
    """Return whether a size is not the true one; POP3 (no dates) has no other, and tells the same one each time."""
    return message.size != seen.size and (message.internaldate, seen.date) != (None, None)


def _is_named_otherwise(message: MessageFacts, seen: Sighting) -> bool:
    """Return whether the account-wide ids differ: two messages, or a server that has new ids for all."""
    return None not in {message.account_id, seen.account_id} and message.account_id != seen.account_id


def _looks(message: MessageFacts) -> Looks | None:
    return None if message.size is None else (message.size, message.internaldate)


def _is_there_too(seen: Sighting, place: Place) -> bool:
    """Return whether the server shows another message of the account, which no new numbering has just ended."""
    return seen.present and seen.mailbox in place.account and seen.mailbox != place.here[0]


def _stays(seen: Sighting, place: Place) -> bool:
    """Return whether a placement is in the mailbox together with the new message, so that it must be another one."""
    return seen.present and (seen.mailbox, seen.uidvalidity) == place.here and seen.uid not in place.leaving


def _fits(message: MessageFacts, seen: Sighting, place: Place) -> bool:
    if _stays(seen, place) or (_is_named_otherwise(message, seen) and _is_there_too(seen, place)):
        return False
    if message.size not in {seen.size, seen.said_size}:
        return False
    is_untold = seen.by == BY_IMPORT or None in {message.internaldate, seen.date}
    return message.internaldate == seen.date or (is_untold and not _is_draft(message))


def _is_draft(message: MessageFacts) -> bool:
    r"""Return whether it is a draft (\Draft, RFC 9051 section 2.3.2): its text may change and its header stay."""
    return "\\draft" in {name.lower() for name in (*message.flags, *message.labels)}


def _most_in_one_mailbox(seen: Sequence[Sighting], digest: Digest, place: Place) -> int:
    """Return the most placements that a message had in one mailbox; what stays here is no proof of another one."""
    others = [one for one in seen if one.digest == digest and not _stays(one, place)]
    return max(Counter((one.mailbox, one.uidvalidity) for one in others).values(), default=0)


def _tail(pieces: Iterator[bytes], count: int) -> bytes:
    kept = b""
    for piece in pieces:
        kept = (kept + piece)[-count:] if count else b""
    return kept
