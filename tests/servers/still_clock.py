"""A clock on which waiting takes no time."""

import threading
from datetime import UTC, datetime, timedelta

START = datetime(2024, 1, 1, tzinfo=UTC)


class StillClock:
    """Stands still at ``start`` but for ``sleep``, which moves it on and writes down for how long."""

    def __init__(self, start: datetime = START) -> None:
        self.sleeps: list[float] = []
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return sum(self.sleeps)

    def worked(self) -> float:
        return 0.0

    def sleep(self, seconds: float, stop: threading.Event) -> bool:
        self.sleeps.append(seconds)
        return stop.is_set()

    def jitter(self) -> float:
        return 0.0
