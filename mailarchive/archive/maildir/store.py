"""Puts each message into a file of its own, and has the tree follow (store/FORMAT.md)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mailarchive.archive.maildir.tree import Tree
from mailarchive.archive.prepare import Prepared
from mailarchive.catalog.base import Catalog
from mailarchive.facts import BlockPacked, Fact, MessageStored, Position
from mailarchive.files import remove, sync_together
from mailarchive.mail import bare, mboxrd
from mailarchive.mail.body import MemoryBody
from mailarchive.store.frames import FrameMaker
from mailarchive.store.message_files import MessageFiles


class FileStore:
    """The store of the layout `maildir`. ``level`` is that of zstd, None for plain files."""

    def __init__(self, files: MessageFiles, tree: Tree, catalog: Catalog, level: int | None) -> None:
        self.texts = files
        self._tree = tree
        self._frames = None if level is None else FrameMaker(level)
        self._number = max(catalog.newest_block(), files.newest())
        self._untold: list[int] = []
        """Files that no fact speaks of yet."""
        self._unsynced: set[Path] = set()
        """Files and directories."""
        tree.catch_up(catalog)

    def has_room(self, _size: int) -> bool:
        """Return that there is: each message has a file of its own."""
        return True

    def turn(self) -> Sequence[BlockPacked]:
        """Do nothing."""
        return ()

    def put(self, prepared: Prepared, date: datetime | None) -> MessageStored:
        """Write the file of a message."""
        number = self._number + 1
        text_size, length = _sizes(prepared)
        pieces = prepared.entry(bare, date)
        path = self.texts.write(number, pieces if self._frames is None else self._frames.frame(pieces, text_size), date)
        self._number = number
        self._untold.append(number)
        self._unsynced.update((path, path.parent, self.texts.root))
        self._tree.learn_size(number, text_size)
        return MessageStored(
            prepared.digest, prepared.header, prepared.size, number, 0, length, prepared.eol, prepared.final
        )

    def flush(self) -> None:
        """Do nothing: files are written at once."""

    def told(self) -> None:
        """Take notice that facts speak of all files."""
        self._untold.clear()

    def take_back(self) -> None:
        """Remove the files that no fact speaks of."""
        for number in self._untold:
            remove(self.texts.path(number))
        self._untold.clear()

    def news(self) -> Sequence[BlockPacked]:
        """Return nothing: a message stays where it is."""
        return ()

    def sync(self) -> None:
        """Make the files durable, together."""
        sync_together(self.texts.root, self._unsynced)
        self._unsynced.clear()

    @contextmanager
    def applying(self, facts: Sequence[Fact], catalog: Catalog, position: Position) -> Iterator[None]:
        """Have the tree follow. If the process dies before it has, it is made to catch up at the next open."""
        touched = self._tree.touched(facts, catalog)
        yield
        self._tree.follow(touched, catalog, position)

    def finish(self) -> Sequence[BlockPacked]:
        """Return nothing."""
        return ()

    def close(self) -> None:
        """Do nothing: no file is open."""


def _sizes(prepared: Prepared) -> tuple[int, int]:
    """Return the octets of a message's text, and of its entry if it were in mbox text."""
    if isinstance(prepared.body, MemoryBody):
        return len(prepared.text), mboxrd.entry_length(prepared.text, final=prepared.final)
    return mboxrd.sizes_of_stream(prepared.body.chunks(), prepared.eol, final=prepared.final)
