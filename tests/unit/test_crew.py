"""Work on a list of numbers is done once for each, whoever does it; errors and deaths of helpers are told."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailarchive.archive import crew as crews
from mailarchive.archive.crew import Crew, helpers_for
from mailarchive.errors import ArchiveDamaged, HelperKilled

NUMBERS = range(-5, 200)
Work = Callable[[int], tuple[int, int]]


@contextmanager
def who(parent: int, left: Path, fate: str = "") -> Iterator[Work]:
    """Lend what tells the number and the process; helpers may meet their ``fate``."""

    def tell(number: int) -> tuple[int, int]:
        if os.getpid() != parent:
            if fate == "raise":
                raise ArchiveDamaged(f"{number} is damaged", hint="none")
            if fate == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        elif not fate:
            threading.Event().wait(0.005)
        return number, os.getpid()

    try:
        yield tell
    finally:
        (left / str(os.getpid())).touch()


def until(happened: Callable[[], bool]) -> None:
    """Wait for a helper, for a minute at most."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "the helper did nothing"
        threading.Event().wait(0.01)


class OnlyGoesOut(Exception):
    """Can be pickled, but not made again of what was pickled."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


@contextmanager
def odd(left: Path) -> Iterator[Work]:
    """Lend what raises an error that the parent cannot read."""
    (left / str(os.getpid())).touch()

    def fail(number: int) -> tuple[int, int]:
        raise OnlyGoesOut(number, number)

    yield fail


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_each_number_is_done_once_and_everybody_closes_what_they_opened(tmp_path: Path, helpers: int) -> None:
    with Crew(who, (os.getpid(), tmp_path), NUMBERS, helpers) as crew:
        found = list(crew.results())
    assert sorted(number for number, _ in found) == list(NUMBERS)
    assert {pid for _, pid in found} <= {int(path.name) for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == helpers + 1


def test_helpers_begin_before_results_are_asked_for(tmp_path: Path) -> None:
    with Crew(who, (os.getpid(), tmp_path), range(3), 1) as crew:
        until(lambda: any(tmp_path.iterdir()))
        found = list(crew.results())
    assert [number for number, _ in found] == [0, 1, 2]
    assert os.getpid() not in {pid for _, pid in found}


def test_an_error_of_a_helper_is_raised_here(tmp_path: Path) -> None:
    with Crew(who, (os.getpid(), tmp_path, "raise"), range(1), 1) as crew:
        until(lambda: any(tmp_path.iterdir()))
        with pytest.raises(ArchiveDamaged, match="0 is damaged") as raised:
            list(crew.results())
    assert raised.value.hint == "none"


def test_the_death_of_a_helper_is_no_success(tmp_path: Path) -> None:
    with Crew(who, (os.getpid(), tmp_path, "kill"), range(1), 1) as crew:
        until(lambda: crew.has_news)
        with pytest.raises(HelperKilled):
            list(crew.results())


def test_an_error_that_cannot_be_read_here_ends_the_waiting(tmp_path: Path) -> None:
    with Crew(odd, (tmp_path,), range(1), 1) as crew:
        until(lambda: crew.has_news)
        with pytest.raises(TypeError):
            list(crew.results())


def test_who_gives_up_has_no_helpers_left(tmp_path: Path) -> None:
    with Crew(who, (os.getpid(), tmp_path), range(100_000), 2) as crew:
        next(crew.results())
    assert len(list(tmp_path.iterdir())) == 3


def test_without_processes_everything_is_done_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with Crew(who, (os.getpid(), tmp_path), range(3), 2) as crew:
        assert list(crew.results()) == [(number, os.getpid()) for number in range(3)]


def test_small_work_is_not_worth_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert helpers_for(10 << 20) == 0
    assert helpers_for(10 << 30) == crews.MOST - 1
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert helpers_for(10 << 30) == 0
