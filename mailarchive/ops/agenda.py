"""What the connections of a restore do: tasks in phases, each of which begins when the one before is done."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from mailarchive.archive.messages import MessageReader
from mailarchive.errors import MailboxUnavailable
from mailarchive.targets.accounts import AccountTarget

_TICK = 0.5
"""Seconds after which a worker that waits for others looks whether the run is to end."""


class Owner(Protocol):
    """What a task is for. ``settled`` counts what was gained."""

    is_given_up: bool

    @property
    def settled(self) -> int: ...

    def fail(self, error: MailboxUnavailable) -> None:
        """Note that it cannot be done."""


class Task(NamedTuple):
    """A piece of work that one connection does."""

    owner: Owner
    work: Callable[[AccountTarget, MessageReader], None]


class Agenda:
    """Hands out tasks to connections. Thread-safe.

    ``phases`` are asked for their tasks one after the other, each when nobody is at work any more on one of those
    before. What fails once is left to another connection; what fails twice is given up.
    """

    def __init__(self, phases: Iterable[Callable[[], Iterable[Task]]], is_stopping: Callable[[], bool]) -> None:
        self._phases = iter(phases)
        self._is_stopping = is_stopping
        self._changed = threading.Condition()
        self._queue: deque[Task] = deque()
        self._failed: set[Task] = set()
        self._at_work = 0

    @property
    def waiting(self) -> int:
        """How many tasks may be taken at once."""
        return len(self._queue)

    def take(self) -> Task | None:
        """Return what is to be done next; None if nothing is left for anybody, or the run is to end.

        Waits as long as others are at work that may leave something to do.
        """
        with self._changed:
            while (task := self._next()) is None and self._at_work and not self._is_stopping():
                self._changed.wait(_TICK)
            if task is None or self._is_stopping():
                return None
            self._at_work += 1
            return task

    def _next(self) -> Task | None:
        """Return the next task, of the next phase if nothing is left of this one and nobody is at work on it."""
        while not self._queue and not self._at_work:
            begin = next(self._phases, None)
            if begin is None:
                return None
            self._queue.extend(begin())
            self._changed.notify_all()
        return self._queue.popleft() if self._queue else None

    def give_back(self, task: Task, *, is_done: bool) -> None:
        """Say that nobody is at work any more on a task that was taken."""
        with self._changed:
            self._at_work -= 1
            if not is_done and task in self._failed:
                task.owner.is_given_up = True
            elif not is_done:
                self._failed.add(task)
                self._queue.append(task)
            self._changed.notify_all()
