"""Messages being received, below ``partial/``: files without a name, and partial messages that survive a death."""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from mailarchive.clock import Clock
from mailarchive.files import remove, replace_durably, storage, write_all
from mailarchive.mail.body import CHUNK, MemoryBody, SpooledBody
from mailarchive.model import Body, RemoteUid

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TAIL = 64
"""So many of the last octets are to be compared when a message goes on."""
OCTETS, ABOUT = ".part", ".json"


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


class Key(NamedTuple):
    """Which message it is; ``mailbox`` is the server's own name."""

    account: str
    mailbox: bytes
    uidvalidity: int
    uid: RemoteUid

    @property
    def name(self) -> str:
        """What its files are called: nothing in it comes from a server."""
        key = json.dumps([self.account, self.mailbox.decode("latin-1"), self.uidvalidity, self.uid])
        return hashlib.sha256(key.encode()).hexdigest()[:32]


class About(NamedTuple):
    """What is recorded of a partial message: ``length`` octets are durable, and have the hash ``sha256``."""

    key: Key
    size: int | None
    length: int
    sha256: str
    at: datetime

    def to_json(self) -> bytes:
        """Return it as it is written down."""
        key = self.key
        fields = {
            "account": key.account,
            "mailbox": key.mailbox.decode("latin-1"),
            "uidvalidity": key.uidvalidity,
            "uid": key.uid,
            "size": self.size,
            "length": self.length,
            "sha256": self.sha256,
            "at": self.at.isoformat(timespec="seconds"),
        }
        return json.dumps(fields).encode() + b"\n"


def read_about(path: Path) -> About | None:
    """Return what is written in the JSON file at ``path``, None if it is missing or cannot be read."""
    try:
        fields = json.loads(path.read_bytes())
        key = Key(fields["account"], fields["mailbox"].encode("latin-1"), fields["uidvalidity"], fields["uid"])
        at = datetime.fromisoformat(fields["at"]).astimezone()
        about = About(key, fields["size"], int(fields["length"]), fields["sha256"], at)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None
    return about if path.stem == key.name else None


def partials(directory: Path) -> Iterator[About]:
    """Yield what is recorded of each partial message below ``directory``; remove what is none. Raises StorageFailed."""
    with storage(directory):
        paths = sorted(directory.iterdir())
    for path in paths:
        about = read_about(path.with_suffix(ABOUT))
        if path.suffix not in {OCTETS, ABOUT} or about is None:
            remove(path)
        elif path.suffix == ABOUT:
            yield about


def forget(directory: Path, name: str) -> None:
    """Remove a partial message. If the process dies in between, octets are left that nothing tells of."""
    remove(directory / (name + ABOUT))
    remove(directory / (name + OCTETS))


class Partial:
    """The octets of a message that have come so far; each of them is durable (FORMAT.md). Not thread-safe.

    All methods raise StorageFailed.
    """

    def __init__(self, directory: Path, key: Key, size: int | None, clock: Clock) -> None:
        """Go on with what a process before has received of the message, if it is still the same."""
        self.key = key
        self.length = 0
        self.tail = b""
        """The last octets, up to ``TAIL``."""
        self._directory = directory
        self._size = size
        self._clock = clock
        self._path = directory / (key.name + OCTETS)
        self._hash = hashlib.sha256()
        self._fd: int | None = None
        if not self._goes_on(read_about(directory / (key.name + ABOUT))):
            self.restart()

    def _goes_on(self, about: About | None) -> bool:
        if about is None or (about.key, about.size) != (self.key, self._size) or not self._path.is_file():
            return False
        with storage(self._path):
            fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            self._fd = fd
            with closing(SpooledBody(os.fdopen(os.dup(fd), "rb", buffering=0), about.length)) as body:
                for chunk in body.chunks():
                    self._take(chunk[: about.length - self.length])
            if self.length != about.length or self._hash.hexdigest() != about.sha256:
                return False
            os.ftruncate(fd, self.length)
        return True

    def _take(self, octets: bytes) -> None:
        self._hash.update(octets)
        self.length += len(octets)
        self.tail = (self.tail + octets)[-TAIL:]

    def restart(self) -> None:
        """Throw away what has come."""
        self.close()
        forget(self._directory, self.key.name)
        self.length, self.tail, self._hash = 0, b"", hashlib.sha256()

    def append(self, octets: bytes) -> None:
        """Add ``octets``; when this returns they survive the death of the machine."""
        with storage(self._path):
            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            write_all(self._fd, octets)
            os.fsync(self._fd)
        self._take(octets)
        about = About(self.key, self._size, self.length, self._hash.hexdigest(), self._clock.now())
        replace_durably(self._directory / (self.key.name + ABOUT), about.to_json())

    def body(self) -> Body:
        """Return what has come as a message, to be read before anything is appended."""
        if self._fd is None:
            return MemoryBody(b"")
        with storage(self._path):
            return SpooledBody(os.fdopen(os.dup(self._fd), "rb", CHUNK), self.length)

    def close(self) -> None:
        """Release the file, which stays. Never raises."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
