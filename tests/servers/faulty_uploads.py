"""What goes wrong while messages are put into an account, each as a small Fault (see ``faulty``)."""

import re
from dataclasses import dataclass

from mailarchive.loopback.faults import Instead
from mailarchive.loopback.wire import Announced, Command, Hangup, Wire
from tests.servers.faulty import ALWAYS, Occasional, OnCommand


@dataclass(eq=False, kw_only=True)
class CutUpload(Occasional):
    """Ends the connection after ``after`` octets of the literal of an APPEND."""

    after: int = 100

    def literal(self, literal: Announced) -> int | None:
        return self.after if literal.command == "APPEND" and self.due() else None


@dataclass(eq=False, kw_only=True)
class CutWhenDone(Occasional):
    """Ends the connection when a command was carried out (answer OK), before its tagged answer.

    ``name`` is a regular expression for the command; ``skip`` tells the n-th.
    """

    name: str = "APPEND|(UID )?COPY"

    def done(self, wire: Wire, command: Command, answer: str) -> None:
        if re.fullmatch(self.name, command.name) and answer.startswith("OK") and self.due():
            raise Hangup


@dataclass(eq=False, kw_only=True)
class AnswerInstead(OnCommand):
    """Answers ``line`` (``NO [LIMIT] Not now``, without the tag) instead of carrying a command out."""

    name: str = "APPEND"
    line: str

    def strike(self, wire: Wire) -> None:
        raise Instead(self.line)


@dataclass(eq=False, kw_only=True)
class CutAtOctets(Occasional):
    """Ends the connection whenever the literal of an APPEND contains ``octets``."""

    times: int | None = ALWAYS
    octets: bytes

    def literal_came(self, literal: Announced, octets: bytes) -> None:
        if literal.command == "APPEND" and self.octets in octets and self.due():
            raise Hangup
