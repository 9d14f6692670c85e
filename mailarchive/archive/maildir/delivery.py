"""Puts links into Maildirs, or copies where there can be none, and makes a batch of them durable together."""

import errno
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mailarchive.files import storage, sync_together
from mailarchive.store.message_files import MessageFiles, seconds_of, set_time

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS}


class Delivery:
    """One batch after the other below ``root``. All methods raise StorageFailed.

    A link is in its mailbox at once, since the message file is whole and durable. A copy comes by ``tmp``, is made
    durable with those of its batch, and renamed. If the process dies before ``finish`` there may be files in ``tmp``,
    which the next delivery of the same message writes anew.
    """

    def __init__(self, root: Path, files: MessageFiles, tell: Callable[[str], None]) -> None:
        self._root = root
        self._files = files
        self._tell = tell
        self._can_link = True
        self._unnamed: dict[Path, Path] = {}
        """Names that files are to have, and their temporary ones."""
        self._changed: set[str] = set()
        """Directories, and files that were appended to."""

    def touch(self, *directories: Path) -> None:
        """Take notice that names in ``directories`` are new."""
        self._changed.update(map(str, directories))

    def deliver(self, directory: Path, name: str, number: int, date: datetime | None) -> None:
        """Put message ``number`` into the Maildir ``directory``. Raises FileNotFoundError if it has no file."""
        source, target = self._files.name(number), f"{directory}/cur/{name}"
        has_its_time = date is None or int(os.stat(source).st_mtime) == seconds_of(date)  # noqa: PTH116 - see name
        if has_its_time and self._is_linked(source, target):
            self._changed.add(f"{directory}/cur")
        else:
            self._copy(Path(source), Path(target), None if has_its_time else date)

    def _is_linked(self, source: str, target: str) -> bool:
        """Link a message unless that cannot be, for this file or on this file system."""
        if not self._can_link:
            return False
        try:
            os.link(source, target)
        except FileExistsError:
            return True
        except OSError as error:
            if error.errno == errno.EMLINK:
                return False
            if error.errno not in _NO_LINKS:
                with storage(Path(target)):
                    raise
            self._can_link = False
            self._tell(f"{self._root} is on a file system without hard links: messages are copied")
            return False
        return True

    def _copy(self, source: Path, target: Path, date: datetime | None) -> None:
        """Copy with the time ``date``, or that of ``source``."""
        if target.exists():
            return
        temporary = target.parent.with_name("tmp") / target.name
        with storage(temporary):
            shutil.copyfile(source, temporary)
            temporary.chmod(0o600)
            if date is None:
                shutil.copystat(source, temporary)
            else:
                set_time(temporary, date)
        self._unnamed[target] = temporary

    def write(self, path: Path, octets: bytes) -> None:
        """Put ``octets`` at ``path``, with ``finish``: there is the old file or the new one, whole."""
        temporary = path.with_name(path.name + ".tmp")
        with storage(temporary):
            temporary.write_bytes(octets)
            temporary.chmod(0o600)
        self._unnamed[path] = temporary

    def append(self, path: Path, octets: bytes) -> None:
        """Append ``octets`` to ``path``, durable with ``finish``."""
        with storage(path), path.open("ab") as file:
            file.write(octets)
        self._changed.add(str(path))

    def rename(self, directory: Path, old: str, new: str) -> None:
        """Rename a message of the Maildir ``directory``."""
        with storage(directory / "cur" / new):
            (directory / "cur" / old).rename(directory / "cur" / new)
        self._changed.add(f"{directory}/cur")

    def remove(self, directory: Path, name: str) -> None:
        """Remove a message from the Maildir ``directory``."""
        with storage(directory / "cur" / name):
            (directory / "cur" / name).unlink(missing_ok=True)
        self._changed.add(f"{directory}/cur")

    def finish(self) -> None:
        """Make everything durable."""
        if self._unnamed:
            sync_together(self._root, self._unnamed.values())
            for target, temporary in self._unnamed.items():
                with storage(target):
                    temporary.rename(target)
                self._changed.add(str(target.parent))
            self._unnamed.clear()
        changed = [path for path in self._changed if Path(path).exists()]
        if changed:
            sync_together(self._root, changed)
        self._changed.clear()
