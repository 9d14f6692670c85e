"""Local folders of Thunderbird: mbox files without an ending, and ``<name>.sbd`` with what is below them."""

from pathlib import Path

from mailarchive.files import storage, sync_directory
from mailarchive.mail.path_name import path_name
from mailarchive.targets.mbox import MboxTarget
from mailarchive.targets.paths import Paths, Tell

BELOW = ".sbd"
_PASSED_OVER = (".sbd", ".msf", ".dat", ".html", ".js", ".lock", ".log", ".mozmsgs", ".snm", ".toc")
"""Endings of files that Thunderbird does not take for mailboxes."""


class ThunderbirdTarget(MboxTarget):
    """Files ``<account>.sbd/<mailbox>``, beside each directory the empty mbox by which Thunderbird finds it."""

    def __init__(self, root: Path, tell: Tell) -> None:
        self._root = root
        super().__init__(Paths(root, tell, thunderbird_name, BELOW).of)

    def close(self) -> int:
        written = super().close()
        for home in self._reserved:
            for directory in self._path(home).parents:
                if directory == self._root:
                    break
                beside = directory.with_name(directory.name.removesuffix(BELOW))
                with storage(beside):
                    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                    beside.touch(mode=0o600)
                    sync_directory(directory.parent)
        return written


def thunderbird_name(name: str) -> str:
    """Return a file name that Thunderbird takes for a mailbox's."""
    safe = path_name(name).replace("#", "%23").replace(";", "%3B")
    if safe.endswith("~"):
        safe = safe[:-1] + "%7E"
    stem, dot, ending = safe.rpartition(".")
    return f"{stem}%2E{ending}" if dot and f".{ending.lower()}" in _PASSED_OVER else safe
