"""Hands out messages that are received in pieces, and removes those that no longer matter."""

import threading
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from mailarchive.catalog.base import Catalog
from mailarchive.clock import Clock
from mailarchive.files import make_directory
from mailarchive.model import RemoteUid
from mailarchive.records import KnownMailbox
from mailarchive.store import partial
from mailarchive.store.partial import About, Key, Partial

__all__ = ["Key", "Partial", "Partials"]

LONGEST = timedelta(days=30)
"""So long a partial message is kept to which nothing is added."""


class Partials:
    """The partial messages of an archive whose lock the caller holds. Thread-safe. Methods raise StorageFailed."""

    def __init__(self, directory: Path, catalog: Catalog, clock: Clock) -> None:
        """Look at what processes before have left, and remove what no longer matters."""
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, Key] = {}
        """Those that may go on, by name."""
        self._stored: list[str] = []
        make_directory(directory)
        boxes: dict[tuple[str, bytes], KnownMailbox] = {}
        for about in partial.partials(directory):
            boxes = boxes or {(box.account, box.name.raw): box for box in catalog.mailboxes()}
            if self._matters(about, boxes.get((about.key.account, about.key.mailbox)), catalog):
                self._left[about.key.name] = about.key
            else:
                partial.forget(directory, about.key.name)

    def _matters(self, about: About, box: KnownMailbox | None, catalog: Catalog) -> bool:
        """Return whether the message may be there, and is not in the archive. A mailbox may not be recorded yet."""
        if abs(self._clock.now() - about.at) > LONGEST:
            return False
        if box is None:
            return True
        if not box.present or box.uidvalidity not in {None, about.key.uidvalidity}:
            return False
        return about.key.uid not in catalog.uids(box.number, about.key.uidvalidity)

    def open(self, key: Key, size: int | None) -> Partial:
        """Return what has come of a message, which may be nothing; ``size`` is what the server says of it."""
        with self._lock:
            self._left[key.name] = key
        return Partial(self._directory, key, size, self._clock)

    def length(self, key: Key, size: int | None) -> int:
        """Return how many octets have come of a message of ``size`` octets."""
        with self._lock:
            about = partial.read_about(self._directory / (key.name + partial.ABOUT)) if key.name in self._left else None
        return about.length if about is not None and (about.key, about.size) == (key, size) else 0

    def received(self, account: str, since: datetime) -> int:
        """Return the octets of an account's partial messages to which something was added at ``since`` or later."""
        with self._lock:
            found = list(partial.partials(self._directory))
        return sum(about.length for about in found if about.key.account == account and about.at >= since)

    def stored(self, key: Key) -> None:
        """Say that the message is in the archive; its octets go when that is durable."""
        with self._lock:
            self._left.pop(key.name, None)
            self._stored.append(key.name)

    def checkpoint(self) -> None:
        """Remove what is in the archive, where it is durable now."""
        with self._lock:
            done, self._stored = self._stored, []
        for name in done:
            partial.forget(self._directory, name)

    def settle(self, account: str, mailbox: bytes, uidvalidity: int, failed: Collection[RemoteUid]) -> None:
        """Remove those of a mailbox that has been read whole, but for messages that ``failed``."""
        with self._lock:
            kept = {Key(account, mailbox, uidvalidity, uid) for uid in failed}
            done = [
                name
                for name, key in self._left.items()
                if (key.account, key.mailbox) == (account, mailbox) and key not in kept
            ]
            for name in done:
                del self._left[name]
        for name in done:
            partial.forget(self._directory, name)
