"""Open files of somebody else's: a pipe has no end, and neither has a device."""

import errno
import io
import stat
from pathlib import Path


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading. Raises OSError, also for what is no regular file."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return path.open("rb")


def contents(path: Path) -> bytes:
    """Return what is in a small file. Raises OSError, also for what is no regular file."""
    with open_regular(path) as file:
        return file.read()
