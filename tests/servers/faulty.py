"""What servers do wrong, each as a small Fault to put into ``LoopbackServer.faults``."""

import re
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mailarchive.loopback.faults import Fault, FetchAnswer, Refused
from mailarchive.loopback.server import LoopbackServer
from mailarchive.loopback.wire import Command, Hangup, Wire


@contextmanager
def faulty(server: LoopbackServer, *faults: Fault) -> Iterator[None]:
    """Let ``server`` misbehave for the duration of the context."""
    server.faults.extend(faults)
    try:
        yield
    finally:
        for fault in faults:
            server.faults.remove(fault)


ALWAYS = None
WHOLE, PIECE, TEXT = r"BODY\[\]", r"BODY\[\]<\d+>", r"BODY\[TEXT\]"
BODY = f"{WHOLE}|{PIECE}|{TEXT}"


@dataclass(eq=False, kw_only=True)
class Occasional(Fault):
    """Strikes ``times`` times (None: for ever) after ``skip`` occasions; ``struck`` says how often it did."""

    times: int | None = 1
    skip: int = 0
    struck: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def due(self) -> bool:
        """Count one occasion and return whether the fault strikes."""
        with self._lock:
            if self.skip:
                self.skip -= 1
                return False
            strikes = self.times is None or self.struck < self.times
            self.struck += strikes
            return strikes


@dataclass(eq=False, kw_only=True)
class OnCommand(Occasional):
    """Strikes at commands whose name matches ``name`` (a regular expression), in ``mailbox`` if one is given."""

    name: str = ".*"
    mailbox: str | None = None

    def command(self, wire: Wire, command: Command, mailbox: str | None) -> None:
        if re.fullmatch(self.name, command.name) and self.mailbox in {None, mailbox} and self.due():
            self.strike(wire)

    def strike(self, wire: Wire) -> None:
        raise NotImplementedError


@dataclass(eq=False, kw_only=True)
class RefuseCommand(OnCommand):
    """Answers NO: a mailbox that vanished before EXAMINE, a log-in that is refused, a server in trouble."""

    text: str = "[UNAVAILABLE] Try again later"

    def strike(self, wire: Wire) -> None:
        raise Refused(self.text)


@dataclass(eq=False, kw_only=True)
class ByeAtCommand(OnCommand):
    """Says BYE instead of carrying the command out."""

    text: str = "Session expired"

    def strike(self, wire: Wire) -> None:
        wire.line(f"* BYE {self.text}")
        raise Hangup


@dataclass(eq=False, kw_only=True)
class CutAtCommand(OnCommand):
    """Ends the connection without a word."""

    def strike(self, wire: Wire) -> None:
        raise Hangup


@dataclass(eq=False, kw_only=True)
class StallAtCommand(OnCommand):
    """Never answers."""

    def strike(self, wire: Wire) -> None:
        wire.stall()


@dataclass(eq=False, kw_only=True)
class SayBefore(OnCommand):
    """Sends unsolicited lines before the answers of a command."""

    lines: tuple[str, ...]

    def strike(self, wire: Wire) -> None:
        for line in self.lines:
            wire.line(line)


@dataclass(eq=False, kw_only=True)
class ActBefore(OnCommand):
    """Calls ``act`` before a command, for example to change the account between LIST and EXAMINE."""

    act: Callable[[], object]

    def strike(self, wire: Wire) -> None:
        self.act()


@dataclass(eq=False, kw_only=True)
class SlowCommands(OnCommand):
    """Waits before it carries a command out: a round-trip time of ``seconds``."""

    times: int | None = ALWAYS
    seconds: float = 0.04

    def strike(self, wire: Wire) -> None:
        wire.pause(self.seconds)


@dataclass(eq=False, kw_only=True)
class GreetWithBye(Occasional):
    """Says BYE in place of the greeting."""

    text: str = "The server is shutting down"

    def greet(self, wire: Wire) -> None:
        if self.due():
            wire.line(f"* BYE {self.text}")
            raise Hangup


@dataclass(eq=False, kw_only=True)
class ShortSearch(Occasional):
    """Finds only the first ``limit`` messages, as some servers do."""

    times: int | None = ALWAYS
    limit: int

    def search(self, uids: list[int]) -> list[int]:
        return uids[: self.limit] if self.due() else uids


@dataclass(eq=False, kw_only=True)
class OnAnswer(Occasional):
    """Strikes at FETCH answers: ``uids`` (None: any), in ``mailbox`` (None: any), without a body only if ``facts``.

    ``item`` is a regular expression for the item that carries the message, or its text, or a piece of it.
    """

    uids: Collection[int] | None = None
    mailbox: str | None = None
    facts: bool = False
    item: str = BODY

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        wanted = self.uids is None or answer.uid in self.uids
        right_kind = self.facts or any(re.fullmatch(self.item, name) for name in answer.items)
        if wanted and right_kind and self.mailbox in {None, answer.mailbox} and self.due():
            return self.strike(wire, answer)
        return answer

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        raise NotImplementedError


def body_item(answer: FetchAnswer) -> str | None:
    """Return the name of the item that carries the message, or its text, or a piece of it, if there is one."""
    return next((name for name in answer.items if re.fullmatch(BODY, name)), None)


def send_part(wire: Wire, answer: FetchAnswer, octets: int) -> None:
    """Send the answer up to ``octets`` octets of its literal."""
    for piece in answer.pieces():
        if isinstance(piece, memoryview):
            wire.send(piece[:octets])
            return
        wire.send(piece)


@dataclass(eq=False, kw_only=True)
class Cut(OnAnswer):
    """Ends the connection after ``after`` octets of a body."""

    after: int = 100

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        send_part(wire, answer, self.after)
        raise Hangup


@dataclass(eq=False, kw_only=True)
class Stall(OnAnswer):
    """Sends nothing more after ``after`` octets of a body."""

    after: int = 100

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        send_part(wire, answer, self.after)
        wire.stall()
        return None


@dataclass(eq=False, kw_only=True)
class Bye(OnAnswer):
    """Says BYE in place of an answer."""

    text: str = "Session expired"

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        wire.line(f"* BYE {self.text}")
        raise Hangup


@dataclass(eq=False, kw_only=True)
class Refuse(OnAnswer):
    """Answers NO to every FETCH that comes to one of the messages; those before it are sent."""

    times: int | None = ALWAYS
    text: str = "[UNAVAILABLE] Server error"

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        raise Refused(self.text)


@dataclass(eq=False, kw_only=True)
class Omit(OnAnswer):
    """Leaves messages out of the answers and still says OK."""

    times: int | None = ALWAYS

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        return None


@dataclass(eq=False, kw_only=True)
class Alter(OnAnswer):
    """Replaces items (``{"RFC822.SIZE": b"1"}``), leaves some out, and sends those of ``last`` at the end."""

    times: int | None = ALWAYS
    facts: bool = True
    items: dict[str, bytes] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    last: tuple[str, ...] = ()

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        items: dict[str, bytes | memoryview] = {
            name: self.items.get(name, value) for name, value in answer.items.items() if name not in self.without
        }
        for name in self.last:
            if name in items:
                items[name] = items.pop(name)
        return FetchAnswer(answer.mailbox, answer.number, answer.uid, items)


@dataclass(eq=False, kw_only=True)
class WrongSizes(Fault):
    """Says that each message is ``factor`` times as large as it is."""

    factor: int = 3

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer:
        if size := answer.items.get("RFC822.SIZE"):
            answer.items["RFC822.SIZE"] = b"%d" % (int(bytes(size)) * self.factor)
        return answer


@dataclass(eq=False, kw_only=True)
class BodyAs(OnAnswer):
    """Sends the body as something else than a literal: ``quoted``, ``nil``, or not at all (``missing``)."""

    times: int | None = ALWAYS
    form: str = "nil"

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        name = body_item(answer)
        assert name is not None
        items = dict(answer.items)
        body = bytes(items.pop(name))
        if self.form == "quoted":
            items[name] = b'"%b"' % body.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        elif self.form == "nil":
            items[name] = b"NIL"
        return FetchAnswer(answer.mailbox, answer.number, answer.uid, items)


@dataclass(eq=False, kw_only=True)
class Truncate(OnAnswer):
    """Sends ``octets`` octets of the body as if they were all: a well-formed, shorter literal."""

    times: int | None = ALWAYS
    octets: int = 0

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        name = body_item(answer)
        assert name is not None
        short = memoryview(bytes(answer.items[name])[: self.octets])
        return FetchAnswer(answer.mailbox, answer.number, answer.uid, {**answer.items, name: short})


@dataclass(eq=False, kw_only=True)
class Interject(OnAnswer):
    """Sends unsolicited lines before an answer: EXPUNGE, EXISTS, FETCH (FLAGS …), OK with a text."""

    facts: bool = True
    lines: tuple[str, ...]

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        for line in self.lines:
            wire.line(line)
        return answer


@dataclass(eq=False, kw_only=True)
class Trickle(OnAnswer):
    """Sends an answer ``octets`` octets at a time, with pauses of ``seconds``."""

    times: int | None = ALWAYS
    octets: int = 64
    seconds: float = 0.001

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        whole = b"".join(answer.pieces())
        for start in range(0, len(whole), self.octets):
            wire.send(whole[start : start + self.octets])
            wire.pause(self.seconds)
        return None


Change = Callable[[str, bytes, bytes], tuple[str, bytes]]
"""Makes of an item's name, the octets that it should have, and those of the whole message another name and octets."""


@dataclass(eq=False, kw_only=True)
class AlterPieces(OnAnswer):
    """Answers ``BODY[]<o.n>`` in its own way, from a server that knows the message by other means."""

    times: int | None = ALWAYS
    item: str = PIECE
    server: LoopbackServer
    change: Change

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        name = body_item(answer)
        assert name is not None
        items = dict(answer.items)
        whole = self.server.account[answer.mailbox].messages[answer.uid].octets
        altered, octets = self.change(name, bytes(items.pop(name)), whole)
        return FetchAnswer(answer.mailbox, answer.number, answer.uid, {**items, altered: memoryview(octets)})


@dataclass(eq=False, kw_only=True)
class IgnorePartial(AlterPieces):
    """Answers ``BODY[]<o.n>`` with the whole message."""

    change: Change = lambda _name, _octets, whole: ("BODY[]", whole)
