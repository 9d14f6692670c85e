"""Retrieve everything from a POP3 server, many messages ahead, and throw it away.

Arguments: port, user, password, how many messages ahead (1: no pipelining). Prints the octets received.
"""

import socket
import sys

_BUFFER = 1 << 20
_END = b"\r\n.\r\n"


class Drain:
    """A client that looks at nothing but the ends of answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 300)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = 0
        self._socket.recv(_BUFFER)

    def line(self, command: str) -> str:
        """Send ``command`` and return the one line of its answer."""
        self._socket.sendall(command.encode() + b"\r\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self._receive()
        if not answer.startswith(b"+OK"):
            raise ConnectionError(f"{command} was answered {answer!r}")
        return answer.decode()

    def retrieve(self, count: int, ahead: int) -> None:
        """Retrieve messages 1 to ``count``, at most ``ahead`` commands on their way."""
        asked = ended = 0
        carried = b""
        while ended < count:
            if asked < count and asked - ended <= ahead // 2:
                until = min(count, ended + ahead)
                commands = "".join(f"RETR {number}\r\n" for number in range(asked + 1, until + 1))
                self._socket.sendall(commands.encode())
                asked = until
            octets = carried + self._receive()
            ended += octets.count(_END)
            carried = octets[1 - len(_END) :]

    def _receive(self) -> bytes:
        octets = self._socket.recv(_BUFFER)
        if not octets:
            raise ConnectionError("the server ended the connection")
        self.received += len(octets)
        return octets


def main() -> None:
    """Log in, retrieve, quit."""
    port, user, password, ahead = sys.argv[1:]
    drain = Drain(int(port))
    drain.line(f"USER {user}")
    drain.line(f"PASS {password}")
    drain.retrieve(int(drain.line("STAT").split()[1]), int(ahead))
    drain.line("QUIT")
    print(drain.received)


main()
