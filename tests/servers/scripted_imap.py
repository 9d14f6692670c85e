"""A server that plays raw lines: for everything that no proper server says."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

CUT = b"\0cut\0"
"""At the end of an answer: close the connection."""
STALL = b"\0stall\0"
"""At the end of an answer: say nothing more."""

Answer = bytes | Callable[[bytes], bytes]
Rule = tuple[bytes, Answer]
"""A pattern that a command (without its tag) begins with, and what to send; ``%T`` stands for the tag."""

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")
_LOGIN: Sequence[Rule] = (
    (rb"CAPABILITY", b"* CAPABILITY %C\r\n%T OK done\r\n"),
    (rb"LOGIN|AUTHENTICATE", b"%T OK [CAPABILITY %C] logged in\r\n"),
    (rb"LOGOUT", b"* BYE bye\r\n%T OK\r\n" + CUT),
    (rb"ID ", b"* ID NIL\r\n%T OK\r\n"),
)


@dataclass
class ScriptedServer:
    """Answers each command by the first rule that matches; unknown commands get BAD. Runs while the context lasts."""

    rules: list[Rule]
    capabilities: bytes = b"IMAP4rev1"
    greeting: bytes = b"* OK ready\r\n"
    commands: list[bytes] = field(default_factory=list)
    """What was received after log-in and so on: whole commands without tags, literals included."""
    lines: list[bytes] = field(default_factory=list)
    """The same with tags, and lines within a command, which have none."""
    connections: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
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
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            try:
                connection.sendall(self.greeting)
                while (command := self._command(connection, lines.readline, lines.read)) is not None:
                    if not self._answer(connection, command):
                        break
            except OSError:
                pass

    def _command(
        self, connection: socket.socket, readline: Callable[[], bytes], read: Callable[[int], bytes]
    ) -> bytes | None:
        command = readline()
        if not command:
            return None
        while (marker := _LITERAL.search(command)) is not None:
            if not marker[2]:
                connection.sendall(b"+ go on\r\n")
            command += read(int(marker[1])) + readline()
        return command.rstrip(b"\r\n")

    def _answer(self, connection: socket.socket, line: bytes) -> bool:
        tag, _, command = line.partition(b" ")
        self.lines.append(line)
        self.commands.append(command)
        for pattern, answer in [*self.rules, *_LOGIN]:
            if re.match(pattern, command, re.IGNORECASE | re.DOTALL):
                text = answer if isinstance(answer, bytes) else answer(command)
                break
        else:
            text = b"%T BAD unknown\r\n"
        text = text.replace(b"%T", tag).replace(b"%C", self.capabilities)
        connection.sendall(text.removesuffix(CUT).removesuffix(STALL))
        if text.endswith(STALL):
            connection.recv(1)
        return not text.endswith((CUT, STALL))


def once(first: bytes, then: bytes) -> Callable[[bytes], bytes]:
    """Return an answer that is ``first`` the first time and ``then`` ever after."""
    answers = iter((first,))
    return lambda _command: next(answers, then)
