"""A POP3 server on loopback that counts everything, and does wrong what servers do wrong."""

import base64
import contextlib
import hashlib
import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

GREETING = b"+OK ready <1896.697170952@pop.example.org>"
NOTICE_SECONDS = 30.0
SIGNED = re.compile(rb"APOP (\S+) ([0-9a-f]{32})")


@dataclass(eq=False, slots=True)
class Letter:
    """A message in the maildrop."""

    octets: bytes
    uidl: bytes
    popped: bool = False
    fetched: bool = False
    """In the session that goes on."""


class Hangup(Exception):
    """The server ends the connection."""


@dataclass
class Pop3Server:
    """One maildrop, of ``user`` with password ``secret``; runs while the context lasts.

    ``capabilities`` None: CAPA is unknown. ``part``: as Gmail, a session shows so many messages that were not popped
    (fetched in a session that ended by QUIT), or with ``recent:`` before the user name so many of the newest.
    """

    user: str = "user"
    password: str = "secret"
    capabilities: tuple[str, ...] | None = ("TOP", "UIDL", "USER", "RESP-CODES", "PIPELINING", "SASL PLAIN")
    greeting: bytes = b"+OK ready"
    uidl: Literal["good", "none", "blank", "duplicate"] = "good"
    top: bool = True
    list_size: Callable[[int], int] = lambda size: size
    stat_more: int = 0
    """So many more messages are announced by STAT than there are."""
    glues_dot: bool = False
    """The final dot comes right after a last line that has no end."""
    refused: dict[int, bytes] = field(default_factory=dict)
    """What RETR answers for messages, by index."""
    cuts: dict[int, int] = field(default_factory=dict)
    """How often RETR of a message ends the connection in the middle."""
    stalls: dict[int, int] = field(default_factory=dict)
    login_answers: list[bytes] = field(default_factory=list)
    """What the next log-ins are answered with, instead of letting in."""
    part: int | None = None
    context: ssl.SSLContext | None = None
    """With a certificate: STLS, or TLS at once if ``tls``."""
    tls: bool = False
    eol: bytes = b"\r\n"
    text_eol: bytes | None = None
    """How lines of listings and messages end, if not as answers do."""
    before_retr: Callable[[int], object] = lambda _count: None
    """Is told how many messages have been sent."""

    def __post_init__(self) -> None:
        self.letters: list[Letter] = []
        self.commands: list[bytes] = []
        self.counts: Counter[str] = Counter()
        self.retrieved: Counter[bytes] = Counter()
        """How often each message was sent whole, by its octets."""
        self.octets = 0
        """Of messages, as they went over the wire."""
        self.most_ahead = 0
        """Commands that had come while one was carried out."""
        self.connections = self.logins = 0
        self._next_uidl = 1
        self._lock = threading.Lock()
        self._freed = threading.Condition()
        self._reader: object | None = None

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    # -- the maildrop ----------------------------------------------------------------------------------------------

    def deliver(self, *messages: bytes) -> None:
        """Put messages into the maildrop."""
        for octets in messages:
            self.letters.append(Letter(octets, b"%08x" % self._next_uidl))
            self._next_uidl += 1

    def renumber(self) -> None:
        """Give every message another UIDL."""
        for letter in self.letters:
            letter.uidl = b"moved-" + letter.uidl

    def forget_counts(self) -> None:
        """Begin to count anew."""
        self.commands.clear()
        self.counts.clear()
        self.retrieved.clear()
        self.octets = self.most_ahead = self.connections = self.logins = 0

    def lock(self, session: object | None) -> bool:
        """Take the maildrop for a session, None to give it back; return whether it was free.

        A session that holds it is waited for: perhaps it has only not noticed yet that nobody is there any more.
        """
        with self._freed:
            self._freed.wait_for(lambda: not isinstance(self._reader, Session), NOTICE_SECONDS)
            if session is not None and self._reader is not None:
                return False
            self._reader = session
            return True

    @property
    def is_free(self) -> bool:
        """Whether no session reads the maildrop."""
        return self._reader is None

    def unlock(self, session: object) -> None:
        """Give the maildrop back."""
        with self._freed:
            if self._reader is session:
                self._reader = None
                self._freed.notify_all()

    # -- connections -----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        session = Session(self, connection)
        with contextlib.suppress(OSError, Hangup):
            session.run()
        self.unlock(session)
        session.close()


class Session:
    """One connection."""

    def __init__(self, server: Pop3Server, connection: socket.socket) -> None:
        self._server = server
        self._socket = connection
        self._unread = b""
        self._user = ""
        self._shown: list[Letter] = []
        self._is_in = False

    def close(self) -> None:
        self._socket.close()

    def run(self) -> None:
        """Answer commands until the connection ends."""
        server = self._server
        if server.context is not None and server.tls:
            self._start_tls()
        self._say(server.greeting)
        while True:
            line = self._line()
            with server._lock:
                server.commands.append(line)
                verb = line.split(b" ")[0].upper().decode("latin-1")
                server.counts[verb] += 1
                server.most_ahead = max(server.most_ahead, self._unread.count(b"\n"))
            command = getattr(self, f"_do_{verb.lower()}", None)
            if command is None or (not self._is_in and verb in {"STAT", "LIST", "UIDL", "TOP", "RETR"}):
                self._say(b"-ERR unknown command")
            else:
                command(line)

    def _start_tls(self) -> None:
        assert self._server.context is not None
        self._socket = self._server.context.wrap_socket(self._socket, server_side=True)
        self._server._open.append(self._socket)

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            octets = self._socket.recv(1 << 16)
            if not octets:
                raise Hangup
            self._unread += octets
        line, _, self._unread = self._unread.partition(b"\n")
        return line.rstrip(b"\r")

    def _say(self, *lines: bytes) -> None:
        server = self._server
        ends = [server.eol, *[server.text_eol or server.eol] * (len(lines) - 1)]
        self._socket.sendall(b"".join(line + end for line, end in zip(lines, ends, strict=True)))

    # -- before log-in ---------------------------------------------------------------------------------------------

    def _do_capa(self, _line: bytes) -> None:
        offered = self._server.capabilities
        if offered is None:
            self._say(b"-ERR unknown command")
        else:
            self._say(b"+OK", *(word.encode() for word in offered), b".")

    def _do_stls(self, _line: bytes) -> None:
        if self._server.context is None:
            self._say(b"-ERR no TLS here")
            return
        self._say(b"+OK begin")
        self._start_tls()

    def _do_user(self, line: bytes) -> None:
        self._user = line.partition(b" ")[2].decode()
        self._say(b"+OK")

    def _do_pass(self, line: bytes) -> None:
        self._let_in(self._user, line.partition(b" ")[2].decode() == self._server.password)

    def _do_apop(self, line: bytes) -> None:
        stamp = re.search(rb"<.*>", self._server.greeting)
        signed = SIGNED.fullmatch(line)
        if stamp is None or signed is None:
            self._say(b"-ERR")
            return
        proof = hashlib.md5(stamp[0] + self._server.password.encode()).hexdigest().encode()
        self._let_in(signed[1].decode(), proof == signed[2])

    def _do_auth(self, line: bytes) -> None:
        _verb, mechanism, *rest = line.split(b" ")
        if not rest:
            self._say(b"+ ")
            rest = [self._line()]
        elif len(line) > 253 and b"Microsoft" in self._server.greeting:
            self._say(b"-ERR Protocol error. Connection is closed. 10")
            raise Hangup
        response = base64.b64decode(rest[0]).decode()
        if mechanism.upper() == b"PLAIN":
            _, user, password = response.split("\0")
            self._let_in(user, password == self._server.password)
            return
        user, token = response.removesuffix("\1\1").removeprefix("user=").split("\1auth=Bearer ")
        if token != self._server.password:
            self._say(b"+ eyJzdGF0dXMiOiI0MDAifQ==")
            assert self._line() == b""
        self._let_in(user, token == self._server.password)

    def _let_in(self, user: str, good: bool) -> None:
        server = self._server
        if server.login_answers:
            self._say(server.login_answers.pop(0))
        elif not good or user.removeprefix("recent:") != server.user:
            self._say(b"-ERR [AUTH] wrong user name or password")
        elif not server.lock(self):
            self._say(b"-ERR [IN-USE] the maildrop is locked")
        else:
            server.logins += 1
            self._is_in = True
            self._shown = self._letters(user.startswith("recent:"))
            self._say(b"+OK welcome")

    def _letters(self, recent: bool) -> list[Letter]:
        server = self._server
        for letter in server.letters:
            letter.fetched = False
        if server.part is None:
            return list(server.letters)
        if recent:
            return server.letters[-server.part :]
        return [letter for letter in server.letters if not letter.popped][: server.part]

    # -- after it --------------------------------------------------------------------------------------------------

    def _do_noop(self, _line: bytes) -> None:
        self._say(b"+OK")

    def _do_stat(self, _line: bytes) -> None:
        octets = sum(self._server.list_size(len(letter.octets)) for letter in self._shown)
        self._say(b"+OK %d %d" % (len(self._shown) + self._server.stat_more, octets))

    def _do_list(self, _line: bytes) -> None:
        sizes = [self._server.list_size(len(letter.octets)) for letter in self._shown]
        self._say(b"+OK", *(b"%d %d" % pair for pair in enumerate(sizes, 1)), b".")

    def _do_uidl(self, _line: bytes) -> None:
        if self._server.uidl == "none":
            self._say(b"-ERR not implemented")
            return
        names = [letter.uidl for letter in self._shown]
        if self._server.uidl == "blank":
            names = [b"" for _ in names]
        elif self._server.uidl == "duplicate":
            names = [b"same" for _ in names]
        self._say(b"+OK", *(b"%d %b" % pair for pair in enumerate(names, 1)), b".")

    def _do_top(self, line: bytes) -> None:
        number, count = (int(word) for word in line.split()[1:])
        letter = self._shown[number - 1]
        if not self._server.top:
            self._say(b"-ERR not implemented")
            return
        head, empty, text = letter.octets.partition(b"\r\n\r\n")
        self._say(b"+OK")
        self._socket.sendall(self._sent(head + empty + b"".join(text.splitlines(keepends=True)[:count])))

    def _do_retr(self, line: bytes) -> None:
        server = self._server
        letter = self._shown[int(line.split()[1]) - 1]
        index = server.letters.index(letter)
        server.before_retr(sum(server.retrieved.values()))
        if index in server.refused:
            self._say(server.refused[index])
            return
        self._say(b"+OK %d octets" % len(letter.octets))
        sent = self._sent(letter.octets)
        for faults, is_cut in ((server.cuts, True), (server.stalls, False)):
            if faults.get(index, 0):
                faults[index] -= 1
                self._socket.sendall(sent[: len(sent) // 2])
                if is_cut:
                    raise Hangup
                self._socket.recv(1 << 16)
                raise Hangup
        letter.fetched = True
        with server._lock:
            server.retrieved[letter.octets] += 1
            server.octets += len(sent)
        self._socket.sendall(sent)

    def _sent(self, octets: bytes) -> bytes:
        """Return a text as it goes over the wire (RFC 1939 section 3)."""
        eol = self._server.text_eol or self._server.eol
        text = (eol + octets).replace(eol + b".", eol + b"..")[len(eol) :]
        if text and not text.endswith(eol) and not self._server.glues_dot:
            text += eol
        return text + b"." + eol

    def _do_quit(self, _line: bytes) -> None:
        for letter in self._shown:
            letter.popped = letter.popped or letter.fetched
        self._server.unlock(self)
        self._say(b"+OK bye")
        raise Hangup
