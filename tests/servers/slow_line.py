"""A slow network on the loopback interface: forwards connections, so many octets a second, and counts them."""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

_AT_ONCE = 16 << 10


class SlowLine:
    """Forwards to ``port`` of this machine while the context lasts.

    What the server sends over one connection takes its time at ``rate`` octets a second; ``octets`` is how much
    it was, over all connections.
    """

    def __init__(self, port: int, rate: float) -> None:
        self.octets = 0
        self._to = port
        self._rate = rate
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _start(self, work: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]  # any signature
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _peer = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._ends += near, far
                self._start(self._forward, near, far)
                self._start(self._forward_slowly, far, near)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(_AT_ONCE):
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)

    def _forward_slowly(self, source: socket.socket, target: socket.socket) -> None:
        free = time.monotonic()
        with contextlib.suppress(OSError):
            while octets := source.recv(_AT_ONCE):
                with self._lock:
                    self.octets += len(octets)
                free = max(free, time.monotonic()) + len(octets) / self._rate
                self._is_over.wait(free - time.monotonic())
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)
