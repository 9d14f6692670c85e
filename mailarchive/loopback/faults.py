"""The places where a server may be made to misbehave; what it then does is up to a subclass."""

from dataclasses import dataclass

from mailarchive.loopback.wire import Announced, Command, Wire


class Refused(Exception):
    """A command that is answered NO; ``str()`` is the text, with a response code if there is one."""


class Instead(Exception):
    """A command that is not carried out; ``str()`` is its tagged answer, without the tag."""


@dataclass(slots=True)
class FetchAnswer:
    """The answer for one message, before it is sent. A memoryview among the items goes out as a literal."""

    mailbox: str
    number: int
    uid: int
    items: dict[str, bytes | memoryview]

    def pieces(self) -> list[bytes | memoryview]:
        """Return the octets of the response in the order of the items."""
        found: list[bytes | memoryview] = [b"* %d FETCH (" % self.number]
        for index, (name, value) in enumerate(self.items.items()):
            space = b" " if index else b""
            if isinstance(value, memoryview):
                found += [b"%b%b {%d}\r\n" % (space, name.encode(), len(value)), value]
            else:
                found.append(b"%b%b %b" % (space, name.encode(), value))
        return [*found, b")\r\n"]


class Fault:
    """Does nothing wrong. A subclass overrides one method.

    Each method runs in the thread of the connection: it may send and wait on ``wire``, and may
    raise Hangup (the connection ends without another word). ``command``, ``search`` and ``answer``
    may raise Refused or Instead.
    """

    def greet(self, wire: Wire) -> None:
        """Act before the greeting."""

    def command(self, wire: Wire, command: Command, mailbox: str | None) -> None:
        """Act before a command; ``mailbox`` is the decoded name of the one that is or would be opened."""

    def literal(self, literal: Announced) -> int | None:
        """Return after how many octets of a literal the connection is to end; None lets it be."""

    def literal_came(self, literal: Announced, octets: bytes) -> None:
        """Act on the octets of a literal, before the command goes on."""

    def done(self, wire: Wire, command: Command, answer: str) -> None:
        """Act when a command was carried out, before its tagged ``answer`` (which is without the tag)."""

    def search(self, uids: list[int]) -> list[int]:
        """Return what SEARCH is to answer instead of ``uids`` (UIDs or sequence numbers)."""
        return uids

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:  # noqa: ARG002 - for those who override it
        """Return what FETCH is to answer for one message instead of ``answer``; None leaves it out."""
        return answer
