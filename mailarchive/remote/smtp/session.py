"""One session with a server that takes mail: messages go to it one after the other."""

import re
from collections.abc import Callable, Iterable, Iterator

from mailarchive.config import Endpoint
from mailarchive.errors import (
    ConnectionLost,
    Doubtful,
    MessageRefused,
    ProtocolViolation,
    SourceError,
    Stalled,
    TargetRefused,
)
from mailarchive.remote import dial
from mailarchive.remote.smtp.connect import connect, extensions
from mailarchive.remote.smtp.content import Shape, dotted, regrouped, shape_of
from mailarchive.remote.smtp.login import Password, log_in
from mailarchive.remote.smtp.refusals import Stage, refusal
from mailarchive.remote.smtp.wire import Reply

TIMEOUTS = dial.Timeouts(dial.CONNECT_SECONDS, 300.0)
FINAL_SECONDS = 600.0
"""How long a server may think about what it has got (RFC 5321 section 4.5.3.2)."""
_CHUNK = 1 << 20
_SIZE = re.compile(r"[0-9]{1,20}")
"""RFC 1870 section 3; longer ones are no limit, and some that are very long no number."""

Chunks = Callable[[], Iterable[bytes]]
"""Gives the octets of a message from the beginning, each time that it is called."""


class SmtpSession:
    """Connects, and logs in if the endpoint names a user.

    Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation, Throttled, TargetRefused.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        password: Password = "",
        timeouts: dial.Timeouts | None = None,
        *,
        final_seconds: float = FINAL_SECONDS,
    ) -> None:
        self._final_seconds = final_seconds
        self._is_lmtp = endpoint.protocol == "lmtp"
        connected = connect(endpoint, timeouts or TIMEOUTS)
        self._wire, self._offered = connected.wire, connected.extensions
        if endpoint.user:
            try:
                log_in(self._wire, endpoint, self._offered, password)
                # Some servers offer more to whom they know (RFC 4954 section 4).
                self._offered = extensions(self._wire, endpoint)
            except BaseException:
                self._wire.abandon()
                raise

    def send(self, sender: str, recipient: str, size: int, chunks: Chunks) -> str:
        """Send a message of ``size`` octets, exactly as they are; return the server's words of acceptance.

        ``sender``, which may be empty, and ``recipient`` are the envelope. ``chunks`` is called twice; what it raises
        goes through. A message whose last line has no end gets one, which SMTP demands (RFC 5321 section 4.1.1.4),
        unless the server takes BINARYMIME (RFC 3030).

        Raises MessageRefused, TargetRefused, Throttled, AuthenticationFailed; then nothing was taken, and the session
        can be used for the next message (after Throttled if it says ``connected``). Raises ConnectionLost, Stalled or
        ProtocolViolation if it ended before the server had the message whole; Doubtful if that happened later.
        """
        self._wire.check()
        shape = self.examine(sender, recipient, size, chunks)
        is_binary = self._is_binary(shape)
        envelope = self._envelope(sender, recipient, shape, is_binary=is_binary)
        if is_binary:
            self._run(envelope)
            return self._in_chunks(chunks)
        self._run([*envelope, ("message", b"DATA")])
        # A message that does not get to the dot is none (RFC 5321 section 4.1.1.4).
        return self._verdict(dotted(chunks()), b".\r\n" if shape.is_ended else b"\r\n.\r\n")

    def examine(self, sender: str, recipient: str, size: int, chunks: Chunks) -> Shape:
        """Return the shape of a message; raise what ``send`` raises before it says a word to the server.

        That is TargetRefused for addresses, and MessageRefused for what the server has said that it does not take.
        """
        self._check_envelope(sender, recipient)
        shape = shape_of(chunks())
        if shape.size != size:
            raise ValueError(f"{shape.size} octets instead of {size}")
        self._check(shape, is_binary=self._is_binary(shape))
        return shape

    def check(self) -> None:
        """Raise ConnectionLost if the session was closed."""
        self._wire.check()

    def _check_size(self, size: int) -> None:
        """Raise MessageRefused if the server has said that it takes no message of so many octets (RFC 1870)."""
        limit = self._offered.get("SIZE", "")
        if _SIZE.fullmatch(limit) and 0 < int(limit) < size:
            raise MessageRefused(
                f"the message has {size} octets; {self._wire.peer} takes at most {limit}", code="5.3.4"
            )

    def leave(self) -> None:
        """End the session in good order; never raises."""
        self._wire.quit()

    def close(self) -> None:
        """End the session at once, from any thread: whoever waits gets an error. Never raises."""
        self._wire.abandon()

    def _check_envelope(self, sender: str, recipient: str) -> None:
        if not recipient or any(
            char.isspace() or not char.isprintable() or char in "<>" for char in sender + recipient
        ):
            raise TargetRefused("there is an address that cannot stand in an envelope", hint="check the addresses")
        if not (sender + recipient).isascii() and "SMTPUTF8" not in self._offered:
            raise TargetRefused(
                f"{self._wire.peer} takes no addresses with other than ASCII letters (SMTPUTF8)",
                hint="use another address of the same mailbox",
            )

    def _is_binary(self, shape: Shape) -> bool:
        """Return whether to send a message as octets instead of lines (RFC 3030 section 3)."""
        return not (shape.is_lines and shape.is_ended) and {"CHUNKING", "BINARYMIME"} <= self._offered.keys()

    def _check(self, shape: Shape, *, is_binary: bool) -> None:
        """Refuse what the server has no way to take as it is (codes: RFC 3463 sections 3.4 and 3.7)."""
        peer = self._wire.peer
        self._check_size(shape.size)
        if is_binary:
            return
        if not shape.is_lines:
            raise MessageRefused(
                f"the message has a NUL, or line ends that are not CRLF, which {peer} has no way to take unchanged",
                code="5.6.1",
            )
        if not shape.is_ascii and "8BITMIME" not in self._offered:
            raise MessageRefused(
                f"the message has octets that are not ASCII, which {peer} has no way to take (8BITMIME)", code="5.6.3"
            )

    def _envelope(self, sender: str, recipient: str, shape: Shape, *, is_binary: bool) -> list[tuple[Stage, bytes]]:
        mail = f"MAIL FROM:<{sender}>"
        if "SIZE" in self._offered:
            mail += f" SIZE={shape.size + (0 if is_binary or shape.is_ended else 2)}"
        if is_binary:
            mail += " BODY=BINARYMIME"
        elif not shape.is_ascii:
            mail += " BODY=8BITMIME"
        if not (sender + recipient).isascii():
            mail += " SMTPUTF8"
        return [("sender", mail.encode()), ("recipient", f"RCPT TO:<{recipient}>".encode())]

    def _run(self, commands: list[tuple[Stage, bytes]]) -> None:
        """Send commands, together where the server takes that (RFC 2920); raise what the first refusal means."""
        is_together = "PIPELINING" in self._offered
        if is_together:
            self._wire.start(*(command for _stage, command in commands))
        refused: tuple[Stage, Reply] | None = None
        wants_message = False
        for stage, command in commands:
            reply = self._wire.reply() if is_together else self._wire.run(command)
            wants_message = stage == "message" and reply.goes_on
            if not (wants_message or (stage != "message" and reply.ok)):
                refused = refused or (stage, reply)
                if not is_together or reply.code == 421:
                    break
        if refused is not None:
            raise self._given_up(*refused, wants_message=wants_message)

    def _given_up(self, stage: Stage, reply: Reply, *, wants_message: bool = False) -> SourceError:
        """End a transaction that came to nothing, if the connection is still there; return the error."""
        error = refusal(self._wire, stage, reply)
        try:
            self._wire.check()
            if wants_message:
                self._send_nothing()
            self._wire.run(b"RSET")
        except SourceError:
            self._wire.abandon()
        return error

    def _send_nothing(self) -> None:
        """Give a server what it waits for if it wants a message for nobody (RFC 2920 section 3.1)."""
        if self._is_lmtp:
            # It answers once for each recipient, and has to refuse DATA if there is none (RFC 2033 section 4.2).
            raise self._wire.violation(f"{self._wire.peer} wants a message for nobody")
        self._wire.run(b".")

    def _in_chunks(self, chunks: Chunks) -> str:
        """Send the message by BDAT (RFC 3030 section 2)."""
        held: bytes | None = None
        for piece in self._read(regrouped(chunks(), _CHUNK)):
            if held is not None:
                self._wire.send_all([b"BDAT %d\r\n" % len(held), held])
                reply = self._wire.reply()
                if not reply.ok:
                    raise self._given_up("message", reply)
            held = piece
        last = held or b""
        return self._verdict([b"BDAT %d LAST\r\n" % len(last), last])

    def _read(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces; end the connection if there is an error: what was begun must not be taken for whole."""
        try:
            yield from pieces
        except BaseException:
            self._wire.abandon()
            raise

    def _verdict(self, pieces: Iterable[bytes], end: bytes = b"") -> str:
        """Send what makes the message whole, and return what the server says then."""
        rest = self._sent(pieces)
        try:
            self._wire.send_all([rest, end])
            reply = self._final_reply()
        except SourceError as error:
            self._wire.abandon()
            raise Doubtful(f"it is not known whether {self._wire.peer} took the message: {error}") from error
        if not reply.ok:
            raise refusal(self._wire, "message", reply)
        return reply.words

    def _final_reply(self) -> Reply:
        reply = self._wire.reply(self._final_seconds)
        if reply.goes_on:
            raise self._wire.violation(f"{self._wire.peer} answered what does not fit: {reply.words}")
        return reply

    def _sent(self, pieces: Iterable[bytes]) -> bytes:
        """Send the pieces but for the last octets, and return those; heed what a server says before it has them."""
        try:
            rest = self._wire.send_most(self._read(pieces))
        except (ConnectionLost, Stalled) as error:
            raise self._cut_off(error) from None
        if not self._wire.is_quiet:
            early = f"{self._wire.peer} answered before it had the whole message"
            raise self._cut_off(ProtocolViolation(early))
        return rest

    def _cut_off(self, error: SourceError) -> SourceError:
        """End the connection in the middle of a message; return what the server says to it, else ``error``."""
        reply = self._wire.last_words()
        self._wire.abandon()
        return error if reply is None or reply.code < 400 else refusal(self._wire, "message", reply)
