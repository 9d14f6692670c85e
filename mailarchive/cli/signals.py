"""Ctrl-C and SIGTERM while a pull runs: the first asks it to end, the second ends it at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mailarchive.cli.terminal import say
from mailarchive.clock import Stop


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Yield a Stop that SIGINT and SIGTERM set; afterwards they do again what they did before."""
    stop = Stop()

    def handle(signum: int, _frame: FrameType | None) -> None:
        if stop.signum:
            os._exit(128 + signum)
        stop.signum = signum
        stop.set()
        say(f"mailarchive: {signal.Signals(signum).name}: finishing what has arrived; a second one ends at once")

    before = {signum: signal.signal(signum, handle) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
