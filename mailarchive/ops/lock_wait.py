"""Wait for an archive that another process is writing to."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from mailarchive.clock import Clock, Stop
from mailarchive.errors import ArchiveLocked
from mailarchive.ops.events import Observer, Waiting

_TICK = 5.0
"""Seconds between two looks at the lock."""

Result = TypeVar("Result")


def when_free(
    directory: Path, patience: timedelta, work: Callable[[], Result], observer: Observer, clock: Clock, stop: Stop
) -> Result:
    """Return what ``work`` makes of an archive, tried again while another process writes to it.

    Raises what ``work`` raises, ArchiveLocked after ``patience`` or when the run is stopped.
    """
    end = clock.monotonic() + patience.total_seconds()
    is_told = False
    while True:
        try:
            return work()
        except ArchiveLocked as error:
            left = end - clock.monotonic()
            if left <= 0 or stop.is_set():
                raise
            if not is_told:
                observer(Waiting(str(directory), left, str(error)))
                is_told = True
            clock.sleep(min(_TICK, left), stop)
