"""Append messages to the INBOX of an IMAP server: the least that any restore has to wait for.

Arguments: port, user, password, a file of messages (each behind its length and a line end), messages a command
(MULTIAPPEND if more than one), commands on the way at a time, and how many of the messages (0: all). Literals go
without waiting (LITERAL+). The standard library only.
"""

import socket
import sys

_DATE = b"01-Jan-2024 12:00:00 +0000"


def _messages(path: str) -> list[bytes]:
    found = []
    with open(path, "rb") as file:  # noqa: PTH123 - the import of pathlib would be measured too
        while length := file.readline():
            found.append(file.read(int(length)))
    return found


def _push(port: int, user: str, password: str, messages: list[bytes], together: int, ahead: int) -> None:
    line = socket.create_connection(("127.0.0.1", port), 300)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers = line.makefile("rb")
    answers.readline()

    def end() -> None:
        while not (answer := answers.readline()).startswith(b"a1 "):
            if not answer:
                raise ConnectionError("the server ended the connection")
        if not answer.startswith(b"a1 OK"):
            raise ConnectionError(answer.decode("latin-1"))

    line.sendall(b"a1 LOGIN %s %s\r\n" % (user.encode(), password.encode()))
    end()
    waiting = 0
    for start in range(0, len(messages), together):
        command = bytearray(b"a1 APPEND INBOX")
        for octets in messages[start : start + together]:
            command += b' (\\Seen) "%s" {%d+}\r\n' % (_DATE, len(octets)) + octets
        line.sendall(command + b"\r\n")
        waiting += 1
        if waiting == ahead:
            end()
            waiting -= 1
    for _ in range(waiting):
        end()


if __name__ == "__main__":
    port, user, password, path, together, ahead, most = sys.argv[1:]
    _push(int(port), user, password, _messages(path)[: int(most) or None], int(together), int(ahead))
