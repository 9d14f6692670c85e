"""Time as a thing that is handed in, so that nothing in a test has to wait."""

import random
import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the program may know about time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""

    def worked(self) -> float:
        """Return the seconds of processor time that this process has used, all threads together."""

    def sleep(self, seconds: float, stop: threading.Event) -> bool:
        """Wait ``seconds`` or until ``stop`` is set; return whether it was set."""

    def jitter(self) -> float:
        """Return a random number in [0, 1)."""


class Stop(threading.Event):
    """The wish to end a run early; ``signum`` is the signal that it came by (0: none)."""

    signum = 0


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def worked(self) -> float:
        return time.process_time()

    def sleep(self, seconds: float, stop: threading.Event) -> bool:
        return stop.wait(seconds)

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, guards nothing
