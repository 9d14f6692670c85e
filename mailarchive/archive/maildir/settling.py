"""Make message files whole after a crash. Only to be called by the holder of the lock; nothing is thrown away."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from mailarchive.catalog.base import Catalog
from mailarchive.facts import Fact, Lost
from mailarchive.files import make_directory, storage, sync_together
from mailarchive.store.message_files import MessageFiles


def is_clean(files: MessageFiles, catalog: Catalog) -> bool:
    """Return whether the newest message of the catalog has the newest file: all that can be seen in a moment."""
    newest = catalog.newest_block()
    if files.newest() > newest:
        return False
    return not catalog.block_end(newest) or files.path(newest).exists()


@dataclass(slots=True)
class FileSettling:
    """One run of it. ``tell`` gets each repair in a sentence; files without a fact are moved to ``aside``."""

    files: MessageFiles
    tell: Callable[[str], None]
    aside: Path
    facts: list[Fact] = field(default_factory=list)
    """What was found out, to be recorded."""
    strange: list[str] = field(default_factory=list)
    """Nothing: a crash explains any file without a fact."""

    def sync(self) -> None:
        """Make durable all files, so that facts about them may be. Raises StorageFailed."""
        paths = [self.files.path(number) for number in self.files.numbers()]
        sync_together(self.files.root, {*paths, *(path.parent for path in paths), self.files.root})

    def settle(self, catalog: Catalog) -> None:
        """Compare what files there are with what the journal says. Raises StorageFailed."""
        known, found = set(catalog.blocks()), set(self.files.numbers())
        surplus = sorted(found - known)
        for number in surplus:
            self._move_aside(self.files.path(number))
        if surplus:
            self.tell(f"{len(surplus)} files of messages that no fact speaks of were moved to {self.aside}")
        missing = known - found
        for number in sorted(missing):
            why = f"{self.files.path(number).name} is missing"
            self.facts.extend(Lost(message.digest, why, cut=True) for message in catalog.messages_in(number))
        if missing:
            self.tell(
                f"{len(missing)} files below {self.files.root} are missing, and their messages are lost; "
                "the next pull fetches again those that the server still has"
            )

    def _move_aside(self, path: Path) -> None:
        make_directory(self.aside)
        target = next(place for n in count(1) if not (place := self.aside / f"{n:04d}-{path.name}").exists())
        with storage(target):
            path.rename(target)

    def finish(self) -> None:
        """Do nothing more."""
