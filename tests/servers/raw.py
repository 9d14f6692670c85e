"""A client of bare IMAP: it sends what it is told to, and shows what comes back."""

import socket
from types import TracebackType
from typing import Self

from mailarchive.loopback.server import LoopbackServer


class RawClient:
    """One connection, logged in. A literal's octets are an own piece, sent when the server has asked for them."""

    def __init__(self, server: LoopbackServer) -> None:
        self._socket = socket.create_connection((server.host, server.port), 10)
        self._stream = self._socket.makefile("rwb")
        self._stream.readline()
        self.run(f"LOGIN {server.account.user} {server.account.password}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()
        self._socket.close()

    def run(self, *pieces: str | bytes) -> list[str]:
        """Send a command and return the lines that answer it, without the tag; ``["cut"]`` if the line was cut."""
        try:
            return self._run([piece.encode() if isinstance(piece, str) else piece for piece in pieces])
        except OSError:
            return ["cut"]

    def _run(self, pieces: list[bytes]) -> list[str]:
        self._stream.write(b"t ")
        for index, piece in enumerate(pieces):
            self._stream.write(piece if index % 2 else piece + b"\r\n")
            self._stream.flush()
            if index % 2 == 0 and piece.endswith(b"}") and not piece.endswith(b"+}"):
                line = self._stream.readline()
                if not line.startswith(b"+ "):
                    return self._rest(line)
        return self._rest(self._stream.readline())

    def _rest(self, line: bytes) -> list[str]:
        lines = []
        while line and not line.startswith(b"t "):
            lines.append(line.decode("latin-1").strip())
            line = self._stream.readline()
        return [*lines, line.decode("latin-1").strip()[2:] if line else "cut"]

    def append(self, mailbox: str, octets: bytes, *, arguments: str = "", marker: str = "{%d}") -> str:
        """Return the tagged answer to the APPEND of one message."""
        return self.run(f"APPEND {mailbox} {arguments}{marker % len(octets)}", octets, "")[-1]
