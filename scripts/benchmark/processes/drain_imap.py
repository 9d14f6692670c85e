"""Fetch from an IMAP server and throw it away: the least that any backup has to wait for.

Arguments: port, user, password, and of these: --tls (from the first octet on), --together (EXAMINE and FETCH of a
mailbox in one packet), --status (LIST-STATUS, and nothing else), --uids=SET (default: all). Prints the octets received.
The standard library only, and as little of it as can be: its start counts too.
"""

import re
import socket
import sys

_BUFFER = 1 << 20
_LAST_LINE = 512
_TAG = b"zz9 "
_LIST = rb'^\* LIST \([^)]*\) "[^"]*" ("[^"]*"|\S+)'
_STATUS = b'LIST "" * RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))'


class Drain:
    """A client that looks at nothing but the end of an answer."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 300)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self._socket = _encrypted(self._socket)
        self._view = memoryview(bytearray(_BUFFER))
        self.received = 0
        self._socket.recv(_BUFFER)

    def short(self, command: bytes) -> bytes:
        """Send ``command`` and return its answer."""
        self._send(command)
        answer = b""
        while not _ends(answer):
            answer += bytes(self._view[: self._receive()])
        return answer

    def drop(self, *commands: bytes) -> None:
        """Send ``commands`` at once and wait for the end of the last one's answer."""
        self._send(*commands)
        tail = b""
        while not _ends(tail):
            size = self._receive()
            tail = (tail + bytes(self._view[max(0, size - _LAST_LINE) : size]))[-_LAST_LINE:]

    def _send(self, *commands: bytes) -> None:
        *before, last = commands
        self._socket.sendall(b"".join(b"aa1 " + one + b"\r\n" for one in before) + _TAG + last + b"\r\n")

    def _receive(self) -> int:
        size = self._socket.recv_into(self._view)
        if not size:
            raise ConnectionError("the server ended the connection")
        self.received += size
        return size


def _encrypted(plain: socket.socket) -> socket.socket:
    import ssl  # noqa: PLC0415 - its import takes as long as all else here

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def _ends(answer: bytes) -> bool:
    return answer.endswith(b"\r\n") and answer.startswith(_TAG, answer.rfind(b"\n", 0, -1) + 1)


def main() -> None:
    """Log in, and fetch each mailbox that LIST names."""
    port, user, password, *options = sys.argv[1:]
    uids = next((option.partition("=")[2] for option in options if option.startswith("--uids=")), "1:*")
    drain = Drain(int(port), tls="--tls" in options)
    drain.short(f"LOGIN {user} {password}".encode())
    if "--status" in options:
        drain.drop(_STATUS)
    else:
        fetch = f"UID FETCH {uids} (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])".encode()
        for name in re.findall(_LIST, drain.short(b'LIST "" *'), re.MULTILINE):
            if "--together" in options:
                drain.drop(b"EXAMINE " + name, fetch)
            else:
                drain.drop(b"EXAMINE " + name)
                drain.drop(fetch)
    drain.short(b"LOGOUT")
    print(drain.received)


main()
