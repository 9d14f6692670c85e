"""Spool files of messages being received, below ``partial/``."""

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from mailarchive.files import storage, write_all

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _SpoolFile(io.FileIO):
    """An unnamed file whose writes are whole, and whose errors are those of the storage, not of the network."""

    def __init__(self, fd: int, partial: Path) -> None:
        super().__init__(fd, "r+b")
        self._partial = partial

    def write(self, octets: "ReadableBuffer", /) -> int:
        view = memoryview(octets)
        with storage(self._partial / "spool"):
            write_all(self.fileno(), view)
        return view.nbytes


def spool(partial: Path) -> BinaryIO:
    """Return an empty read-write file in ``partial`` that vanishes when it is closed or the process dies.

    Its writes raise StorageFailed.
    """
    with storage(partial):
        fd, name = tempfile.mkstemp(dir=partial, suffix=".tmp")
        Path(name).unlink()
    return cast("BinaryIO", _SpoolFile(fd, partial))
