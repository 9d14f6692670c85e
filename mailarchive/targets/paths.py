"""Where mailboxes go below a directory: one place for each, also where the file system ignores case."""

from pathlib import Path

from mailarchive.errors import UsageError
from mailarchive.files import make_directory, replace_durably
from mailarchive.mail.path_name import path_name
from mailarchive.targets.base import Place

MARK = ".mailarchive-export"


class Paths:
    """Assigns each mailbox of each account a path below ``root``, the same one each time."""

    def __init__(self, root: Path) -> None:
        """Make ``root``, or take one that an export made before. Raises UsageError, StorageFailed."""
        if root.exists() and not root.is_dir():
            raise UsageError(f"{root} is not a directory", hint="name a new directory to export to")
        if root.is_dir() and any(root.iterdir()) and not (root / MARK).exists():
            raise UsageError(
                f"{root} is not empty, and was not made by an export", hint="name a new or empty directory"
            )
        make_directory(root)
        if not (root / MARK).exists():
            replace_durably(root / MARK, b"This directory was written by mailarchive export.\n")
        self._root = root
        self._taken: dict[str, tuple[str, ...]] = {}
        self._boxes: dict[str, int] = {}

    def of(self, place: Place, suffix: str = "") -> Path:
        """Return the path of the mailbox of ``place``; what vanished from a mailbox is kept beside it as ``….gone``."""
        path = self._root
        names = (place.account, *place.mailbox)
        for depth, name in enumerate(names, 1):
            is_last = depth == len(names)
            wanted = path_name(name) + (".gone" if is_last and place.gone else "") + (suffix if is_last else "")
            path = self._free(path / wanted, (*names[:depth], wanted), place.box if is_last else None)
        return path

    def _free(self, path: Path, owner: tuple[str, ...], box: int | None) -> Path:
        """Return ``path``, or one like it if that is another name's, or (of a mailbox) another mailbox's own."""
        candidate, number = path, 2
        while not self._is_free(str(candidate).casefold(), owner, box):
            candidate = path.with_name(f"{path.stem}~{number}{path.suffix}")
            number += 1
        return candidate

    def _is_free(self, key: str, owner: tuple[str, ...], box: int | None) -> bool:
        """Take ``key`` for ``owner``; a mailbox may share it with those below it, not with another of its name."""
        if self._taken.setdefault(key, owner) != owner:
            return False
        return box is None or self._boxes.setdefault(key, box) == box
