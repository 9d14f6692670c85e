"""An archive in use is waited for as long as is wanted, and no longer."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailarchive.clock import Stop
from mailarchive.errors import ArchiveLocked
from mailarchive.ops.events import Event, Waiting
from mailarchive.ops.lock_wait import when_free
from tests.servers.still_clock import StillClock


class Busy:
    """An archive that is locked for some tries."""

    def __init__(self, tries: int) -> None:
        self.left = tries
        self.tried = 0

    def work(self) -> str:
        self.tried += 1
        if self.left:
            self.left -= 1
            raise ArchiveLocked("locked by somebody")
        return "done"


def test_it_is_tried_again_until_it_is_free_and_told_once() -> None:
    busy, events = Busy(4), list[Event]()
    clock = StillClock()
    found = when_free(Path("/a"), timedelta(minutes=1), busy.work, events.append, clock, Stop())
    assert (found, busy.tried) == ("done", 5)
    assert events == [Waiting("/a", 60.0, "locked by somebody")]


@pytest.mark.parametrize(("patience", "tries"), [(timedelta(), 1), (timedelta(seconds=12), 4)])
def test_after_that_it_is_given_up(patience: timedelta, tries: int) -> None:
    busy = Busy(100)
    with pytest.raises(ArchiveLocked):
        when_free(Path("/a"), patience, busy.work, lambda _event: None, StillClock(), Stop())
    assert busy.tried == tries


def test_a_run_that_is_stopped_waits_no_more() -> None:
    stop, busy = Stop(), Busy(100)
    stop.set()
    with pytest.raises(ArchiveLocked):
        when_free(Path("/a"), timedelta(minutes=1), busy.work, lambda _event: None, StillClock(), stop)
    assert busy.tried == 1
