"""Forward TCP connections on loopback as if the server were a round trip away.

Says "ready" once it listens; ends when its standard input does, and then prints as JSON what went through:
{"sent": octets of the server, "received": octets of the clients, "lines": what the clients sent}.
The standard library only.
"""

import argparse
import json
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

_CHUNK = 1 << 18
_LIMIT = 64 << 20
_HANDSHAKE = 1.5
_CAPABILITIES_WITHIN = 1 << 16
_LAST_WORDS_WITHIN = 10.0


class Pipe:
    """One direction of a connection: what is read is written ``delay`` seconds later, in order.

    Holds at most about _LIMIT octets, so that a sender who is faster than the receiver is slowed down as by TCP.
    """

    def __init__(
        self, source: socket.socket, target: socket.socket, delay: float, seen: Callable[[bytes], bytes]
    ) -> None:
        self._source, self._target = source, target
        self._delay = delay
        self._seen = seen
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._changed = threading.Condition()

    def read(self) -> None:
        """Take in what comes until the end."""
        octets = b"more"
        while octets:
            with self._changed:
                self._changed.wait_for(lambda: self._held < _LIMIT)
            octets = _received(self._source)
            due = time.monotonic() + self._delay
            kept = self._seen(octets)
            if octets and not kept:
                continue
            with self._changed:
                self._waiting.append((due, kept))
                self._held += len(kept)
                self._changed.notify_all()

    def write(self) -> None:
        """Give out what is due until the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                due, octets = self._waiting.popleft()
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)  # noqa: TID251 - the delay is what this process is for
            if not octets:
                break
            if not _sent(self._target, octets):
                _shut(self._source, socket.SHUT_RD)
            with self._changed:
                self._held -= len(octets)
                self._changed.notify_all()
        _shut(self._target, socket.SHUT_WR)


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(_CHUNK)
    except OSError:
        return b""


def _sent(target: socket.socket, octets: bytes) -> bool:
    try:
        target.sendall(octets)
    except OSError:
        return False
    return True


def _shut(side: socket.socket, how: int) -> None:
    try:
        side.shutdown(how)
    except OSError:
        return


class Proxy:
    """Accepts connections and counts what goes through them."""

    def __init__(self, to: int, round_trip: float, hide: str) -> None:
        self._to = to
        self._round_trip = round_trip
        self._hidden = f"{hide}\r\n".encode() if hide else b""
        self._lock = threading.Lock()
        self._heard: list[bytearray] = []
        self.sent = 0
        self.connections: list[threading.Thread] = []

    def serve(self, listener: socket.socket) -> None:
        """Accept for ever."""
        while True:
            client, _ = listener.accept()
            thread = threading.Thread(target=self._connect, args=(client,), daemon=True)
            self.connections.append(thread)
            thread.start()

    def lines(self) -> list[str]:
        """Return the lines that clients sent, one connection after the other."""
        return [line for heard in self._heard for line in heard.decode("latin-1").splitlines()]

    def octets_received(self) -> int:
        """Return how many octets the clients sent."""
        return sum(map(len, self._heard))

    def _connect(self, client: socket.socket) -> None:
        """Carry one connection; the server hears of it when a handshake over the distance would be done."""
        time.sleep(self._round_trip * _HANDSHAKE)  # noqa: TID251 - the delay is what this process is for
        heard = bytearray()
        self._heard.append(heard)
        with client, socket.create_connection(("127.0.0.1", self._to)) as server:
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            to_server = Pipe(client, server, self._round_trip / 2, lambda octets: _noted(octets, heard))
            to_client = Pipe(server, client, self._round_trip / 2, self._counted())
            workers = [to_server.read, to_server.write, to_client.read, to_client.write]
            threads = [threading.Thread(target=work, daemon=True) for work in workers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _counted(self) -> Callable[[bytes], bytes]:
        """Return what counts a server's octets, and leaves out the hidden line of its first answers."""
        seen = 0

        def counted(octets: bytes) -> bytes:
            nonlocal seen
            seen += len(octets)
            with self._lock:
                self.sent += len(octets)
            return octets.replace(self._hidden, b"") if self._hidden and seen < _CAPABILITIES_WITHIN else octets

        return counted


def _noted(octets: bytes, heard: bytearray) -> bytes:
    heard += octets
    return octets


def main() -> None:
    """Listen until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, help="where to listen; 0: any")
    parser.add_argument("to", type=int, help="the server's port")
    parser.add_argument("--round-trip", type=float, default=0.0, help="seconds (default: 0)")
    parser.add_argument("--hide", default="", help="a line to leave out of the server's first answers: PIPELINING")
    options = parser.parse_args()
    proxy = Proxy(options.to, options.round_trip, options.hide)
    listener = socket.create_server(("127.0.0.1", options.port), backlog=128)
    threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
    print(f"ready {listener.getsockname()[1]}", flush=True)
    sys.stdin.read()
    end = time.monotonic() + _LAST_WORDS_WITHIN
    for thread in proxy.connections:
        thread.join(max(0.0, end - time.monotonic()))
    print(json.dumps({"sent": proxy.sent, "received": proxy.octets_received(), "lines": proxy.lines()}))


main()
