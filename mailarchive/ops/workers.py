"""Threads that share the work of one account, each with a connection of its own."""

import threading
from collections.abc import Callable

from mailarchive.clock import Clock
from mailarchive.errors import MailArchiveError, SourceError
from mailarchive.sources.base import Source, SourceFactory

GRACE_SECONDS = 5.0
TICK_SECONDS = 0.1

Work = Callable[[Source], None]


class Workers:
    """Runs ``Work`` over up to ``limit`` connections; the main thread only waits, so that signals are handled."""

    def __init__(self, connect: SourceFactory, limit: int, stop: threading.Event, clock: Clock) -> None:
        self.errors: list[SourceError] = []
        """Why connections were given up."""
        self.fatal: BaseException | None = None
        """What ended the run: an error of the archive, or a bug."""
        self._connect = connect
        self._limit = limit
        self._stop = stop
        self._clock = clock
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sources: list[Source] = []

    @property
    def is_stopping(self) -> bool:
        """Whether workers should finish the message at hand and return."""
        return self._stop.is_set() or self.fatal is not None

    def hire(self, work: Work) -> None:
        """Let one more worker do ``work`` over a new connection, if the limit allows."""
        with self._lock:
            if len(self._threads) >= self._limit or self.is_stopping:
                return
            thread = threading.Thread(target=self._run, args=(work,), name=f"pull-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
        thread.start()

    def _run(self, work: Work) -> None:
        source: Source | None = None
        try:
            source = self._connect()
            with self._lock:
                self._sources.append(source)
            work(source)
        except SourceError as error:
            with self._lock:
                self.errors.append(error)
        except BaseException as error:  # noqa: BLE001 - carried to the main thread, which raises it
            with self._lock:
                self.fatal = self.fatal or error
        finally:
            if source is not None:
                source.close()

    def wait(self) -> None:
        """Wait until all workers have returned; when stopping, close their connections after a moment of grace.

        Raises ``fatal``.
        """
        deadline: float | None = None
        while alive := self._alive():
            alive[0].join(TICK_SECONDS)
            if self.is_stopping and deadline is None:
                deadline = self._clock.monotonic() + GRACE_SECONDS
            if deadline is not None and self._clock.monotonic() >= deadline:
                self._close_all()
        if self.fatal is not None:
            raise self.fatal

    def _alive(self) -> list[threading.Thread]:
        with self._lock:
            return [thread for thread in self._threads if thread.is_alive()]

    def _close_all(self) -> None:
        with self._lock:
            for source in self._sources:
                source.close()
            self._sources.clear()


def worst(errors: list[SourceError]) -> MailArchiveError | None:
    """Return the error that says most about why an account could not be pulled."""
    return max(errors, key=lambda error: (not error.retryable, error.exit_code), default=None)
