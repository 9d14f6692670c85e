"""Store what came while more is coming."""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from mailarchive.archive.prepare import Prepared, prepare
from mailarchive.mail.body import MemoryBody
from mailarchive.model import Fetched, MessageFacts, RemoteUid
from mailarchive.ops.fetching import NotFetched


class Came(NamedTuple):
    """A message that came, and what was found out about it."""

    uid: RemoteUid
    prepared: Prepared


Answer = tuple[Came | NotFetched, MessageFacts]
"""A message or why it did not come, and what was asked for."""
AHEAD = 4 << 20
"""So many octets may wait to be stored, and what came with the last of them."""


class Storing:
    """Calls ``store`` with answers in the order in which they come, those that are put ``ahead`` in another thread.

    What comes while it is at work it gets together the next time: the more waits, the less is done for each. What came
    first is stored at once, as a mailbox of few messages is not worth a thread, and so is what is not in memory.
    A context manager: at its end everything is stored. What ``store`` raises, a later call raises, and nothing more
    is stored.
    """

    def __init__(self, store: Callable[[Sequence[Answer]], None]) -> None:
        self._store = store
        self._is_first = True
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._waiting: list[Answer] = []
        self._octets = 0
        """Of those that wait."""
        self._is_storing = self._is_over = False
        self._error: BaseException | None = None

    def put(self, answers: Sequence[Answer], *, ahead: bool) -> None:
        """Store ``answers``; if ``ahead``, perhaps later."""
        if self._is_first or not ahead or not all(map(_is_in_memory, answers)):
            self._wait_before(answers)
            self._is_first = False
            self._store(answers)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="store", daemon=True)
            self._thread.start()
        with self._changed:
            self._raise()
            self._waiting += answers
            self._octets += sum(map(_octets, answers))
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._octets <= AHEAD)
            self._raise()

    def _wait_before(self, answers: Sequence[Answer]) -> None:
        try:
            self.wait()
        except BaseException:
            for item, _ in answers:
                if isinstance(item, Came):
                    item.prepared.body.close()
            raise

    def wait(self) -> None:
        """Wait until everything is stored."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or not (self._waiting or self._is_storing))
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while answers := self._take():
                self._store(answers)
        except BaseException as error:  # noqa: BLE001 - carried to who fetches, who raises it
            with self._changed:
                self._error, self._octets = error, 0
                self._changed.notify_all()

    def _take(self) -> list[Answer]:
        """Return all that wait, once there are some; none if it is over."""
        with self._changed:
            self._is_storing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            answers, self._waiting, self._octets = self._waiting, [], 0
            self._is_storing = bool(answers)
            self._changed.notify_all()
            return answers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self.wait()
        finally:
            if self._thread is not None:
                with self._changed:
                    self._is_over = True
                    self._changed.notify_all()
                self._thread.join()


def came(item: Fetched | NotFetched) -> Came | NotFetched:
    """Find out about a message what needs no lock."""
    if isinstance(item, NotFetched):
        return item
    try:
        return Came(item.uid, prepare(item.body))
    except BaseException:
        item.body.close()
        raise


def _is_in_memory(answer: Answer) -> bool:
    item, _ = answer
    return isinstance(item, NotFetched) or isinstance(item.prepared.body, MemoryBody)


def _octets(answer: Answer) -> int:
    item, _ = answer
    return 0 if isinstance(item, NotFetched) else item.prepared.size
