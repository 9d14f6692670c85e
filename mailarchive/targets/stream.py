"""All messages as one mbox (mboxrd, RFC 4155) that goes to a pipe, in the order in which they come."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

from mailarchive.targets.base import Home, Place
from mailarchive.targets.mbox import PIECE, entry

Write = Callable[[Iterable[bytes]], None]


class StreamTarget:
    """Writes each entry when all of it is there; for one process. What ``write`` raises goes through."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def reserve(self, homes: Sequence[Home]) -> None:
        """All go to one place."""

    def has(self, _place: Place) -> bool:
        return False

    def put(self, place: Place, chunks: Iterable[bytes]) -> None:
        if place.length <= PIECE:
            self._write(list(entry(place, chunks)))
            return
        with tempfile.TemporaryFile() as spool:  # until its last octet the message may turn out to be damaged
            for piece in entry(place, chunks):
                spool.write(piece)
            spool.seek(0)
            self._write(_pieces(spool.read))

    def told(self) -> None:
        """No other process writes."""

    def learn(self, _told: None) -> None:
        """No other process writes."""

    def close(self) -> int:
        return 1

    def abort(self) -> None:
        """Leave it at that: each entry that went to the pipe is whole."""


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(PIECE):
        yield piece
