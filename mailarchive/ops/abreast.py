"""Do the same for several accounts or archives at a time, but not for too many, nor for many of one host."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

AT_ONCE = 4
OF_ONE_HOST = 2
_TICK = 0.1

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lanes:
    """How many accounts may be at work at a time, in all and of one host. Thread-safe."""

    def __init__(self, at_once: int = AT_ONCE, of_one_host: int = OF_ONE_HOST) -> None:
        self._at_once = at_once
        self._of_one_host = of_one_host
        self._busy: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def of(self, host: str) -> Iterator[None]:
        """Wait until one more account of ``host`` may be at work, and let it be so inside the block."""
        with self._changed:
            while self._busy.total() >= self._at_once or self._busy[host] >= self._of_one_host:
                self._changed.wait()
            self._busy[host] += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy[host] -= 1
                self._changed.notify_all()


def side_by_side(items: Sequence[Item], work: Callable[[Item], Result]) -> list[Result]:
    """Return what ``work`` makes of each of ``items``, each in a thread of its own, in their order.

    The main thread only waits, so that signals are handled; a single item is left to it. The first error is raised
    when all have ended.
    """
    if len(items) == 1:
        return [work(items[0])]
    results: dict[int, Result] = {}
    errors: list[BaseException] = []

    def one(place: int, item: Item) -> None:
        try:
            results[place] = work(item)
        except BaseException as error:  # noqa: BLE001 - carried to the main thread, which raises it
            errors.append(error)

    threads = [threading.Thread(target=one, args=each, daemon=True) for each in enumerate(items)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(_TICK)
    if errors:
        raise errors[0]
    return [results[place] for place in range(len(items))]
