"""A server that sends one body after the other, so that a process can be killed at a known place."""

import hashlib
import threading
from collections import Counter
from pathlib import Path

from mailarchive.loopback.faults import Fault, FetchAnswer
from mailarchive.loopback.wire import Hangup, Wire
from tests.fault.archives import decompressed
from tests.servers.faulty import body_item, send_part

TICK = 0.001
Key = tuple[str, int]


class Process:
    """What the server and the test tell each other about one process."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def check_end(self) -> None:
        """Once the place is reached: wait until the test goes on, and end the connection."""
        if self.reached.is_set():
            self.go_on.wait(60)
            raise Hangup


class OneAtATime(Fault):
    """Sends a body only when the one before it, over the same connection, is in the journal of ``root``.

    Of body number ``last`` it sends ``part`` octets (None: all), sets ``reached``, and ends the connection after
    ``go_on`` is set. ``sent`` counts what was sent at least in part, ``again`` lists what was in ``recorded``.
    """

    def __init__(self, root: Path) -> None:
        self.sent: Counter[Key] = Counter()
        self.recorded: set[Key] = set()
        self.again: list[Key] = []
        self._process = Process()
        self._root = root
        self._sealed: dict[Path, bytes] = {}
        self._left = 0
        self._part: int | None = 0
        self._before: dict[Wire, bytes] = {}
        self._lock = threading.Lock()

    def arm(self, last: int, part: int | None) -> None:
        """Begin anew, for a new process; connections of the one before end."""
        with self._lock:
            self._process.go_on.set()
            self._process = Process()
            self._left, self._part = last, part

    @property
    def reached(self) -> threading.Event:
        """Is set when the place is reached."""
        return self._process.reached

    @property
    def go_on(self) -> threading.Event:
        """Is to be set when the process has been dealt with."""
        return self._process.go_on

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        item = body_item(answer)
        if item is None:
            return answer
        process = self._process
        while not self._is_recorded(self._before.get(wire)):
            wire.pause(TICK)
            process.check_end()
        left = self._count(process, wire, answer, item)
        if left > 0:
            return answer
        if left == 0:
            if self._part is None:
                wire.send(*answer.pieces())
            else:
                send_part(wire, answer, self._part)
            process.reached.set()
        process.reached.wait(60)
        process.check_end()
        return None

    def _count(self, process: Process, wire: Wire, answer: FetchAnswer, item: str) -> int:
        """Count a body that is asked for; return how many may still come after it, -1 if it may not come itself."""
        with self._lock:
            if process is not self._process:
                raise Hangup
            if not self._left:
                return -1
            self._left -= 1
            self.sent[answer.mailbox, answer.uid] += 1
            if (answer.mailbox, answer.uid) in self.recorded:
                self.again.append((answer.mailbox, answer.uid))
            self._before[wire] = hashlib.sha256(answer.items[item]).hexdigest().encode()
            return self._left

    def _is_recorded(self, digest: bytes | None) -> bool:
        if digest is None:
            return True
        journal = self._root / "journal"
        for path in set(journal.glob("*.jsonl.zst")) - self._sealed.keys():
            self._sealed[path] = decompressed(path)
        tail = (journal / "tail.jsonl").read_bytes()
        return digest in tail or any(digest in part for part in tuple(self._sealed.values()))
