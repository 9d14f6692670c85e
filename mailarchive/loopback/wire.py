"""One connection's octets: commands come in with their literals, answers go out, both counted."""

import contextlib
import io
import re
import selectors
import socket
import ssl
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from mailarchive.loopback.syntax import LITERAL, BadSyntax, Literal, Literal8, Parser, Token, word

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LONGEST_LINE = 1 << 20
_LARGEST_LITERAL = 1 << 28


class Hangup(Exception):
    """The connection is over."""


@dataclass(slots=True)
class Counts:
    """What clients asked of the server.

    ``commands`` are the command lines without tag, oldest first, literals as ``{n}``.
    ``body_fetches`` counts by (mailbox, UID) the FETCH answers that carried octets of the body,
    ``body_octets`` those octets; a partial FETCH counts like a whole one.
    ``appended`` and ``copied`` are the messages that APPEND and COPY put somewhere, ``append_octets``
    the octets that came as literals of APPEND, were they of use or not.
    """

    connections: int = 0
    commands: list[str] = field(default_factory=list)
    body_fetches: Counter[tuple[str, int]] = field(default_factory=Counter)
    body_octets: int = 0
    octets_sent: int = 0
    appended: int = 0
    copied: int = 0
    append_octets: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def clear(self) -> None:
        """Begin anew."""
        with self.lock:
            self.connections = self.body_octets = self.octets_sent = 0
            self.appended = self.copied = self.append_octets = 0
            self.commands.clear()
            self.body_fetches.clear()

    def body(self, mailbox: str, uid: int, size: int) -> None:
        """Count ``size`` octets of a message's body as sent."""
        with self.lock:
            self.body_fetches[mailbox, uid] += 1
            self.body_octets += size

    @property
    def appends(self) -> int:
        """How many APPEND commands came, refused ones too, but none whose literal was cut."""
        return self._commands("APPEND ")

    @property
    def copies(self) -> int:
        """How many COPY and UID COPY commands came."""
        return self._commands("COPY ", "UID COPY ")

    def _commands(self, *beginnings: str) -> int:
        return sum(command.upper().startswith(beginnings) for command in tuple(self.commands))


class Announced(NamedTuple):
    """A literal of which a command has told the size (RFC 3501 section 4.3, RFC 7888, RFC 3516)."""

    command: str
    """The first word of the command, in upper case."""
    size: int
    synchronising: bool
    binary: bool


class Gate(Protocol):
    """What decides on literals while a command is read."""

    def refusal(self, literal: Announced) -> str:
        """Return the tagged answer to a command with such a literal, without the tag; empty to take it."""

    def cut(self, literal: Announced) -> int | None:
        """Return after how many octets of the literal the connection ends; None if it does not."""

    def come(self, literal: Announced, octets: bytes) -> None:
        """See the octets of a literal. May raise Hangup."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it came in. ``name`` is upper-case and begins with ``UID `` where the client wrote it."""

    tag: str
    name: str
    arguments: list[Token]


class _Inflated(io.RawIOBase):
    """Reads a raw deflate stream."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source = source
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer)
        come = self._inflater.unconsumed_tail
        while not (octets := self._inflater.decompress(come, len(view))):
            if not (come := self._source.read1(1 << 16)):  # type: ignore[attr-defined]  # BinaryIO has no read1
                return 0
        view[: len(octets)] = octets
        return len(octets)


class Wire:
    """A client's connection. Every method but ``close`` belongs to the one thread that serves it."""

    def __init__(self, connection: socket.socket, counts: Counts, closing: threading.Event) -> None:
        self._socket = connection
        self._input: BinaryIO = connection.makefile("rb")
        self._deflater: zlib._Compress | None = None
        self._counts = counts
        self._closing = closing

    def send(self, *pieces: bytes | memoryview) -> None:
        """Send octets. Raises Hangup if the client has gone."""
        whole = pieces if sum(map(len, pieces)) > _LONGEST_LINE else (b"".join(pieces),)
        if self._deflater is not None:
            whole = (self._deflater.compress(b"".join(pieces)) + self._deflater.flush(zlib.Z_SYNC_FLUSH),)
        for piece in whole:
            try:
                self._socket.sendall(piece)
            except OSError as error:
                raise Hangup from error
            with self._counts.lock:
                self._counts.octets_sent += len(piece)

    def line(self, text: str) -> None:
        """Send one response line. Raises Hangup if the client has gone."""
        self.send(text.encode("latin-1", "replace") + b"\r\n")

    def read_line(self) -> bytes:
        """Return a line without its end. Raises Hangup at the end, or when it is too long."""
        try:
            line = self._input.readline(_LONGEST_LINE)
        except (OSError, ValueError, zlib.error) as error:
            raise Hangup from error
        if not line.endswith(b"\n"):
            raise Hangup
        return line.rstrip(b"\r\n")

    def read_command(self, gate: Gate) -> Command:
        """Return the next command, asking for its literals (RFC 7888). Raises Hangup, BadCommand.

        If a literal is refused, those that do not wait to be asked for are read all the same.
        """
        parts, literals, answer = [self.read_line()], list[Literal](), ""
        while marker := LITERAL.search(parts[-1]):
            literal = _announced(parts[0], marker)
            answer = answer or gate.refusal(literal)
            if literal.synchronising and not answer:
                self.send(b"+ Go ahead\r\n")
            elif literal.synchronising:
                break
            literals.append(self._literal(literal, gate))
            parts[-1] = parts[-1][: marker.start()]
            parts.append(self.read_line())
        tag, _, rest = parts[0].partition(b" ")
        shown = [part + _shown(literal) for part, literal in zip([rest, *parts[1:]], literals, strict=False)]
        self._counts.commands.append(b"".join([*shown, parts[-1] if literals else rest]).decode("latin-1"))
        if answer:
            raise BadCommand(tag.decode("latin-1") or "*", answer)
        return _command(tag.decode("latin-1"), [rest, *parts[1:]], literals)

    def _literal(self, literal: Announced, gate: Gate) -> Literal:
        if literal.size > _LARGEST_LITERAL:
            raise Hangup
        cut = gate.cut(literal)
        octets = self._exactly(literal.size if cut is None else min(cut, literal.size))
        if literal.command == "APPEND":
            with self._counts.lock:
                self._counts.append_octets += len(octets)
        if cut is not None:
            raise Hangup
        gate.come(literal, octets)
        return (Literal8 if literal.binary else Literal)(octets)

    def _exactly(self, size: int) -> bytes:
        try:
            found = self._input.read(size)
        except (OSError, ValueError, zlib.error) as error:
            raise Hangup from error
        if len(found) < size:
            raise Hangup
        return found

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on under TLS (RFC 3501 section 6.2.1). Raises Hangup if the handshake fails."""
        self._input.close()
        try:
            self._socket = context.wrap_socket(self._socket, server_side=True)
        except OSError as error:
            raise Hangup from error
        self._input = self._socket.makefile("rb")

    def start_deflate(self) -> None:
        """Go on compressed in both directions (RFC 4978)."""
        self._input = io.BufferedReader(_Inflated(self._input))
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    def pause(self, seconds: float) -> None:
        """Wait. Raises Hangup when the server is being closed."""
        if self._closing.wait(seconds):
            raise Hangup

    def stall(self) -> None:
        """Send nothing more until the client gives up or the server is closed; then raise Hangup."""
        with selectors.DefaultSelector() as selector, contextlib.suppress(OSError, ValueError):
            selector.register(self._socket, selectors.EVENT_READ)
            while not self._closing.is_set():
                if selector.select(0.05) and not self._socket.recv(65536):
                    break
        raise Hangup

    def close(self) -> None:
        """End the connection; never raises; may be called from any thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()


class BadCommand(Exception):
    """A command that cannot be read; ``answer`` follows its ``tag``."""

    def __init__(self, tag: str, answer: str) -> None:
        super().__init__(answer)
        self.tag = tag
        self.answer = answer


def _announced(line: bytes, marker: re.Match[bytes]) -> Announced:
    words = line.decode("latin-1").upper().split(maxsplit=2)
    return Announced(
        words[1] if len(words) > 1 else "", int(marker.group(2)), not marker.group(3), marker.group(1) == b"~"
    )


def _shown(literal: Literal) -> bytes:
    return b"%b{%d}" % (b"~" if isinstance(literal, Literal8) else b"", len(literal))


def _command(tag: str, parts: list[bytes], literals: list[Literal]) -> Command:
    try:
        tokens = Parser(parts, literals).tokens()
        name, arguments = word(tokens[0]) if tokens else "", tokens[1:]
        if name == "UID" and arguments:
            name, arguments = f"UID {word(arguments[0])}", arguments[1:]
    except BadSyntax as error:
        raise BadCommand(tag or "*", f"BAD {error}") from error
    return Command(tag or "*", name, arguments)
