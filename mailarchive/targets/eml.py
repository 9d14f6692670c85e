"""One file a message, with its exact octets; the file's time is INTERNALDATE."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mailarchive.errors import StorageFailed
from mailarchive.files import storage, write_all
from mailarchive.targets.base import Place
from mailarchive.targets.paths import Paths, Tell


class EmlTarget:
    """Files ``<account>/<mailbox>/<uid>-<digest>.eml``; one that is there, octet for octet, is left as it is."""

    def __init__(self, root: Path, tell: Tell) -> None:
        self._paths = Paths(root, tell)
        self._made: set[Path] = set()
        self._written = 0

    def _path(self, place: Place) -> Path:
        directory = self._paths.of(place)
        if directory not in self._made:
            with storage(directory):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._made.add(directory)
        uid = f"{place.uid:010d}" if isinstance(place.uid, int) else "pop"
        return directory / f"{uid}-{place.digest.hex()[:16]}.eml"

    def has(self, place: Place) -> bool:
        path = self._path(place)
        try:
            with path.open("rb") as file:
                same_size = os.fstat(file.fileno()).st_size == place.size
                return same_size and hashlib.file_digest(file, "sha256").digest() == place.digest
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageFailed(f"cannot read {path}: {error.strerror}") from error

    def put(self, place: Place, chunks: Iterable[bytes]) -> None:
        path = self._path(place)
        temporary = path.with_name(path.name + ".tmp")
        with storage(path):
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                for chunk in chunks:
                    write_all(fd, chunk)
                if place.date is not None:
                    with suppress(OverflowError, ValueError, OSError):
                        os.utime(fd, (place.date.timestamp(), place.date.timestamp()))
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            finally:
                os.close(fd)
            temporary.replace(path)
        self._written += 1

    def close(self) -> int:
        return self._written

    def abort(self) -> None:
        """Each message is whole or not there; nothing is open."""
