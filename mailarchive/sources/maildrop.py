"""Names for the messages of a POP3 maildrop that last longer than a session, whatever UIDL says."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mailarchive.errors import FetchRefused
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.digest import header_digest_of
from mailarchive.model import Fetched, RemoteUid
from mailarchive.remote.meter import check_count
from mailarchive.remote.pop3 import Pop3Session
from mailarchive.sources.base import Spool

HELD_OCTETS = 32 << 20
"""Of messages that had to be read to be named, and so need not be read again."""

_LONGEST_NAME = 512
"""RFC 1939 section 7 allows 70 octets of printable ASCII; a longer or stranger name that is unique serves as well."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OURS = re.compile(r"(?:header|body|unnamed):")


class Maildrop:
    """What one session shows. ``uids`` are in listing order.

    A message is called what UIDL calls it; if that is nothing, or what another is called too, by the digest of its
    header and its size; if its header cannot be had, by the digest of its octets. Messages that are alike in
    these are told apart by their order.
    """

    def __init__(self, session: Pop3Session) -> None:
        """Ask for everything that the names need. Raises MailboxUnavailable if there is too much of it."""
        self.messages = session.messages
        self.sizes = session.sizes()
        self.unnamed: dict[RemoteUid, str] = {}
        """Why nothing is known of these messages but their place."""
        self._session = session
        self._held: dict[int, bytes] = {}
        check_count("INBOX", self.messages or 0)
        given = session.names()
        numbers = sorted(self.sizes.keys() | given.keys()) or list(range(1, (self.messages or 0) + 1))
        if self.messages is None:
            self.messages = len(numbers)
        names = _usable(given)
        self._refusal = ""
        for by in (self._by_header, self._by_body):
            if nameless := [number for number in numbers if number not in names]:
                names |= by(nameless)
        taken: Counter[str] = Counter()
        self.numbers: dict[RemoteUid, int] = {}
        for number in numbers:
            name = names.get(number) or f"unnamed:{self.sizes.get(number, 0)}"
            taken[name] += 1
            uid = name if taken[name] == 1 else f"{name}:{taken[name]}"
            self.numbers[uid] = number
            if number not in names:
                self.unnamed[uid] = self._refusal

    def _by_header(self, numbers: Sequence[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        try:
            for number, octets in self._session.headers(numbers):
                if octets.strip():  # an empty header tells nothing
                    digest = header_digest_of(octets).hex()
                    found[number] = f"header:{digest}:{self.sizes.get(number, 0)}"
        except FetchRefused:
            return found
        return found

    def _by_body(self, numbers: Sequence[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        room = HELD_OCTETS
        try:
            for number, pieces in self._session.texts(numbers):
                digest, held, size = hashlib.sha256(), list[bytes](), 0
                for piece in pieces:
                    digest.update(piece)
                    size += len(piece)
                    if size <= room:
                        held.append(piece)
                if size <= room:
                    self._held[number] = b"".join(held)
                    room -= size
                found[number] = f"body:{digest.hexdigest()}"
        except FetchRefused as error:
            self._refusal = str(error)
        return found

    def bodies(self, uids: Iterable[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        """Yield the messages of ``uids`` that there are, each once. Raises FetchRefused at the end."""
        wanted = {self.numbers[uid]: uid for uid in uids if uid in self.numbers}
        to_ask: list[int] = []
        for number, uid in wanted.items():
            if number in self._held:
                yield Fetched(uid, MemoryBody(self._held.pop(number)))
            elif uid not in self.unnamed:
                to_ask.append(number)
        for come in self._session.bodies(to_ask, spool):
            for number, body in come[:-1]:
                yield Fetched(wanted[number], body, followed=True)
            number, body = come[-1]
            yield Fetched(wanted[number], body)
        if unnamed := [uid for uid in wanted.values() if uid in self.unnamed]:
            raise FetchRefused(self.unnamed[unnamed[0]])

    def headers(self, uids: Iterable[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        """Yield the header sections of those of ``uids`` that there are. Raises FetchRefused at the end."""
        wanted = {self.numbers[uid]: uid for uid in uids if uid in self.numbers}
        for number, octets in self._session.headers(list(wanted)):
            yield wanted[number], octets

    def beginnings(self, uids: Iterable[RemoteUid], count: int) -> Iterator[tuple[RemoteUid, bytes]]:
        """Yield how the texts of those of ``uids`` that there are begin. Raises FetchRefused at the end."""
        wanted = {self.numbers[uid]: uid for uid in uids if uid in self.numbers}
        for number, octets in self._session.beginnings(list(wanted), count):
            yield wanted[number], octets


def _usable(given: Mapping[int, bytes]) -> dict[int, str]:
    """Return the names that tell one message from all others, and cannot be taken for one of ours."""
    counts = Counter(given.values())
    found = {number: octets.decode("latin-1") for number, octets in given.items() if counts[octets] == 1}
    return {number: name for number, name in found.items() if _is_name(name)}


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and not _CONTROL.search(name) and not _OURS.match(name)
