"""The SMTP wire (RFC 5321 sections 2.3.8 and 4.2): commands and message octets out, replies in."""

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from mailarchive.errors import ConnectionLost, ProtocolViolation, SourceError, Stalled
from mailarchive.remote.transport import Transport
from mailarchive.remote.words import printable

SLICE = 64 << 10
"""Octets that are sent within one time-out."""
_LONGEST_LINE = 8 << 10
_MOST_LINES = 1000
_LAST_WORDS_SECONDS = 2.0

_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?: +|\Z)")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: ``enhanced`` is the enhanced status code (RFC 3463, RFC 2034), empty if there is none."""

    code: int
    enhanced: str
    lines: tuple[bytes, ...]
    """The texts of its lines, without the codes."""

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def goes_on(self) -> bool:
        return 300 <= self.code < 400

    @property
    def words(self) -> str:
        """The server's words, fit to be shown, with the codes before them."""
        text = printable(b" ".join(line for line in self.lines if line))
        return " ".join(part for part in (str(self.code), self.enhanced, text) if part)

    def without(self, secrets: Iterable[bytes]) -> "Reply":
        """Return the same reply with none of ``secrets`` in its words: some servers repeat what they did not like."""
        lines = self.lines
        for secret in secrets:
            if secret:
                lines = tuple(line.replace(secret, b"...") for line in lines)
        return Reply(self.code, self.enhanced, lines)


class Wire:
    """One connection. Every method raises ConnectionLost, Stalled or ProtocolViolation when it is of no more use."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.peer = peer
        self._sock = sock
        self._transport = Transport(sock, peer)
        self._held = bytearray()
        self._closed = False

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return not self._held

    @property
    def own_host(self) -> str:
        """What this side is called: an address literal (RFC 5321 section 4.1.3)."""
        if self._sock.family == socket.AF_UNIX:
            return "localhost"
        host = str(self._sock.getsockname()[0]).partition("%")[0]
        return f"[IPv6:{host}]" if ":" in host else f"[{host}]"

    def start(self, *commands: bytes) -> None:
        """Send commands at once, if the server owes no answer and has given none too many.

        Only 421 may come unasked (RFC 5321 section 3.8); anything else would pass for the answer to what comes next.
        """
        if not self.is_quiet and not self._held.startswith(b"421"):
            raise self.violation(f"{self.peer} said what it was not asked for: {printable(bytes(self._held), 80)}")
        self._transport.send(b"".join(command + b"\r\n" for command in commands))

    def run(self, command: bytes) -> Reply:
        """Send a command and return the reply."""
        self.start(command)
        return self.reply()

    def send_most(self, pieces: Iterable[bytes]) -> bytes:
        """Send octets in slices but for the last ones, which are returned. What ``pieces`` raises goes through."""
        waiting = bytearray()
        for piece in pieces:
            waiting += piece
            sent = 0
            while len(waiting) - sent > SLICE:
                self._transport.send(waiting[sent : sent + SLICE])
                sent += SLICE
            del waiting[:sent]
        return bytes(waiting)

    def send_all(self, pieces: Iterable[bytes]) -> None:
        """Send octets in slices."""
        self._transport.send(self.send_most(pieces))

    def reply(self, seconds: float | None = None) -> Reply:
        """Return the next reply, which may take ``seconds`` if that is not the time-out of the connection."""
        lines: list[bytes] = []
        code = b""
        while len(lines) < _MOST_LINES:
            line = self._line(seconds)
            match = _LINE.fullmatch(line)
            if match is None or (code and match[1] != code):
                raise self.violation(f"{self.peer} sent a line that is no SMTP reply: {printable(line, 80)}")
            code = match[1]
            lines.append((match[3] or b"").strip())
            if match[2] != b"-":
                return _reply(int(code), lines)
        raise self.violation(f"{self.peer} does not stop answering")

    def last_words(self) -> Reply | None:
        """Return what the server said before it ended the connection, None if nothing."""
        try:
            return self.reply(_LAST_WORDS_SECONDS)
        except SourceError:
            return None

    def check(self) -> None:
        """Raise ConnectionLost if the connection was ended from this side."""
        if self._closed:
            raise ConnectionLost(f"the connection to {self.peer} was closed")

    def quit(self) -> None:
        """End the session by QUIT; never raises."""
        if not self._closed:
            self._closed = True
            try:
                self.start(b"QUIT")
                self.reply(_LAST_WORDS_SECONDS)
            except SourceError:
                pass
        self.abandon()

    def abandon(self) -> None:
        """End the connection without a word; never raises, from any thread."""
        self._closed = True
        self._transport.cut()

    def violation(self, sentence: str) -> ProtocolViolation:
        """Return the error for something that the protocol does not allow; the connection is cut."""
        self.abandon()
        return ProtocolViolation(sentence)

    def _line(self, seconds: float | None) -> bytes:
        while (end := self._held.find(b"\n")) < 0:
            if len(self._held) > _LONGEST_LINE:
                raise self.violation(f"{self.peer} sent a line of more than {_LONGEST_LINE} octets")
            self._held += self._received(seconds)
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return line.removesuffix(b"\r")

    def _received(self, seconds: float | None) -> bytes:
        buffer = bytearray(_LONGEST_LINE)
        if seconds is None:
            size: int | None = self._transport.readinto(buffer)
        else:
            size = self._transport.readinto_within(buffer, seconds)
        if size is None:
            raise Stalled(f"{self.peer} sent nothing for {seconds:.0f} seconds")
        if size == 0:
            raise ConnectionLost(f"{self.peer} ended the connection")
        return bytes(buffer[:size])


def _reply(code: int, lines: list[bytes]) -> Reply:
    enhanced = ""
    texts: list[bytes] = []
    for line in lines:
        match = _ENHANCED.match(line)
        if match is not None:
            enhanced = match[1].decode()
        texts.append(line[match.end() :] if match else line)
    return Reply(code, enhanced, tuple(texts))
