"""One logged-in POP3 session: the commands that read and none that changes anything; never DELE."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from mailarchive.config import Endpoint
from mailarchive.errors import FetchRefused
from mailarchive.mail.digest import HEADER_LIMIT, header_section
from mailarchive.model import Body
from mailarchive.remote import throttling
from mailarchive.remote.dial import Timeouts
from mailarchive.remote.pop3.connect import capabilities, connect
from mailarchive.remote.pop3.login import Password, log_in
from mailarchive.remote.pop3.wire import Pace, Status, Wire
from mailarchive.remote.receiving import Spool

_T = TypeVar("_T")

AHEAD = 200
"""Commands on their way at most."""
OCTETS_AHEAD = 8 << 20
"""Octets of messages on their way at most, as LIST tells, unless it is one message."""
_DIGITS = 9


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
        connected = connect(endpoint, timeouts or Timeouts(), self._pace)
        self._wire: Wire = connected.wire
        try:
            log_in(connected, endpoint, password)
            self.capabilities = capabilities(self._wire) or connected.capabilities
        except BaseException:
            self._wire.abandon()
            raise
        self._has_top = not self.capabilities or "TOP" in self.capabilities
        self._sizes: dict[int, int] = {}

    @cached_property
    def messages(self) -> int | None:
        """How many messages there are by STAT; None if the server does not say."""
        status = self._wire.run(b"STAT")
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
        self._wire.settle()
        self._wire.start(command, text=True)
        if not self._wire.answer().ok:
            return {}
        found: dict[int, bytes] = {}
        for line in self._wire.lines():
            word, _space, rest = line.strip().partition(b" ")
            if (number := _number(word)) is not None:
                found[number] = rest.strip()
        return found

    def headers(self, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yield header sections (TOP n 0), cut to 1 MiB. Raises FetchRefused at the end."""
        if not self._has_top:
            raise FetchRefused("the server has no TOP: it does not show headers alone")
        commands = {number: b"TOP %d 0" % number for number in numbers}
        for number, octets in self._each(commands, lambda _size: self._wire.head(HEADER_LIMIT), {}):
            yield number, header_section(octets)

    def bodies(self, numbers: Sequence[int], spool: Spool) -> Iterator[tuple[int, Body]]:
        """Yield messages (RETR). Raises FetchRefused at the end."""
        commands = {number: b"RETR %d" % number for number in numbers}
        return self._each(commands, lambda size: self._wire.body(spool, size), self._sizes)

    def texts(self, numbers: Sequence[int]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield messages (RETR) piece by piece; each must be read to its end. Raises FetchRefused at the end."""
        return self._each({number: b"RETR %d" % number for number in numbers}, self._wire.text, self._sizes)

    def _each(
        self, commands: Mapping[int, bytes], take: Callable[[int | None], _T], sizes: Mapping[int, int]
    ) -> Iterator[tuple[int, _T]]:
        """Yield for each command what ``take`` reads, given its size, with many on their way (RFC 2449 section 6.6).

        Raises FetchRefused at the end if any was refused.
        """
        wire = self._wire
        refused: Status | None = None
        waiting, asked = deque(commands), deque[int]()
        ahead = AHEAD if "PIPELINING" in self.capabilities and not self._pace.is_one_by_one else 1
        octets = 0
        wire.settle()
        while waiting or asked:
            if len(asked) <= ahead // 2:
                batch: list[bytes] = []
                while waiting and len(asked) < ahead and (not asked or octets < OCTETS_AHEAD):
                    asked.append(waiting.popleft())
                    octets += sizes.get(asked[-1], 0)
                    batch.append(commands[asked[-1]])
                if batch:
                    wire.start(*batch, text=True)
            number = asked.popleft()
            octets -= sizes.get(number, 0)
            status = wire.answer()
            if status.ok:
                yield number, take(sizes.get(number))
            else:
                refused = refused or status
                if demand := throttling.demand(wire.peer, "NO", status.code, status.words):
                    raise demand
        if refused is not None:
            raise FetchRefused(f"the server refused to send messages: {refused.words}", code=refused.code)

    def check(self) -> None:
        """Raise ConnectionLost after ``close``."""
        self._wire.check()

    def leave(self) -> None:
        """Say QUIT if all has been answered, and end the connection; never raises."""
        self._wire.quit()

    def close(self) -> None:
        """End the connection without a word; never raises, from any thread."""
        self._wire.abandon()


def _number(word: bytes) -> int | None:
    return int(word) if word.isdigit() and len(word) <= 2 * _DIGITS else None
