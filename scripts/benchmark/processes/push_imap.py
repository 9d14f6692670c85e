"""Append the messages of a file to an IMAP account: the least that any restore has to wait for.

Arguments: port, user, password, the file, how many messages a command has (more than one: MULTIAPPEND), how many
commands are on the way at a time, and --ask (wait for the server's go-ahead before each literal). The file holds
mailboxes: a line "NAME COUNT", and so many messages: a line `SIZE (FLAGS) "DATE"`, and the octets.
The standard library only, and as little of it as can be: its start counts too.
"""

import socket
import sys
from typing import BinaryIO


class Push:
    """A client that looks at nothing but how commands end."""

    def __init__(self, port: int, *, asks: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 300)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self._plus = b"" if asks else b"+"
        self._answers.readline()

    def run(self, command: bytes) -> None:
        """Send ``command`` and wait for its end."""
        self._socket.sendall(b"zz9 " + command + b"\r\n")
        self.finish()

    def finish(self) -> None:
        """Wait for the end of the oldest command."""
        while not (line := self._answers.readline()).startswith(b"zz9 "):
            if not line:
                raise ConnectionError("the server ended the connection")
        if not line.startswith(b"zz9 OK") and b"ALREADYEXISTS" not in line:
            raise ValueError(line)

    def start(self, name: bytes, file: BinaryIO, messages: int) -> None:
        """Send the APPEND of the next messages of the file."""
        parts = [b"zz9 APPEND " + name]
        for _ in range(messages):
            size, _, how = file.readline().rstrip().partition(b" ")
            parts.append(b" %b {%b%b}\r\n" % (how, size, self._plus))
            if not self._plus:
                self._socket.sendall(b"".join(parts))
                parts.clear()
                while not self._answers.readline().startswith(b"+"):
                    pass
            parts.append(file.read(int(size)))
        self._socket.sendall(b"".join(parts) + b"\r\n")


def main() -> None:
    """Log in, make the mailboxes, and append."""
    port, user, password, path, most, ahead, *options = sys.argv[1:]
    push = Push(int(port), asks="--ask" in options)
    push.run(f"LOGIN {user} {password}".encode())
    waiting = 0
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes as long to import as all else here
        while line := file.readline():
            name, _, count = line.rpartition(b" ")
            if name.upper() != b"INBOX":
                push.run(b"CREATE " + name)
            left = int(count)
            while left:
                if waiting == int(ahead):
                    push.finish()
                    waiting -= 1
                messages = min(left, int(most))
                push.start(name, file, messages)
                waiting += 1
                left -= messages
            for _ in range(waiting):
                push.finish()
            waiting = 0
    push.run(b"LOGOUT")


main()
