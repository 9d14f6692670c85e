"""One mbox file a mailbox (mboxrd, RFC 4155): what most mail programs import."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mailarchive.files import storage, write_all
from mailarchive.mail import mboxrd
from mailarchive.targets.base import Place
from mailarchive.targets.paths import Paths, Tell


class MboxTarget:
    """Files ``<account>/<mailbox>.mbox``, each written anew under a temporary name and then put in place."""

    def __init__(self, root: Path, tell: Tell) -> None:
        self._paths = Paths(root, tell)
        self._path: Path | None = None
        self._fd = -1
        self._written = 0

    def has(self, _place: Place) -> bool:
        return False

    def put(self, place: Place, chunks: Iterable[bytes]) -> None:
        path = self._paths.of(place, ".mbox")
        if path != self._path:
            self._finish()
            self._begin(path)
        with storage(path):
            start = os.lseek(self._fd, 0, os.SEEK_CUR)
            try:
                for piece in mboxrd.encode_stream(chunks, place.eol, final=place.final, date=place.date):
                    write_all(self._fd, piece)
            except BaseException:
                os.ftruncate(self._fd, start)
                os.lseek(self._fd, start, os.SEEK_SET)
                raise

    def _begin(self, path: Path) -> None:
        with storage(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._fd = os.open(path.with_name(path.name + ".tmp"), flags, 0o600)
        self._path = path

    def _finish(self) -> None:
        if self._path is not None:
            with storage(self._path):
                os.fsync(self._fd)
                os.close(self._fd)
                self._path.with_name(self._path.name + ".tmp").replace(self._path)
            self._path = None
            self._written += 1

    def close(self) -> int:
        self._finish()
        return self._written

    def abort(self) -> None:
        if self._path is not None:
            with suppress(OSError):
                os.close(self._fd)
                self._path.with_name(self._path.name + ".tmp").unlink()
            self._path = None
