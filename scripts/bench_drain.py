"""Fetch everything from an IMAP server and throw it away: the least that any backup has to wait for.

Arguments: port, user, password. Prints the octets received. The standard library only.
"""

import re
import socket
import sys

_BUFFER = 1 << 20


class Drain:
    """A client that sends one command at a time and looks at nothing but the end of the answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 300)
        self._buffer = bytearray(_BUFFER)
        self.received = 0
        self._socket.recv(_BUFFER)

    def answer(self, command: bytes) -> bytes:
        """Send ``command`` and return the last octets of its answer (all of a short one)."""
        self._socket.sendall(b"zz9 " + command + b"\r\n")
        view, tail = memoryview(self._buffer), b""
        while True:
            size = self._socket.recv_into(view)
            if not size:
                raise ConnectionError("the server ended the connection")
            self.received += size
            tail = (tail + bytes(view[max(0, size - 65536) : size]))[-65536:]
            last = tail.rfind(b"\n", 0, -1) + 1
            if tail.endswith(b"\r\n") and tail.startswith(b"zz9 ", last):
                return tail


def main() -> None:
    """Log in, and fetch each mailbox that LIST names."""
    port, user, password = sys.argv[1:]
    drain = Drain(int(port))
    drain.answer(f"LOGIN {user} {password}".encode())
    for name in re.findall(rb'^\* LIST \([^)]*\) "[^"]*" ("[^"]*"|\S+)', drain.answer(b'LIST "" *'), re.MULTILINE):
        drain.answer(b"EXAMINE " + name)
        drain.answer(b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    drain.answer(b"LOGOUT")
    print(drain.received)


main()
