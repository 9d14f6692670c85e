"""How long to wait before something is tried again, and when to give up."""

import threading
from collections.abc import Callable

from mailarchive.clock import Clock
from mailarchive.errors import ConnectionLost, SourceError, Throttled, TooManyConnections, TurnedAway

OnWait = Callable[[float, str], None]
"""Is told the seconds before the next attempt and why it is needed."""

ATTEMPTS = 5
"""Failures in a row, with nothing gained in between, after which the last error is raised."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
"""Seconds; every wait is twice the one before, less up to half of it by chance."""
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 900.0
"""The same when the server asks for patience and does not say how long."""
_STEP = 5.0
"""Seconds after which a wait notices that nobody needs it any more."""


class Crew:
    """The connections to one account that are at work. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: set[object] = set()

    def join(self, member: object) -> None:
        """Be at work from now on."""
        with self._lock:
            self._members.add(member)

    def leave(self, member: object) -> None:
        """Be at work no more; may be called twice."""
        with self._lock:
            self._members.discard(member)

    def leave_to_others(self, member: object) -> bool:
        """Leave, unless nobody else is at work; return whether it was so."""
        with self._lock:
            if not self._members - {member}:
                return False
            self._members.discard(member)
            return True


class Patience:
    """The waits of one connection. Setting ``stop`` or ``closed`` ends a wait: then the error at hand is raised.

    ``waits`` says whether the wish of a server to be left alone is waited for, however long that takes.
    """

    def __init__(
        self,
        clock: Clock,
        stop: threading.Event,
        *,
        on_wait: OnWait | None = None,
        waits: bool = False,
        crew: Crew | None = None,
    ) -> None:
        self.closed = threading.Event()
        self._clock = clock
        self._stop = stop
        self._on_wait = on_wait
        self._waits = waits
        self._crew = crew or Crew()
        self._crew.join(self)
        self._is_starting = True
        self._fruitless = self._pauses = 0

    def begin(self) -> None:
        """Note that the connection was made, and work is in hand from now on."""
        self._is_starting = False

    def progress(self) -> None:
        """Note that something was gained."""
        self._fruitless = self._pauses = 0

    def close(self) -> None:
        """End a wait that is going on; wait no more."""
        self.closed.set()
        self._crew.leave(self)

    def recover(self, error: SourceError) -> None:
        """Wait before the next attempt; raise ``error`` if there is to be none."""
        if isinstance(error, Throttled) and not self._may_pass_soon(error):
            self._pause(error)
            return
        self._fruitless += 1
        if self._fruitless >= ATTEMPTS:
            raise error
        self._wait(self._backoff(FIRST_WAIT, self._fruitless - 1, LONGEST_WAIT), error)

    def _may_pass_soon(self, error: Throttled) -> bool:
        return isinstance(error, TurnedAway) and not self._pauses and self._fruitless + 1 < ATTEMPTS

    def _pause(self, error: Throttled) -> None:
        """Wait as long as the server wants; not if that is not wanted, or if other connections do the work."""
        if self._is_starting or isinstance(error, TooManyConnections):
            error.spare = self._crew.leave_to_others(self)
            if error.spare:
                raise error
        if not self._waits:
            raise error
        if error.hint == Throttled.default_hint:
            error.hint = ConnectionLost.default_hint
        seconds = error.seconds
        if seconds is None:
            seconds = self._backoff(FIRST_PAUSE, self._pauses, LONGEST_PAUSE)
        self._pauses += 1
        self._fruitless = 0
        self._wait(max(seconds, FIRST_WAIT), error)

    def _backoff(self, first: float, times: int, longest: float) -> float:
        return min(longest, first * 2.0 ** min(times, 10)) * (1 - self._clock.jitter() / 2)

    def _wait(self, seconds: float, error: SourceError) -> None:
        if self._on_wait is not None and not self._is_over():
            self._on_wait(seconds, str(error))
        until = self._clock.monotonic() + seconds
        while not self._is_over() and (left := until - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, _STEP), self._stop)
        if self._is_over():
            raise error

    def _is_over(self) -> bool:
        return self._stop.is_set() or self.closed.is_set()
