"""A line on the loopback interface that is cut, or held, after a chosen number of octets from the client."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

_AT_ONCE = 64 << 10


class CutLine:
    """Forwards to ``port`` of this machine while the context lasts.

    ``sent`` is what the last client to connect has sent. When all clients have sent ``at`` octets since ``arm`` was
    called, or since one of them sent ``behind``, ``reached`` is set and no more is forwarded of what is sent by the
    client that sent the last of them; once ``go_on`` is set, which it is at first, its connection ends.
    ``before`` is called before each connection to the server.
    """

    def __init__(self, port: int, before: Callable[[], None] = lambda: None) -> None:
        self.sent = bytearray()
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self._left: int | None = None
        self._behind = b""
        self._before = before
        self._to = port
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def arm(self, at: int, behind: bytes = b"") -> None:
        """Cut the line after ``at`` more octets, counted from where one piece of what is sent has ``behind``."""
        with self._lock:
            self.reached.clear()
            self._left, self._behind = at, behind

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.go_on.set()
        _shut(self._listener)
        self._threads[0].join()
        for end in self._ends:
            _shut(end)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]  # any signature
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _peer = self._listener.accept()
                self._before()
                far = socket.create_connection(("127.0.0.1", self._to))
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._ends += near, far
                self.sent = bytearray()
                self._start(self._forward, near, far, self.sent)
                self._start(self._answer, far, near)

    def _forward(self, source: socket.socket, target: socket.socket, sent: bytearray) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(_AT_ONCE):
                passed = self._passed(octets)
                sent += octets[:passed]
                target.sendall(octets[:passed])
                if passed < len(octets) or self._left == 0:
                    self._hold()
                    _shut(source)
                    break
        _shut(target)

    def _passed(self, octets: bytes) -> int:
        """Return how many of ``octets`` are still forwarded."""
        with self._lock:
            if self._left is None or self._behind not in octets:
                return len(octets)
            uncounted = octets.index(self._behind) + len(self._behind)
            self._behind = b""
            passed = min(len(octets) - uncounted, self._left)
            self._left -= passed
            return uncounted + passed

    def _hold(self) -> None:
        with self._lock:
            self._left = None
        self.reached.set()
        self.go_on.wait()

    @staticmethod
    def _answer(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(_AT_ONCE):
                target.sendall(octets)
        _shut(target)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
