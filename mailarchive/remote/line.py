"""A connection that is made again when it is lost, with patience."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from mailarchive.clock import Clock
from mailarchive.errors import ConnectionLost, SourceError, Throttled
from mailarchive.model import Closable
from mailarchive.remote.patience import Crew, OnWait, Patience

C = TypeVar("C", bound=Closable)
R = TypeVar("R")


class Line(Generic[C]):
    """Does work over a connection that ``connect`` makes, and again over another if the work can be repeated.

    Setting ``stop`` ends waiting: the error at hand is raised. ``waits`` says whether Throttled is waited for; ``crew``
    are the lines to the account.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        *,
        clock: Clock,
        stop: threading.Event,
        on_wait: OnWait | None = None,
        waits: bool = False,
        crew: Crew | None = None,
    ) -> None:
        """Connect. Raises what ``connect`` raises."""
        self._connect = connect
        self._patience = Patience(clock, stop, on_wait=on_wait, waits=waits, crew=crew)
        self._connection: C | None = None
        try:
            self.do(lambda _connection: None)
        except BaseException:
            self._patience.close()
            raise
        self._patience.begin()

    def do(self, work: Callable[[C], R]) -> R:
        """Return what ``work`` returns; after a SourceError that allows it, it is done again from its beginning."""
        while True:
            try:
                result = work(self.connection())
            except SourceError as error:
                self.recover(error)
            else:
                self.progress()
                return result

    def progress(self) -> None:
        """Note that something was gained: what fails now has not failed before."""
        self._patience.progress()

    def drop(self) -> None:
        """End the connection; the next work is done over another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def part(self, farewell: Callable[[C], object]) -> None:
        """End the connection by ``farewell``, whose errors go through; none is made for it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            farewell(connection)

    def close(self) -> None:
        """End the connection and all waiting; never raises, from any thread."""
        self._patience.close()
        connection = self._connection
        if connection is not None:
            connection.close()

    def connection(self) -> C:
        """Return the connection, made anew if it was lost. Raises ConnectionLost after ``close``."""
        if self._patience.closed.is_set():
            raise ConnectionLost("the connection was closed")
        if self._connection is None:
            self._connection = self._connect()
            if self._patience.closed.is_set():
                self._connection.close()
        return self._connection

    def recover(self, error: SourceError) -> None:
        """Wait before the next attempt, over a new connection if need be; raise ``error`` if there is to be none."""
        if not error.retryable:
            raise error
        if not (isinstance(error, Throttled) and error.connected):
            self.drop()
        self._patience.recover(error)
