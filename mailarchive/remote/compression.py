"""Decides, for all connections to an account, whether compression pays: where the network is what is waited for."""

import threading
from collections.abc import Callable

from mailarchive.clock import Clock, SystemClock
from mailarchive.config import Compress

SLOW = 4_000_000
"""Octets a second. A server's core deflates about ten times as many; a network as fast as that is better left alone."""
ENOUGH_OCTETS = 1 << 20
ENOUGH_SECONDS = 1.0
"""So much must have come, and so long must it have been waited for, before anything is said of a connection."""

Tell = Callable[[str], None]
"""Is told a sentence about the connections, for who wants to know."""


class Throughput:
    """How fast mail comes over one connection while somebody waits for it.

    A round trip is no slowness: what comes first after a question is not counted, nor, when questions are sent before
    the last one has been answered, as much of the waiting after each as the first octets took the last time.
    """

    def __init__(self, clock: Clock) -> None:
        self.moment = clock.monotonic
        self._is_mail = False
        self._is_first = False
        self._latency = self._allowed = 0.0
        self._octets = 0
        self._seconds = 0.0

    def asked(self, *, ahead: bool) -> None:
        """Note that a question is sent; ``ahead``: before the last one has been answered."""
        if ahead:
            self._allowed = self._latency
        else:
            self._is_mail, self._is_first, self._allowed = False, True, 0.0

    def expect_mail(self) -> None:
        """Note that much comes for what is asked now, as fast as the server can send it."""
        self._is_mail = True

    def came(self, octets: int, seconds: float) -> None:
        """Note that ``octets`` came after ``seconds`` of waiting."""
        if self._is_first:
            self._is_first, self._latency = False, seconds
        elif seconds <= self._allowed:
            self._allowed -= seconds
        elif self._is_mail:
            self._octets += octets
            self._seconds += seconds - self._allowed
            self._allowed = 0.0

    def slow(self) -> float | None:
        """Return the octets a second if they are known to be few."""
        if self._octets >= SLOW * max(self._seconds, ENOUGH_SECONDS):
            # It may become slow later.
            self._octets, self._seconds = 0, 0.0
        if self._octets < ENOUGH_OCTETS or self._seconds < ENOUGH_SECONDS:
            return None
        return self._octets / self._seconds


class Compression:
    """What is wanted and what has been found out about compressing the connections to one account. Thread-safe."""

    def __init__(self, wish: Compress = "auto", clock: Clock | None = None, tell: Tell | None = None) -> None:
        self._clock = clock or SystemClock()
        self._tell = tell
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._is_out = wish == "never"
        self._pays = wish == "always"
        self._reason = ""

    @property
    def is_out(self) -> bool:
        """Whether it is not wanted, or the server cannot do it."""
        return self._is_out

    @property
    def pays(self) -> bool:
        """Whether a connection should be compressed as soon as it is made."""
        return self._pays and not self._is_out

    def throughput(self) -> Throughput:
        """Return what measures a new connection."""
        return Throughput(self._clock)

    def pays_for(self, throughput: Throughput) -> bool:
        """Return whether a connection should be compressed now that so much is known about it, or about another."""
        with self._lock:
            if not self._pays and (rate := throughput.slow()) is not None:
                self._pays, self._reason = True, f"the network is slow ({rate / 1e6:.1f} MB/s): "
            return self.pays

    def works(self) -> None:
        """Note that a connection is compressed now."""
        self._say(f"{self._reason}connections are compressed from now on")

    def is_missing(self) -> None:
        """Note that the server does not offer it."""
        if self.pays:
            self._say("the server does not offer to compress connections")

    def is_refused(self, words: str) -> None:
        """Note that the server did not want to; it is asked no more."""
        self._is_out = True
        self._say(f"the server does not compress: {words}")

    def is_broken(self) -> None:
        """Note that the server cannot do it although it says so; it is asked no more."""
        self._is_out = True
        self._say("compressing the connection did not work, and is not tried again")

    def _say(self, sentence: str) -> None:
        with self._lock:
            is_new = sentence not in self._said
            self._said.add(sentence)
        if is_new and self._tell is not None:
            self._tell(sentence)
