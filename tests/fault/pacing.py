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


class OneAtATime(Fault):
    """Sends a body only when the one before it, over the same connection, is in the journal of ``root``.

    Of body number ``last`` it sends ``part`` octets (None: all), sets ``reached``, and ends the connection after
    ``go_on`` is set. ``sent`` counts what was sent at least in part, ``again`` lists what was in ``recorded``.
    """

    def __init__(self, root: Path) -> None:
        self.sent: Counter[Key] = Counter()
        self.recorded: set[Key] = set()
        self.again: list[Key] = []
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._root = root
        self._sealed: dict[Path, bytes] = {}
        self._left = 0
        self._part: int | None = 0
        self._before: dict[Wire, bytes] = {}
        self._lock = threading.Lock()

    def arm(self, last: int, part: int | None) -> None:
        """Begin anew, for a new process."""
        self._left, self._part = last, part
        self.reached.clear()
        self.go_on.clear()

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        item = body_item(answer)
        if item is None:
            return answer
        while not self._is_recorded(self._before.get(wire)):
            wire.pause(TICK)
            self._check_end()
        with self._lock:
            self._check_end()
            self._left -= 1
            self.sent[answer.mailbox, answer.uid] += 1
            if (answer.mailbox, answer.uid) in self.recorded:
                self.again.append((answer.mailbox, answer.uid))
            if self._left:
                self._before[wire] = hashlib.sha256(answer.items[item]).hexdigest().encode()
                return answer
        if self._part is None:
            wire.send(*answer.pieces())
        else:
            send_part(wire, answer, self._part)
        self.reached.set()
        self.go_on.wait(60)
        raise Hangup

    def _check_end(self) -> None:
        if self.reached.is_set():
            self.go_on.wait(60)
            raise Hangup

    def _is_recorded(self, digest: bytes | None) -> bool:
        if digest is None:
            return True
        journal = self._root / "journal"
        for path in set(journal.glob("*.jsonl.zst")) - self._sealed.keys():
            self._sealed[path] = decompressed(path)
        tail = (journal / "tail.jsonl").read_bytes()
        return digest in tail or any(digest in part for part in tuple(self._sealed.values()))
