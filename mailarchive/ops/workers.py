"""Threads that share the work of one account, each with a connection of its own."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from mailarchive.clock import Clock
from mailarchive.errors import MailArchiveError, SourceError, Throttled
from mailarchive.model import Closable

GRACE_SECONDS = 5.0
TICK_SECONDS = 0.1
WORTH_WATCHING = 0.05
"""Seconds of waiting that say nothing yet."""

C = TypeVar("C", bound=Closable)


class Workers(Generic[C]):
    """Runs work over up to ``limit`` connections; the main thread only waits, so that signals are handled."""

    def __init__(self, connect: Callable[[], C], limit: int, stop: threading.Event, clock: Clock) -> None:
        self.errors: list[SourceError] = []
        """Why connections were given up that were needed."""
        self.spared: list[SourceError] = []
        """Why others were given up."""
        self.fatal: BaseException | None = None
        """What ended the run: an error of the archive, or a bug."""
        self._connect = connect
        self._limit = limit
        self._stop = stop
        self._clock = clock
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sources: list[C] = []
        self._connected: set[threading.Thread] = set()
        self._hired = clock.monotonic(), clock.worked()
        """When somebody was hired last, and how much the process had worked by then."""
        self._is_done = self._is_over = False

    @property
    def is_stopping(self) -> bool:
        """Whether workers should finish the message at hand and return."""
        return self._stop.is_set() or self.fatal is not None

    def hire(self, work: Callable[[C], None]) -> None:
        """Let one more worker do ``work`` over a new connection, if the limit allows."""
        with self._lock:
            if len(self._threads) >= self._limit or self.is_stopping:
                return
            thread = threading.Thread(
                target=self._run, args=(work,), name=f"connection-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            self._hired = self._clock.monotonic(), self._clock.worked()
        thread.start()

    def mostly_wait(self) -> bool:
        """Return whether the process waited more than it worked since somebody was hired last: then one more helps."""
        then, worked_then = self._hired
        worked = self._clock.worked() - worked_then
        waited = self._clock.monotonic() - then - worked
        return waited > max(WORTH_WATCHING, worked)

    def _run(self, work: Callable[[C], None]) -> None:
        source: C | None = None
        try:
            source = self._connect()
            with self._lock:
                if self._is_over:
                    return
                self._sources.append(source)
                self._connected.add(threading.current_thread())
            work(source)
            self._is_done = True
        except SourceError as error:
            with self._lock:
                self._note(error)
        except BaseException as error:  # noqa: BLE001 - carried to the main thread, which raises it
            with self._lock:
                self.fatal = self.fatal or error
        finally:
            if source is not None:
                source.close()

    def _note(self, error: SourceError) -> None:
        """Keep an error; a server that asks for patience gets no further connections."""
        is_spare = isinstance(error, Throttled) and error.spare
        (self.spared if is_spare else self.errors).append(error)
        if isinstance(error, Throttled):
            self._limit = 0

    def wait(self) -> None:
        """Wait until all workers have returned; when stopping, close their connections after a moment of grace.

        Who is still waiting for a connection then, or when the work is done, is left alone: nothing is in his hands.
        Raises ``fatal``.
        """
        deadline: float | None = None
        is_late = False
        while alive := self._awaited(connected=is_late):
            alive[0].join(TICK_SECONDS)
            if not (self.is_stopping or self._is_idle()):
                deadline, is_late = None, False
            elif deadline is None:
                deadline = self._clock.monotonic() + GRACE_SECONDS
            elif self._clock.monotonic() >= deadline:
                is_late = True
                if self.is_stopping:
                    self._close_all()
        if self.fatal is not None:
            raise self.fatal

    def _awaited(self, *, connected: bool) -> list[threading.Thread]:
        """Return the workers to wait for, only those with a connection if ``connected``; if none, it is over."""
        with self._lock:
            alive = self._alive(self._connected if connected else self._threads)
            self._is_over = not alive
            return alive

    def _is_idle(self) -> bool:
        """Return whether the work is done, and only connections that nobody needs any more are still being made."""
        with self._lock:
            return self._is_done and not self._alive(self._connected)

    @staticmethod
    def _alive(threads: Iterable[threading.Thread]) -> list[threading.Thread]:
        return [thread for thread in threads if thread.is_alive()]

    def _close_all(self) -> None:
        with self._lock:
            for source in self._sources:
                source.close()
            self._sources.clear()


def worst(errors: list[SourceError]) -> MailArchiveError | None:
    """Return the error that says most about why an account could not be pulled."""
    return max(errors, key=lambda error: (not error.retryable, error.exit_code), default=None)
