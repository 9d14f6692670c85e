"""Who is waited for at the end of a pull, and who is not."""

import threading
from collections.abc import Iterator

import pytest

from mailarchive.clock import Stop
from mailarchive.errors import ArchiveDamaged, ConnectionLost, Throttled, TooManyConnections
from mailarchive.ops.workers import Workers, worst
from mailarchive.sources.base import Source
from mailarchive.sources.memory import MemoryAccount, MemorySource
from tests.servers.still_clock import StillClock


class Ticking(StillClock):
    """A clock that goes on by ten seconds whenever somebody looks."""

    def monotonic(self) -> float:
        self.sleeps.append(10.0)
        return super().monotonic()


class Door:
    """Lets connections in one after the other; those from number ``first_late`` on only when ``go_on`` is set."""

    def __init__(self, first_late: int) -> None:
        self.go_on = threading.Event()
        self.tried = threading.Semaphore(0)
        self._left = first_late - 1
        self._account = MemoryAccount()
        self._account.create("INBOX")

    def connect(self) -> Source:
        self._left -= 1
        if self._left < 0:
            self.tried.release()
            assert self.go_on.wait(60)
        return MemorySource(self._account)


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door(2)
    yield door
    door.go_on.set()


def test_a_connection_that_comes_when_the_work_is_done_is_not_waited_for(door: Door) -> None:
    workers = Workers(door.connect, 2, Stop(), Ticking())
    worked: list[Source] = []

    def work(source: Source) -> None:
        worked.append(source)
        workers.hire(work)
        assert door.tried.acquire(timeout=60)

    workers.hire(work)
    workers.wait()
    assert (len(worked), workers.errors) == (1, [])


def test_nor_when_something_broke(door: Door) -> None:
    workers = Workers(door.connect, 2, Stop(), Ticking())

    def work(_source: Source) -> None:
        workers.hire(work)
        assert door.tried.acquire(timeout=60)
        raise ArchiveDamaged("broken")

    workers.hire(work)
    with pytest.raises(ArchiveDamaged):
        workers.wait()


def test_work_that_is_in_hand_is_waited_for() -> None:
    door = Door(9)
    workers = Workers(door.connect, 3, Stop(), Ticking())
    started, done = threading.Event(), list[int]()

    def slowly(_source: Source) -> None:
        started.set()
        threading.Event().wait(0.3)
        done.append(1)

    def work(_source: Source) -> None:
        workers.hire(slowly)
        assert started.wait(60)

    workers.hire(work)
    workers.wait()
    assert done == [1]


def test_a_server_that_asks_for_patience_gets_no_further_connections() -> None:
    door = Door(9)
    workers = Workers(door.connect, 5, Stop(), StillClock())
    errors = [TooManyConnections("full"), ConnectionLost("cut")]
    errors[0].spare = True  # type: ignore[attr-defined]

    def fail(_source: Source) -> None:
        raise errors[0]

    workers.hire(fail)
    workers.wait()
    assert (workers.errors, workers.spared) == ([], [errors[0]])
    workers.hire(lambda _source: pytest.fail("hired"))
    workers.wait()


def test_the_worst_error_is_told() -> None:
    lost, slow = ConnectionLost("cut"), Throttled("later")
    assert worst([slow, lost]) is lost
    assert worst([]) is None


class Working(StillClock):
    """A clock that also knows how much the process has worked."""

    seconds = 0.0

    def worked(self) -> float:
        return self.seconds


def test_one_more_helps_only_while_the_process_mostly_waits() -> None:
    clock, stop = Working(), Stop()
    workers = Workers(lambda: MemorySource(MemoryAccount()), 4, stop, clock)
    assert not workers.mostly_wait()
    clock.sleep(1, stop)
    clock.seconds += 0.6
    assert not workers.mostly_wait()
    clock.sleep(1, stop)
    assert workers.mostly_wait()
    workers.hire(lambda _source: None)
    assert not workers.mostly_wait()
    clock.sleep(1, stop)
    assert workers.mostly_wait()
    workers.wait()
