"""Several things are done at a time, in bounds, and their results are in order."""

import threading
from collections import Counter

import pytest

from mailarchive.ops import abreast
from mailarchive.ops.abreast import Lanes, side_by_side


class Watched:
    """Counts who is at work at the same time, by host; each waits until so many are."""

    def __init__(self, together: int) -> None:
        self.most: Counter[str] = Counter()
        self._lanes = Lanes()
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._together = threading.Barrier(together)

    def work(self, item: str) -> str:
        with self._lanes.of(item[0]):
            with self._lock:
                for key in (item[0], "all"):
                    self._now[key] += 1
                    self.most[key] = max(self.most[key], self._now[key])
            self._together.wait(10)
            with self._lock:
                self._now.subtract((item[0], "all"))
        return item.upper()


def test_as_many_at_a_time_as_may_be_and_results_in_order() -> None:
    watched = Watched(abreast.AT_ONCE)
    items = ["a1", "b1", "c1", "d1", "a2", "b2", "c2", "d2"]
    assert side_by_side(items, watched.work) == [item.upper() for item in items]
    assert watched.most["all"] == abreast.AT_ONCE


def test_of_one_host_only_a_few() -> None:
    watched = Watched(abreast.OF_ONE_HOST)
    side_by_side(["a1", "a2", "a3", "a4"], watched.work)
    assert watched.most["a"] == abreast.OF_ONE_HOST


def test_a_lane_is_free_again_after_an_error() -> None:
    lanes = Lanes(1, 1)
    with pytest.raises(ValueError), lanes.of("a"):
        raise ValueError
    with lanes.of("a"):
        pass


def test_one_alone_is_done_by_the_thread_that_asks() -> None:
    assert side_by_side(["a"], lambda _item: threading.current_thread()) == [threading.current_thread()]
    assert side_by_side([], str) == []


def test_an_error_is_raised_when_the_others_have_ended() -> None:
    both, ended = threading.Barrier(2), threading.Event()

    def work(item: str) -> None:
        both.wait(10)
        if item == "bad":
            raise ValueError(item)
        ended.set()

    with pytest.raises(ValueError, match="bad"):
        side_by_side(["bad", "good"], work)
    assert ended.is_set()
