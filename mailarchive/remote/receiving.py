"""Messages as they come off the wire: in memory, or spooled where they are too large for that."""

from collections.abc import Callable, Iterable
from typing import BinaryIO

from mailarchive.errors import StorageFailed
from mailarchive.mail.body import SpooledBody

Spool = Callable[[], BinaryIO]
"""Makes an empty read-write file for a message too large for memory."""

LARGEST_IN_MEMORY = 4 << 20
"""Octets of the largest message that is held in memory."""


def spooled(chunks: Iterable[bytes], spool: Spool, cut: Callable[[], None]) -> SpooledBody:
    """Write ``chunks`` to a spool file; whatever fails, ``cut`` ends the connection. Raises StorageFailed."""
    file = None
    size = 0
    try:
        file = spool()
        for chunk in chunks:
            file.write(chunk)
            size += len(chunk)
        file.flush()
    except BaseException as error:
        cut()
        if file is not None:
            file.close()
        if isinstance(error, OSError):
            raise StorageFailed(f"no room for a message of {size} octets or more: {error.strerror}") from error
        raise
    return SpooledBody(file, size)
