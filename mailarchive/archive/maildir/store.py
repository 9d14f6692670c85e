"""Puts each message into a file of its own, and has the tree follow (store/FORMAT.md)."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from mailarchive.archive.maildir.touched import touched_by
from mailarchive.archive.maildir.tree import Tree
from mailarchive.archive.prepare import Prepared
from mailarchive.catalog.base import Catalog
from mailarchive.facts import BlockPacked, Fact, MessageStored, Position
from mailarchive.files import remove, sync_together
from mailarchive.mail import bare, mboxrd
from mailarchive.mail.body import MemoryBody
from mailarchive.store.frames import FrameMaker
from mailarchive.store.message_files import MessageFiles

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


MOST_THREADS = 4
"""So many write files, and compress them, at the same time."""
FEW = 4
"""So many are written without their help."""


class _Waiting(NamedTuple):
    """A message that has no file yet."""

    number: int
    prepared: Prepared
    text_size: int
    date: datetime | None


class FileStore:
    """The store of the layout `maildir`. ``level`` is that of zstd, None for plain files."""

    def __init__(self, files: MessageFiles, tree: Tree, catalog: Catalog, level: int | None) -> None:
        self.texts = files
        self._tree = tree
        self._level = level
        self._local = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: list[_Waiting] = []
        self._number = max(catalog.newest_block(), files.newest())
        self._untold: list[int] = []
        """Files that no fact speaks of yet."""
        self._unsynced: set[str] = set()
        """Files and directories."""
        tree.catch_up(catalog)

    def has_room(self, _size: int) -> bool:
        """Return that there is: each message has a file of its own."""
        return True

    def turn(self) -> Sequence[BlockPacked]:
        """Do nothing."""
        return ()

    def put(self, prepared: Prepared, date: datetime | None) -> MessageStored:
        """Take a message; its file is written when all that came with it are."""
        self._number += 1
        text_size, length = _sizes(prepared)
        self._waiting.append(_Waiting(self._number, prepared, text_size, date))
        self._tree.learn_size(self._number, text_size)
        return prepared.stored(self._number, 0, length)

    def flush(self) -> None:
        """Write the files of all messages that wait, on several cores if there are several; all or none."""
        waiting, self._waiting = self._waiting, []
        self._untold += (one.number for one in waiting)
        if len(waiting) < FEW:
            self._write(waiting)
        else:
            share = min(os.cpu_count() or 1, MOST_THREADS)
            written = [self._writers().submit(self._write, waiting[nth::share]) for nth in range(share)]
            for error in [one.exception() for one in written]:
                if error is not None:
                    raise error
        for one in waiting:
            self._unsynced |= {self.texts.name(one.number), self.texts.directory(one.number)}

    def _write(self, waiting: Sequence["_Waiting"]) -> None:
        for one in waiting:
            pieces = one.prepared.entry(bare, one.date)
            if self._level is not None:
                pieces = self._frames().frame(pieces, one.text_size)
            self.texts.write(one.number, pieces, one.date)

    def _frames(self) -> FrameMaker:
        """Return what makes frames in this thread."""
        if not hasattr(self._local, "frames"):
            self._local.frames = FrameMaker(self._level or 0)
        return cast("FrameMaker", self._local.frames)

    def _writers(self) -> "ThreadPoolExecutor":
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - start-up: most runs bring little

            self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS), "write")
        return self._pool

    def told(self) -> None:
        """Take notice that facts speak of all files."""
        self._untold.clear()

    def take_back(self) -> None:
        """Remove the files that no fact speaks of."""
        self._waiting.clear()
        for number in self._untold:
            remove(self.texts.path(number))
        self._untold.clear()

    def news(self) -> Sequence[BlockPacked]:
        """Return nothing: a message stays where it is."""
        return ()

    def sync(self) -> None:
        """Make the files durable, together."""
        sync_together(self.texts.root, [*self._unsynced, str(self.texts.root)])
        self._unsynced.clear()

    @contextmanager
    def applying(self, facts: Sequence[Fact], catalog: Catalog, position: Position) -> Iterator[None]:
        """Have the tree follow. If the process dies before it has, it is made to catch up at the next open."""
        with catalog.at_one_moment():
            touched = touched_by(facts, catalog)
        yield
        with catalog.at_one_moment():
            self._tree.follow(touched, catalog, position)

    def finish(self) -> Sequence[BlockPacked]:
        """Return nothing."""
        return ()

    def close(self) -> None:
        """End the threads; no file is open."""
        if self._pool is not None:
            self._pool.shutdown()


def _sizes(prepared: Prepared) -> tuple[int, int]:
    """Return the octets of a message's text, and of its entry if it were in mbox text."""
    if isinstance(prepared.body, MemoryBody):
        return len(prepared.text), mboxrd.entry_length(prepared.text, final=prepared.final)
    return mboxrd.sizes_of_stream(prepared.body.chunks(), prepared.eol, final=prepared.final)
