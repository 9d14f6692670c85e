"""One file a message, with its exact octets; the file's time is INTERNALDATE."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from mailarchive.errors import StorageFailed
from mailarchive.files import storage, write_all
from mailarchive.targets.base import Home, Place
from mailarchive.targets.paths import Paths, Tell


class EmlTarget:
    """Files ``<account>/<mailbox>/<uid>-<digest>.eml``; one that is there, octet for octet, is left as it is."""

    def __init__(self, root: Path, tell: Tell) -> None:
        self._paths = Paths(root, tell)
        self._directories: dict[Home, str] = {}
        self._written = 0

    def reserve(self, homes: Sequence[Home]) -> None:
        for home in homes:
            self._paths.of(home)

    def _path(self, place: Place) -> str:
        if place.home not in self._directories:
            directory = self._paths.of(place.home)
            with storage(directory):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._directories[place.home] = str(directory)
        uid = f"{place.uid:010d}" if isinstance(place.uid, int) else "pop"
        return f"{self._directories[place.home]}/{uid}-{place.digest.hex()[:16]}.eml"

    def has(self, place: Place) -> bool:
        path = self._path(place)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
                same_size = os.fstat(fd).st_size == place.size
                return same_size and hashlib.file_digest(file, "sha256").digest() == place.digest
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageFailed(f"cannot read {path}: {error.strerror}") from error

    def put(self, place: Place, chunks: Iterable[bytes]) -> None:
        path = self._path(place)
        temporary = path + ".tmp"
        with storage(Path(path)):
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                for chunk in chunks:
                    write_all(fd, chunk)
                if place.date is not None:
                    with suppress(OverflowError, ValueError, OSError):
                        os.utime(fd, (place.date.timestamp(), place.date.timestamp()))
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)  # noqa: PTH108 - a Path for each message takes as long as its SHA-256
                raise
            finally:
                os.close(fd)
            os.replace(temporary, path)  # noqa: PTH105 - as above
        self._written += 1

    def told(self) -> int:
        written, self._written = self._written, 0
        return written

    def learn(self, told: int) -> None:
        self._written += told

    def close(self) -> int:
        return self._written

    def abort(self) -> None:
        """Each message is whole or not there; nothing is open."""
