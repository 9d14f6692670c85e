"""The IMAP wire (RFC 9051 section 2.2): commands out with our own tags, responses in whole, whatever their length."""

import contextlib
import io
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mailarchive.errors import ConnectionLost, ProtocolViolation, SourceError, Throttled
from mailarchive.mail.body import CHUNK
from mailarchive.remote import throttling
from mailarchive.remote.compression import Throughput
from mailarchive.remote.imap.responses import Status, Untagged, read_status
from mailarchive.remote.imap.scan import Part
from mailarchive.remote.meter import Meter
from mailarchive.remote.receiving import LARGEST_IN_MEMORY, Spool, spooled
from mailarchive.remote.tls import Certificate
from mailarchive.remote.transport import Transport
from mailarchive.remote.words import printable

BUFFER = 1 << 20
LONGEST_LINE = 64 << 20

_LITERAL = re.compile(rb"~?\{(\d{1,19})\+?\}\r?\n\Z")
_UNTAGGED = re.compile(rb"\* (?:(\d{1,10}) )?([A-Za-z][A-Za-z0-9-]*)(?= |\(|\r?\n)")
_TAGGED = re.compile(rb"(A\d{1,9}) (OK|NO|BAD)(?= |\r?\n)", re.IGNORECASE)
_STATUSES = frozenset({b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"})
_SAFE_IN_QUOTES = re.compile(rb"[\x20-\x7e]*")


class Literal(bytes):
    """A string that goes over the wire as a literal (RFC 9051 section 4.3)."""

    __slots__ = ()
    mark = b""


class Literal8(Literal):
    """A literal that may hold NUL (RFC 3516 section 4.4)."""

    __slots__ = ()
    mark = b"~"


class Stream(NamedTuple):
    """A literal too large for memory: ``size`` octets, in pieces. It waits for the server's go-ahead."""

    size: int
    chunks: Iterable[bytes]
    mark: bytes = b""


Piece = bytes | Stream


def astring(octets: bytes) -> bytes:
    """Return ``octets`` quoted, or as a Literal if they are more than printable ASCII."""
    if _SAFE_IN_QUOTES.fullmatch(octets):
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return Literal(octets)


class Wire:
    """One connection. Every method raises ConnectionLost, Stalled or ProtocolViolation when it is of no more use.

    ``exists`` is the number of messages in the selected mailbox, kept up to date by EXISTS and
    EXPUNGE; None until the server said it. Untagged data that nobody asked for is tolerated
    everywhere, as long as it comes to an end. ``is_logging_in`` makes a BYE say that nobody is let in.
    ``challenge`` is what came with the last ``+``.
    ``is_due`` says whether ``before_mail`` should be called before more mail is asked for, once nothing is in flight.
    """

    def __init__(self, sock: socket.socket, peer: str, early: bytes = b"") -> None:
        self.peer = peer
        self.exists: int | None = None
        self.challenge = b""
        self.literal_plus = 0
        self.is_logging_in = False
        self.is_due: Callable[[], bool] = bool  # False
        self.before_mail: Callable[[], None] | None = None
        self._transport = Transport(sock, peer, early)
        self._stream = io.BufferedReader(self._transport, BUFFER)
        self._number = 0
        self._waiting: set[bytes] = set()
        self._unwanted: set[bytes] = set()
        self._done: dict[bytes, Status] = {}
        self._go_ahead = False
        self._closed = False
        self._meter = Meter()
        self._slowness: Throttled | None = None

    @property
    def certificate(self) -> Certificate | None:
        """What the server showed when TLS was set up; None without TLS."""
        return self._transport.certificate

    @property
    def idle(self) -> bool:
        """Whether every command has been answered."""
        return not self._waiting

    @property
    def has_more(self) -> bool:
        """Whether more has arrived than was read from the socket."""
        return self._transport.has_more

    @property
    def stream(self) -> "io.BufferedReader[Transport]":
        """The incoming octets; for reading the usual answers without detours (see ``accept``)."""
        return self._stream

    @property
    def throughput(self) -> Throughput | None:
        """What is told how fast mail comes, if anybody wants to know."""
        return self._transport.throughput

    @throughput.setter
    def throughput(self, throughput: Throughput | None) -> None:
        self._transport.throughput = throughput

    def compress(self, doubt: Callable[[], None]) -> None:
        """Send and read raw deflate, right behind the answer that was read last (RFC 4978 section 3).

        ``doubt`` is called if the server turns out not to master it.
        """
        self._transport.compress(self._stream, doubt)

    def deselect(self) -> None:
        """Know nothing of the mailbox that was selected."""
        self.exists = None

    def goes_at_once(self, octets: bytes) -> bool:
        """Return whether ``octets`` can be sent without waiting for a go-ahead (LITERAL+, LITERAL-: RFC 7888)."""
        return not isinstance(octets, Literal) or (self.literal_plus > 0 and len(octets) <= self.literal_plus)

    def start(self, *pieces: Piece) -> bytes:
        """Send a command and return its tag.

        A Literal that does not go at once, and a Stream, waits for the server, and untagged data that comes
        in the meantime is dropped; so nothing that is answered by such data may be in flight then. What the pieces
        of a Stream raise goes through, and the connection is cut.
        """
        if self.throughput is not None:
            self.throughput.asked(ahead=not self.idle)
        self._number += 1
        tag = b"A%d" % self._number
        self._waiting.add(tag)
        line = bytearray(tag + b" ")
        for piece in pieces:
            if isinstance(piece, Literal) and self.goes_at_once(piece):
                line += b"%s{%d+}\r\n" % (piece.mark, len(piece))
                line += piece
            elif isinstance(piece, Literal | Stream):
                size = piece.size if isinstance(piece, Stream) else len(piece)
                line += b"%s{%d}\r\n" % (piece.mark, size)
                self._transport.send(line)
                if not self.go_ahead(tag):
                    return tag
                line = bytearray()
                if isinstance(piece, Stream):
                    self._send_stream(piece)
                else:
                    line += piece
            else:
                line += piece
        self._transport.send(line + b"\r\n")
        return tag

    def _send_stream(self, stream: Stream) -> None:
        try:
            for chunk in stream.chunks:
                self._transport.send(chunk)
        except BaseException:
            self._transport.cut()
            raise

    def ask_for_mail(self, command: bytes) -> bytes:
        """Send a command whose answers are as many octets as the server can send, and return its tag."""
        if self.before_mail is not None and self.idle and self.is_due():
            self.before_mail()
        tag = self.start(command)
        if self.throughput is not None:
            self.throughput.expect_mail()
        return tag

    def send_line(self, octets: bytes) -> None:
        """Send one line within a command (RFC 9051 section 6.2.2)."""
        self._transport.send(octets + b"\r\n")

    def go_ahead(self, tag: bytes) -> bool:
        """Wait for ``+``; return False if the command ended instead."""
        self._go_ahead = False
        while not self._go_ahead and tag in self._waiting:
            self.accept(self.line())
        return self._go_ahead

    def done(self, tag: bytes) -> bool:
        """Return whether the command has been answered."""
        return tag not in self._waiting

    def result(self, tag: bytes, *, of_account: bool = False, of_room: bool = False) -> Status:
        """Return how a command that is done ended.

        Raises Throttled if the server refused it and asks for patience (see ``throttling.demand``). If it did what it
        was asked, and asks for patience, that is kept for ``heed``.
        """
        status = self._done.pop(tag)
        demand = throttling.demand(
            self.peer, status.kind.decode(), status.code, status.words, of_account=of_account, of_room=of_room
        )
        if isinstance(demand, Throttled) and demand.answered:
            self._slowness = demand
        elif demand is not None:
            raise demand
        return status

    @property
    def is_asked_to_slow_down(self) -> bool:
        """Whether there is something to ``heed``."""
        return self._slowness is not None

    def heed(self) -> None:
        """Raise the Throttled, ``answered``, that came with an answer, once: at a moment when waiting costs nothing."""
        slowness, self._slowness = self._slowness, None
        if slowness is not None:
            raise slowness

    def forget(self, tag: bytes) -> None:
        """Take no more interest in how the command ends."""
        if tag in self._waiting:
            self._unwanted.add(tag)
        self._done.pop(tag, None)

    def until(self, tag: bytes) -> Iterator[Untagged]:
        """Yield untagged responses until the command is done."""
        while tag in self._waiting:
            data = self.accept(self.line())
            if data is not None:
                yield data

    def collect(self, tag: bytes) -> list[Untagged]:
        """Return the untagged responses up to the end of the command; not more than fit into memory."""
        found: list[Untagged] = []
        meter = Meter()
        for data in self.until(tag):
            if not meter.allows(data.octets, 0):
                raise self._endless()
            found.append(data)
        return found

    def run(self, *pieces: Piece, of_account: bool = False) -> tuple[Status, list[Untagged]]:
        """Send a command, and return how it ended with the untagged responses on the way. Raises as ``result``."""
        tag = self.start(*pieces)
        answers = self.collect(tag)
        return self.result(tag, of_account=of_account), answers

    def settle(self, but_for: bytes | None = None) -> None:
        """Read away what is still to come for commands that were sent; one of them may be answered later."""
        while self._waiting - {but_for}:
            self.accept(self.line())

    def line(self) -> bytes:
        """Return the next line with its end."""
        line = self._stream.readline(LONGEST_LINE)
        if line.endswith(b"\n"):
            return line
        raise self.broken(line)

    def accept(self, line: bytes, spool: Spool | None = None) -> Untagged | None:
        """Finish reading the response that begins with ``line``; return it if it is untagged data.

        Literals larger than ``LARGEST_IN_MEMORY`` go to ``spool``. Raises StorageFailed if that fails.
        """
        self.count(len(line))
        match = _UNTAGGED.match(line)
        if match is not None:
            return self._untagged(match, line, spool)
        tagged = _TAGGED.match(line)
        if tagged is not None and tagged[1] in self._waiting:
            self._complete(tagged[1], read_status(tagged[2].upper(), line[tagged.end() :]))
        elif line.startswith(b"+"):
            self._go_ahead, self.challenge = True, line[1:].strip()
        elif line.strip():
            raise self.violation(f"{self.peer} sent a line that is no IMAP response: {printable(line, 80)}")
        return None

    def count(self, octets: int) -> None:
        """Count one response of ``octets``. Raises ProtocolViolation when there is no end of them."""
        if not self._meter.allows(octets, self.exists or 0):
            raise self._endless()

    def _endless(self) -> ProtocolViolation:
        return self.violation(f"{self.peer} does not stop answering: it sent far more than one command can ask for")

    def octets(self, size: int) -> bytes:
        """Return the next ``size`` octets."""
        octets = self._stream.read(size)
        if len(octets) != size:
            raise self.broken()
        return octets

    def broken(self, line: bytes = b"") -> SourceError:
        """Return the error for a stream that ended, or for a line that does not."""
        if len(line) >= LONGEST_LINE:
            return self.violation(f"{self.peer} sent a line of more than {LONGEST_LINE >> 20} MiB")
        self._transport.cut()
        return ConnectionLost(f"{self.peer} ended the connection")

    def violation(self, sentence: str) -> ProtocolViolation:
        """Return the error for something that the protocol does not allow; the connection is cut."""
        self._transport.cut()
        return ProtocolViolation(sentence)

    def close(self) -> None:
        """End the connection, with LOGOUT if nothing is in flight; never raises, from any thread."""
        if self.idle and not self._closed:
            self._closed = True
            with contextlib.suppress(SourceError):
                self._transport.send(b"Z LOGOUT\r\n")
        self._transport.cut()

    def resume(self, line: bytes, octets: bytes, after: bytes, spool: Spool) -> Untagged | None:
        """Finish a response of which a line, the literal at its end and the line behind that have been read."""
        match = _UNTAGGED.match(line)
        if match is None or not after.endswith(b"\n"):
            raise self.broken(after)
        marker = _LITERAL.search(line)
        head = line[: marker.start()] if marker else line
        return Untagged(int(match[1] or 0), match[2].upper(), [head, octets, *self._parts(after, spool)], match.end())

    def _complete(self, tag: bytes, status: Status) -> None:
        self._meter.reset()
        self._waiting.discard(tag)
        if tag in self._unwanted:
            self._unwanted.discard(tag)
        else:
            self._done[tag] = status

    def _untagged(self, match: re.Match[bytes], line: bytes, spool: Spool | None) -> Untagged | None:
        number, name = int(match[1] or 0), match[2].upper()
        if name in _STATUSES:
            # Text for people: a brace at its end begins no literal.
            data = Untagged(number, name, [line.rstrip(b"\r\n")], match.end())
            self._listen(data.status())
            return data
        if name == b"EXISTS":
            self.exists = number
        elif name == b"EXPUNGE" and self.exists:
            self.exists -= 1
        return Untagged(number, name, self._parts(line, spool), match.end())

    def _listen(self, said: Status) -> None:
        """Note what the server says of itself; a BYE ends the connection."""
        if said.kind == b"BYE":
            self._transport.cut()
            raise throttling.demand(
                self.peer, "BYE", said.code, said.words, of_account=self.is_logging_in
            ) or ConnectionLost(f"{self.peer} ended the connection: {said.words}")
        self._slowness = throttling.slowness(self.peer, said.code, said.words) or self._slowness

    def _parts(self, line: bytes, spool: Spool | None) -> list[Part]:
        parts: list[Part] = []
        held = 0
        while (marker := _LITERAL.search(line, max(0, len(line) - 25))) is not None:
            parts.append(line[: marker.start()])
            literal = self.literal(int(marker[1]), spool)
            parts.append(literal)
            held += len(line) + (len(literal) if isinstance(literal, bytes) else 0)
            if held > LONGEST_LINE:
                raise self.violation(f"{self.peer} sent a response of more than {LONGEST_LINE >> 20} MiB")
            line = self.line()
        parts.append(line.rstrip(b"\r\n"))
        return parts

    def literal(self, size: int, spool: Spool | None) -> Part:
        """Return the next ``size`` octets, in memory or spooled; nothing if they are too many and there is no spool."""
        if size <= LARGEST_IN_MEMORY:
            return self.octets(size)
        if spool is None:
            for _chunk in self._chunks(size):
                pass
            return b""
        return spooled(self._chunks(size), spool, self._transport.cut)

    def abandon(self) -> None:
        """End the connection without a word; never raises, from any thread."""
        self._closed = True
        self._transport.cut()

    def _chunks(self, size: int) -> Iterator[bytes]:
        while size:
            chunk = self.octets(min(size, CHUNK))
            size -= len(chunk)
            yield chunk
