"""Standard output and standard error, and what can go wrong with them."""

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mailarchive.cli.render import clean
from mailarchive.errors import MailArchiveError


class ReaderGone(Exception):
    """Nobody reads standard output any more (``mailarchive list | head``)."""


class OutputFailed(MailArchiveError):
    """Standard output cannot be written."""


def prepare() -> None:
    """Make standard output and error accept every character whatever their encoding is."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - it stays open as long as the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - it stays open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def out(line: str) -> None:
    """Print one line on standard output. Raises ReaderGone, OutputFailed."""
    with _writing():
        print(line)


def out_octets(chunks: Iterable[bytes]) -> None:
    """Write octets as they are to standard output. Raises ReaderGone, OutputFailed."""
    with _writing():
        sys.stdout.flush()
    for chunk in chunks:
        with _writing():
            sys.stdout.buffer.write(chunk)


def flush() -> None:
    """Hand over what was printed. Raises ReaderGone, OutputFailed."""
    with _writing():
        sys.stdout.flush()


@contextmanager
def _writing() -> Iterator[None]:
    """Translate an error of standard output, which is closed then, so that nothing more is tried at the end."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from None
        raise OutputFailed(f"standard output cannot be written: {error.strerror}") from None


_writers: list[Callable[[str], str]] = []


def also_to(writer: Callable[[str], str]) -> None:
    """Let ``writer`` have each line that is said from now on; what it returns is printed in its place."""
    _writers.append(writer)


def note_down(line: str) -> str:
    """Give a line to those who keep what is said, and return it as they want it printed."""
    for writer in _writers:
        line = writer(line)
    return line


def say(line: str) -> None:
    """Print one line for people on standard error; what nobody can read is no error."""
    line = note_down(line)
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def notice(sentence: str) -> None:
    """Say on standard error, under the program's name, what somebody should know; the text may be anybody's."""
    say(f"mailarchive: {clean(sentence)}")


def is_watched() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr.isatty()
