"""One logged-in POP3 session: the commands that read and none that changes anything; never DELE."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from mailarchive.config import Endpoint
from mailarchive.errors import FetchRefused, SourceError
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.digest import HEADER_LIMIT, header_section
from mailarchive.model import Body
from mailarchive.remote import throttling
from mailarchive.remote.dial import Timeouts
from mailarchive.remote.pop3.ahead import MOST, Ahead
from mailarchive.remote.pop3.connect import Capabilities, capabilities, connect, told_capabilities
from mailarchive.remote.pop3.login import Password, log_in
from mailarchive.remote.pop3.wire import Pace, Status, Wire
from mailarchive.remote.receiving import Spool

_T = TypeVar("_T")

_DIGITS = 9
_USUAL_LINE = 78
"""Octets of a line (RFC 5322 section 2.1.1)."""


class Pop3Session:
    """A connection to a POP3 server after log-in; what it shows does not change until it ends.

    Messages have numbers that are good for this session only. Methods raise ConnectionLost, Stalled or
    ProtocolViolation when the connection is of no more use.
    """

    def __init__(
        self, endpoint: Endpoint, password: Password, timeouts: Timeouts | None = None, pace: Pace | None = None
    ) -> None:
        """Connect and log in. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation."""
        self._pace = pace or Pace()
        self._asked: deque[bytes] = deque()
        """Commands about the maildrop as a whole that are on their way."""
        self._sizes: dict[int, int] = {}
        connected = connect(endpoint, timeouts or Timeouts(), self._pace)
        self._offered = connected.capabilities
        self._wire: Wire = connected.wire
        try:
            log_in(connected, endpoint, password)
        except BaseException:
            self._wire.abandon()
            raise

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the server can do now. Where it takes many commands at once it is asked what it shows as well."""
        if "PIPELINING" not in self._offered or self._pace.is_one_by_one:
            return capabilities(self._wire) or self._offered
        self._wire.start(b"CAPA", text=True)
        self._wire.start(b"STAT")
        self._wire.start(b"LIST", b"UIDL", text=True)
        self._asked.extend((b"STAT", b"LIST", b"UIDL"))
        return told_capabilities(self._wire) or self._offered

    @property
    def has_more(self) -> bool:
        """Whether more has arrived than was read from the socket."""
        return self._wire.has_more

    @property
    def _takes_many(self) -> bool:
        return "PIPELINING" in self.capabilities and not self._pace.is_one_by_one

    def _answer(self, command: bytes, *, text: bool = False) -> Status:
        """Return the answer to a command, which perhaps is on its way."""
        if self._takes_many and self._asked and self._asked[0] == command:
            self._asked.popleft()
        else:
            self._settle()
            self._wire.start(command, text=text)
        return self._wire.answer()

    def _settle(self) -> None:
        """Read away what is still to come; if it is wanted later it is asked for again."""
        self._asked.clear()
        self._wire.settle()

    @cached_property
    def messages(self) -> int | None:
        """How many messages there are by STAT; None if the server does not say."""
        status = self._answer(b"STAT")
        count = status.text.partition(b" ")[0]
        return _number(count) if status.ok else None

    @property
    def is_google(self) -> bool:
        """Whether this is Gmail, which shows a part of the mail: about 250 messages that were not fetched before."""
        return any(name.startswith("X-GOOGLE-") for name in self.capabilities)

    def sizes(self) -> dict[int, int]:
        """Return the size of each message by LIST, which may lie; nothing if the server refuses."""
        found: dict[int, int] = {}
        for number, rest in self._listing(b"LIST").items():
            found[number] = _number(rest.partition(b" ")[0]) or 0
        self._sizes = found
        return found

    def names(self) -> dict[int, bytes]:
        """Return what UIDL calls each message; nothing if the server refuses."""
        return self._listing(b"UIDL")

    def _listing(self, command: bytes) -> dict[int, bytes]:
        if not self._answer(command, text=True).ok:
            return {}
        found: dict[int, bytes] = {}
        for line in self._wire.lines():
            word, _space, rest = line.strip().partition(b" ")
            if (number := _number(word)) is not None:
                found[number] = rest.strip()
        return found

    def headers(self, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield header sections (TOP n 0), cut to 1 MiB. Raises FetchRefused at the end."""
        for number, octets in self._tops(numbers, 0):
            yield number, header_section(octets)

    def beginnings(self, numbers: Sequence[int], count: int) -> Iterator[tuple[int, bytes]]:
        """Yield how texts begin, at most ``count`` octets of usual lines. Raises FetchRefused at the end."""
        for number, octets in self._tops(numbers, count // _USUAL_LINE + 1):
            yield number, octets[len(header_section(octets)) :][:count]

    def _tops(self, numbers: Sequence[int], lines: int) -> Iterator[tuple[int, bytes]]:
        """Yield what TOP (RFC 1939 section 7) shows, cut to 1 MiB."""
        if self.capabilities and "TOP" not in self.capabilities:
            raise FetchRefused("the server has no TOP: it does not show headers alone")
        commands = {number: b"TOP %d %d" % (number, lines) for number in numbers}
        for come in self._each(commands, {}, lambda _size: self._wire.head(HEADER_LIMIT), bytes):
            yield from come

    def bodies(self, numbers: Sequence[int], spool: Spool) -> Iterator[list[tuple[int, Body]]]:
        """Yield messages (RETR), those that came together in one list. Raises FetchRefused at the end."""
        commands = {number: b"RETR %d" % number for number in numbers}
        return self._each(commands, self._sizes, lambda size: self._wire.body(spool, size), MemoryBody)

    def texts(self, numbers: Sequence[int]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield messages (RETR) piece by piece; each must be read to its end. Raises FetchRefused at the end."""
        commands = {number: b"RETR %d" % number for number in numbers}
        for [come] in self._each(commands, self._sizes, self._wire.text):
            yield come

    def _each(
        self,
        commands: Mapping[int, bytes],
        sizes: Mapping[int, int],
        take: Callable[[int | None], _T],
        made: Callable[[bytes], _T] | None = None,
    ) -> Iterator[list[tuple[int, _T]]]:
        """Yield for each command what ``take`` reads, given its size, with many on their way.

        What has come whole behind it is in the same list, ``made`` from the octets; without ``made`` the text must be
        read before the next is asked for. Raises FetchRefused at the end if any was refused.
        """
        wire = self._wire
        refused: Status | None = None
        ahead = Ahead(wire, commands, sizes, MOST if self._takes_many else 1)
        self._settle()

        def whole() -> list[tuple[int, _T]]:
            if made is None:
                return []
            return [(ahead.answered(), made(octets)) for octets in wire.whole_texts(ahead.sizes())]

        while ahead.send():
            wire.wait()
            come = whole()
            if not come:
                number = ahead.answered()
                status = wire.answer()
                if status.ok:
                    come.append((number, take(sizes.get(number))))
                    come += whole()
                else:
                    refused = refused or status
                    if demand := throttling.demand(wire.peer, "NO", status.code, status.words):
                        raise demand
            if come:
                yield come
        if refused is not None:
            raise FetchRefused(f"the server refused to send messages: {refused.words}", code=refused.code)

    def check(self) -> None:
        """Raise ConnectionLost after ``close``."""
        self._wire.check()

    def leave(self) -> None:
        """Say QUIT if all has been answered, and end the connection; never raises."""
        if self._asked:
            with contextlib.suppress(SourceError):
                self._settle()
        self._wire.quit()

    def close(self) -> None:
        """End the connection without a word; never raises, from any thread."""
        self._wire.abandon()


def _number(word: bytes) -> int | None:
    return int(word) if word.isdigit() and len(word) <= 2 * _DIGITS else None
