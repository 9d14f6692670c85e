"""One mbox file a mailbox (mboxrd, RFC 4155): what most mail programs import."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path

from mailarchive.errors import UsageError
from mailarchive.files import storage
from mailarchive.mail import mboxrd
from mailarchive.targets.base import Home, Place
from mailarchive.targets.paths import Paths, Tell

PIECE = 1 << 20


@dataclass(slots=True)
class _Extent:
    """How far a file goes, and which stretches of it (offset, length) hold nothing, because a message was damaged."""

    end: int = 0
    holes: list[tuple[int, int]] = field(default_factory=list)


class MboxTarget:
    """One file a mailbox, where ``path_of`` says, written under a temporary name and put in place when all is there.

    Each entry has its place in the file, whoever writes it and when; holes are closed at the end. If the process
    dies there are temporary files, which the next export writes anew; ``abort`` removes those of all ``reserve``d
    homes, whoever wrote them.
    """

    def __init__(self, path_of: Callable[[Home], Path]) -> None:
        self._path = path_of
        self._reserved: Sequence[Home] = ()
        self._extents: dict[Home, _Extent] = {}
        self._open: tuple[Home, int] | None = None

    def reserve(self, homes: Sequence[Home]) -> None:
        self._reserved = homes
        for home in homes:
            self._path(home)

    def has(self, _place: Place) -> bool:
        return False

    def put(self, place: Place, chunks: Iterable[bytes]) -> None:
        extent = self._extents.setdefault(place.home, _Extent())
        extent.end = max(extent.end, place.at + place.length)
        at = place.at
        with storage(self._path(place.home)):
            fd = self._descriptor(place.home)
            try:
                for piece in entry(place, chunks):
                    at += _write_at(fd, piece, at)
            except BaseException:
                extent.holes.append((place.at, place.length))
                raise

    def _descriptor(self, home: Home) -> int:
        """Return the file of a mailbox, open; only the last one stays so."""
        if self._open is None or self._open[0] != home:
            self._release()
            path = self._path(home)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open = home, os.open(_temporary(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._open[1]

    def _release(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def told(self) -> dict[Home, _Extent]:
        self._release()
        extents, self._extents = self._extents, {}
        return extents

    def learn(self, told: dict[Home, _Extent]) -> None:
        for home, new in told.items():
            extent = self._extents.setdefault(home, _Extent())
            extent.end = max(extent.end, new.end)
            extent.holes += new.holes

    def close(self) -> int:
        written = len(self._extents)
        for home, extent in self._extents.items():
            path = self._path(home)
            with storage(path):
                fd = self._descriptor(home)
                os.ftruncate(fd, _close_holes(fd, extent))
                os.fsync(fd)
                self._release()
                _temporary(path).replace(path)
        self._extents = {}
        return written

    def abort(self) -> None:
        with suppress(OSError):
            self._release()
        for home in {*self._reserved, *self._extents}:
            with suppress(OSError):
                _temporary(self._path(home)).unlink()
        self._extents = {}


def mbox_files(root: Path, tell: Tell) -> MboxTarget:
    """Return what writes files ``<account>/<mailbox>.mbox``. Raises UsageError, StorageFailed."""
    paths = Paths(root, tell)
    return MboxTarget(lambda home: paths.of(home, ".mbox"))


def one_mbox(path: Path) -> MboxTarget:
    """Return what writes all into one new file. Raises UsageError."""
    if path.exists():
        raise UsageError(f"{path} exists already", hint="name a new file for the messages")
    return MboxTarget(lambda _home: path)


def entry(place: Place, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the entry, in one piece if the message is small: that is several times as quick."""
    if place.length <= PIECE:
        octets = b"".join(chunks)
        text = octets.translate(None, b"\r") if place.eol == "crlf" else octets
        yield mboxrd.encode(place.lines + text, final=place.final, date=place.date)
    else:
        yield from mboxrd.encode_stream(chain([place.lines], chunks), place.eol, final=place.final, date=place.date)


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".mailarchive.tmp")  # the directory may be one with files of others


def _write_at(fd: int, octets: bytes, at: int) -> int:
    """Write all ``octets`` at an offset and return how many they are. Raises OSError."""
    written = os.pwrite(fd, octets, at)
    while written < len(octets):
        written += os.pwrite(fd, octets[written:], at + written)
    return written


def _close_holes(fd: int, extent: _Extent) -> int:
    """Move what stands behind holes to the front; return where the file ends now. Raises OSError."""
    holes = sorted(extent.holes)
    to = holes[0][0] if holes else extent.end
    for (at, length), (behind, _) in pairwise([*holes, (extent.end, 0)]):
        for start in range(at + length, behind, PIECE):
            to += _write_at(fd, os.pread(fd, min(PIECE, behind - start), start), to)
    return to
