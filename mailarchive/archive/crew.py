"""Processes that share work: each takes the next number from one list until none is left.

Threads would not do: of small messages most of the cost is Python's own, and that runs in one thread at a time.
"""

import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from struct import Struct
from typing import IO, Any, Generic, TypeVar, cast

from mailarchive.errors import HelperKilled

R = TypeVar("R")
Work = Callable[[int], R]
"""What is done with a number."""
Prepare = Callable[..., AbstractContextManager[Work[R]]]
"""Opens what the work needs."""

MOST = 4
"""So many processes share a list, this one included: each needs memory for a block and its messages."""
WORTHWHILE = 32 << 20
"""For so many octets of text more another process is begun; its start costs about as much as 20 MB of them."""
_NUMBER = Struct("<q")
_BOOT = "import sys; sys.path[:] = {path!r}; from mailarchive.archive.crew import help_out; help_out({length})"


def helpers_for(octets: int) -> int:
    """Return how many processes beside this one are worth their start for ``octets`` of text."""
    return max(0, min(os.cpu_count() or 1, MOST, octets // WORTHWHILE) - 1)


class Crew(Generic[R]):
    """Does the work that ``prepare(*arguments)`` lends with each of ``numbers``, here and in some helpers.

    Helpers begin at once, this process begins when it asks for ``results``. ``prepare``, arguments, results and errors
    must be picklable. A context manager: at its end the helpers finish the number at hand, and are gone.

    The list is a file without a name that all have open as one description, so that they share its offset: who
    reads a number takes it from the others. A helper whose parent has died ends when it cannot tell its next result.
    """

    def __init__(self, prepare: Prepare[R], arguments: tuple[Any, ...], numbers: Sequence[int], helpers: int) -> None:
        self._prepare = prepare
        self._arguments = arguments
        self._list = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the crew
        job = pickle.dumps((prepare, arguments)) if helpers else b""
        self._list.write(job + b"".join(map(_NUMBER.pack, numbers)))
        self._list.seek(len(job))
        self._found: queue.SimpleQueue[tuple[R, Exception | None] | None] = queue.SimpleQueue()
        self._helpers: list[tuple[subprocess.Popen[bytes], threading.Thread]] = []
        with suppress(OSError):  # without helpers everything is done here
            for _ in range(helpers):
                self._helpers.append(self._begin(len(job)))
        self._at_work = len(self._helpers)

    def _begin(self, length: int) -> tuple[subprocess.Popen[bytes], threading.Thread]:
        """Begin a helper, in a process group of its own: what the terminal signals is for this process to decide."""
        boot = [sys.executable, "-P", "-c", _BOOT.format(path=sys.path, length=length)]
        helper = subprocess.Popen(boot, stdin=self._list, stdout=subprocess.PIPE, process_group=0)
        receiver = threading.Thread(target=self._receive, args=(helper.stdout,), daemon=True)
        receiver.start()
        return helper, receiver

    def _receive(self, results: IO[bytes]) -> None:
        """Pass on what a helper tells; one that does not say that it is done was killed."""
        try:
            while (result := pickle.load(results)) is not None:  # noqa: S301 - our own process tells it
                self._found.put(result)
        except (EOFError, pickle.UnpicklingError):
            killed = HelperKilled("a process that shared the work was killed; not everything was looked at")
            self._found.put((cast("R", None), killed))
        except Exception as error:  # noqa: BLE001 - whatever cannot be read, nobody may wait for it for ever
            self._found.put((cast("R", None), error))
            while results.read(1 << 16):
                pass
        self._found.put(None)

    @property
    def has_news(self) -> bool:
        """Whether a helper has told something that was not asked for yet."""
        return not self._found.empty()

    def results(self) -> Iterator[R]:
        """Work along, and yield the results in the order in which they come.

        Raises what the work raises, anywhere, and HelperKilled.
        """
        with self._prepare(*self._arguments) as work:
            for number in _taken(self._list.fileno()):
                yield work(number)
                yield from self._told(wait=False)
        yield from self._told(wait=True)

    def _told(self, *, wait: bool) -> Iterator[R]:
        """Yield the results of helpers: those that are there, or all."""
        while self._at_work:
            try:
                told = self._found.get(block=wait)
            except queue.Empty:
                return
            if told is None:
                self._at_work -= 1
                continue
            result, error = told
            if error is not None:
                raise error
            yield result

    def __enter__(self) -> "Crew[R]":
        return self

    def __exit__(self, *_error: object) -> None:
        self._list.seek(0, os.SEEK_END)
        for helper, receiver in self._helpers:
            receiver.join()
            helper.wait()
            cast("IO[bytes]", helper.stdout).close()
        self._list.close()


def _taken(fd: int) -> Iterator[int]:
    """Yield the numbers that nobody else has taken."""
    while octets := os.read(fd, _NUMBER.size):
        yield from _NUMBER.unpack(octets)


def help_out(length: int) -> None:
    """Be a helper: standard input is the list, behind ``length`` octets that say what to do; tell the results."""
    with suppress(BrokenPipeError):
        prepare, arguments = pickle.loads(os.pread(0, length, 0))  # noqa: S301 - our parent wrote it
        try:
            with prepare(*arguments) as work:
                for number in _taken(0):
                    _tell((work(number), None))
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
            _tell((None, error))
        _tell(None)


def _tell(result: object) -> None:
    pickle.dump(result, sys.stdout.buffer)
    sys.stdout.buffer.flush()
