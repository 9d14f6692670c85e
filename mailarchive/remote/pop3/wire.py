"""The POP3 wire (RFC 1939 section 3): commands out, as many ahead as wanted, and their answers in order."""

import re
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mailarchive.errors import ConnectionLost, ProtocolViolation, SourceError
from mailarchive.mail.body import MemoryBody
from mailarchive.model import Body
from mailarchive.remote.pop3.incoming import Incoming
from mailarchive.remote.receiving import LARGEST_IN_MEMORY, Spool, spooled
from mailarchive.remote.tls import Certificate
from mailarchive.remote.transport import Transport
from mailarchive.remote.words import printable

LONGEST_LISTING = 128 << 20
LONGEST_TEXT = 4 << 30
QUIET_SECONDS = 2.0

_STATUS = re.compile(rb"(\+OK|-ERR)(?: +|(?=\[)|\Z)", re.IGNORECASE)
_CODE = re.compile(rb"\[([A-Za-z0-9/_.-]+)\] *")


@dataclass(frozen=True, slots=True)
class Status:
    """An answer: ``code`` is the response code in capitals (RFC 2449 section 8), empty if there is none."""

    ok: bool
    code: str
    words: str
    text: bytes
    """What follows +OK or -ERR."""


@dataclass(slots=True)
class Pace:
    """How commands are sent to an account, over all connections to it."""

    is_one_by_one: bool = False
    """Whether it was once not clear where a text ends, with answers behind it: no command is sent ahead any more."""


class Wire:
    """One connection. Every method raises ConnectionLost, Stalled or ProtocolViolation when it is of no more use."""

    def __init__(self, sock: socket.socket, peer: str, pace: Pace) -> None:
        self.peer = peer
        self.challenge = b""
        """What AUTH was last asked."""
        self._pace = pace
        self._transport = Transport(sock, peer)
        self._incoming = Incoming(self._transport, peer, min(QUIET_SECONDS, (sock.gettimeout() or 60.0) / 2))
        self._expected: deque[bool] = deque()
        """For each answer on its way whether a text follows it."""
        self._closed = False

    @property
    def certificate(self) -> Certificate | None:
        """What the server showed when TLS was set up; None without TLS."""
        return self._transport.certificate

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return self._incoming.is_empty

    @property
    def has_more(self) -> bool:
        """Whether more has arrived than was read from the socket."""
        return self._transport.has_more

    def start(self, *commands: bytes, text: bool = False) -> None:
        """Send commands at once; ``text`` says whether text follows +OK."""
        self._expected.extend(text for _ in commands)
        self._transport.send(b"".join(command + b"\r\n" for command in commands))

    def answer(self) -> Status:
        """Return how the oldest command is answered; if a text follows, it must be read next."""
        line = self._incoming.line()
        status = self._status(line)
        if not (status.ok and self._expected and self._expected[0]):
            self._expected.popleft()
        return status

    def greeting(self) -> Status:
        """Return what the server says first."""
        return self._status(self._incoming.line())

    def run(self, command: bytes) -> Status:
        """Send a command that is answered in one line, and return the answer."""
        self.settle()
        self.start(command)
        return self.answer()

    def challenged(self) -> Status | None:
        """Return the answer of AUTH, or None if the server waits for more (RFC 5034 section 4)."""
        line = self._incoming.line()
        if line == b"+" or line.startswith(b"+ "):
            self.challenge = line[1:].strip()
            return None
        self._expected.popleft()
        return self._status(line)

    def reply(self, line: bytes) -> None:
        """Send a line within AUTH."""
        self._transport.send(line + b"\r\n")

    def text(self, size: int | None = None) -> Iterator[bytes]:
        """Yield the text after an answer in pieces; it must be read to its end.

        A text of ``size`` octets is believed to be one, whatever is in it.
        """
        come = 0
        for piece in self._incoming.text(alone=len(self._expected) == 1):
            come += len(piece)
            if come > LONGEST_TEXT:
                raise self._endless()
            yield piece
        self._expected.popleft()
        if self._incoming.is_doubtful and self._expected and come != size:
            self._pace.is_one_by_one = True
            raise self.violation(f"it is not clear where a message of {self.peer} ends")

    def wait(self) -> None:
        """Wait until something has come that has not been read."""
        self._incoming.wait()

    def whole_texts(self, sizes: Iterable[int | None]) -> list[bytes]:
        """Return the texts of the next answers, as far as they have come whole; at most one for each of ``sizes``."""
        texts = self._incoming.whole_texts(sizes)
        for _text in texts:
            self._expected.popleft()
        return texts

    def lines(self) -> list[bytes]:
        """Return the lines of the text after an answer."""
        lines: list[bytes] = []
        left = LONGEST_LISTING
        for come in self._incoming.listing():
            left -= sum(map(len, come)) + len(come)
            if left < 0:
                raise self._endless()
            lines += come
        self._expected.popleft()
        return lines

    def head(self, limit: int) -> bytes:
        """Return the first ``limit`` octets of the text after an answer."""
        pieces: list[bytes] = []
        size = 0
        for piece in self.text():
            if size < limit:
                pieces.append(piece[: limit - size])
                size += len(pieces[-1])
        return b"".join(pieces)

    def body(self, spool: Spool, size: int | None = None) -> Body:
        """Return the text after an answer, in memory or spooled; ``size`` as for ``text``. Raises StorageFailed."""
        text = self.text(size)
        begun: list[bytes] = []
        size = 0
        for piece in text:
            begun.append(piece)
            size += len(piece)
            if size > LARGEST_IN_MEMORY:
                return spooled(chain(begun, text), spool, self._transport.cut)
        return MemoryBody(b"".join(begun))

    def settle(self) -> None:
        """Read away what is still to come for commands that were sent."""
        while self._expected:
            has_text = self._expected[0]
            if self.answer().ok and has_text:
                for _piece in self.text():
                    pass

    def check(self) -> None:
        """Raise ConnectionLost if the connection was ended from this side."""
        if self._closed:
            raise ConnectionLost(f"the connection to {self.peer} was closed")

    def quit(self) -> None:
        """End the session by QUIT if all has been answered, else without a word; never raises, from any thread."""
        if not self._expected and not self._closed:
            self._closed = True
            try:
                self.start(b"QUIT")
                self.answer()
            except SourceError:
                pass
        self.abandon()

    def abandon(self) -> None:
        """End the connection without a word; never raises, from any thread."""
        self._closed = True
        self._transport.cut()

    def violation(self, sentence: str) -> ProtocolViolation:
        """Return the error for something that the protocol does not allow; the connection is cut."""
        self._transport.cut()
        return ProtocolViolation(sentence)

    def _endless(self) -> ProtocolViolation:
        return self.violation(f"{self.peer} does not stop answering: it sent far more than one command can ask for")

    def _status(self, line: bytes) -> Status:
        match = _STATUS.match(line)
        if match is None:
            raise self.violation(f"{self.peer} sent a line that is no POP3 answer: {printable(line, 80)}")
        text = line[match.end() :]
        code = _CODE.match(text)
        words = printable(text[code.end() :] if code else text) or printable(line)
        return Status(match[1].upper() == b"+OK", code[1].decode().upper() if code else "", words, text)
