"""An IMAP server for one account on the loopback interface, in threads of this process."""

import socket
import socketserver
import ssl
import threading
from types import TracebackType
from typing import Self

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.dispatch import converse
from mailarchive.loopback.faults import Fault
from mailarchive.loopback.session import Session
from mailarchive.loopback.wire import Counts, Hangup, Wire


class LoopbackServer:
    """Serves ``account`` on 127.0.0.1 while the context lasts; ``port`` is chosen by the system.

    With ``ssl_context`` every connection is TLS from the start, or from STARTTLS on if ``starttls``.
    ``faults`` may be changed at any time; ``counts`` says what the clients asked.
    """

    host = "127.0.0.1"

    def __init__(
        self, account: LoopbackAccount, *, ssl_context: ssl.SSLContext | None = None, starttls: bool = False
    ) -> None:
        self.account = account
        self.counts = Counts()
        self.faults: list[Fault] = []
        self._ssl_context = ssl_context
        self._starttls = starttls
        self._closing = threading.Event()
        self._wires: set[Wire] = set()
        self._listener = _Listener(self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listener.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.shutdown()
        self.disconnect()
        self._listener.server_close()
        self._thread.join()

    def disconnect(self) -> None:
        """Cut all connections at once; new ones are still accepted."""
        for wire in tuple(self._wires):
            wire.close()

    def serve(self, connection: socket.socket) -> None:
        """Converse over an accepted connection until it ends."""
        with self.counts.lock:
            self.counts.connections += 1
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = Wire(connection, self.counts, self._closing)
        self._wires.add(wire)
        try:
            if self._ssl_context is not None and not self._starttls:
                wire.start_tls(self._ssl_context)
            converse(
                Session(self.account, wire, self.counts, self.faults, self._ssl_context if self._starttls else None)
            )
        except Hangup:
            return
        finally:
            self._wires.discard(wire)
            wire.close()


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server
        super().__init__((server.host, 0), socketserver.BaseRequestHandler)

    def finish_request(self, request: object, client_address: object) -> None:
        del client_address
        if isinstance(request, socket.socket):
            self._server.serve(request)
