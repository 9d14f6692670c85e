"""Where mailboxes go below a directory: one place for each, also where the file system ignores case."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from mailarchive.errors import UsageError
from mailarchive.files import make_directory, replace_durably, storage
from mailarchive.mail.path_name import LONGEST, path_name
from mailarchive.targets.base import Home

MARK = ".mailarchive-export"
LONGEST_PATH = 3800
"""So many octets of a path may be a directory's; Linux takes 4,095, of which files and their endings need some."""
DEEPEST = 64
"""So many directories may lie in one another."""

Tell = Callable[[str], None]


def ignore_text(_text: str) -> None:
    """Listen to nobody."""


def claim(root: Path) -> None:
    """Make ``root``, or take one that an export made before. Raises UsageError, StorageFailed."""
    with storage(root):
        if root.exists() and not root.is_dir():
            raise UsageError(f"{root} is not a directory", hint="name a new directory to export to")
        if root.is_dir() and any(root.iterdir()) and not (root / MARK).exists():
            raise UsageError(
                f"{root} is not empty, and was not made by an export", hint="name a new or empty directory"
            )
    make_directory(root)
    if not (root / MARK).exists():
        replace_durably(root / MARK, b"This directory was written by mailarchive export.\n")


class Paths:
    """Assigns each mailbox of each account a path below ``root``, the same one each time.

    ``tell`` gets a sentence about a name that is too long, or too deep, for a path. ``name`` makes names fit for
    files; the directory of what is below a mailbox is named like it, and ends in ``below``.
    """

    def __init__(
        self, root: Path, tell: Tell = ignore_text, name: Callable[[str], str] = path_name, below: str = ""
    ) -> None:
        """Make ``root``, or take one that an export made before. Raises UsageError, StorageFailed."""
        claim(root)
        self._root = root
        self._name = name
        self._below = below
        self._tell = tell
        self._fitting: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._taken: dict[str, tuple[str, ...]] = {}
        self._boxes: dict[str, int] = {}
        self._known: dict[Home, Path] = {}

    def of(self, home: Home, suffix: str = "") -> Path:
        """Return the path of a mailbox; what vanished from it is kept beside it as ``….gone``."""
        if home not in self._known:
            self._known[home] = self._assign(home, suffix)
        return self._known[home]

    def _assign(self, home: Home, suffix: str) -> Path:
        path = self._root
        names = self._fit((home.account, *home.mailbox))
        for depth, name in enumerate(names, 1):
            is_last = depth == len(names)
            wanted = self._name(name) + (".gone" if is_last and home.gone else "")
            wanted += suffix if is_last else self._below
            path = self._free(path / wanted, (*names[:depth], wanted), home.box if is_last else None)
        return path

    def _fit(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return ``names``, or if a path has no room for them the first ones, and one that has a hash of all."""
        if names not in self._fitting:
            self._fitting[names] = names
            room = LONGEST_PATH - len(os.fsencode(self._root))
            lengths = [len((self._name(name) + self._below).encode()) + 1 for name in names]
            if len(names) > DEEPEST or sum(lengths) > room:
                kept = min(DEEPEST, len(names)) - 1
                while kept > 1 and sum(lengths[:kept]) + LONGEST > room:
                    kept -= 1
                whole = "\0".join(names).encode("utf-8", "surrogatepass")
                self._fitting[names] = (*names[:kept], f"{names[kept][:30]}~{hashlib.sha256(whole).hexdigest()[:16]}")
                self._tell(
                    f"the name of mailbox {'/'.join(names[1:])[:60]}… is too long for a path; "
                    f"its messages are in {'/'.join(map(self._name, self._fitting[names]))}"
                )
        return self._fitting[names]

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
