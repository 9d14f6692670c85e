"""Messages that several mailboxes of a target want: the first sends them, the others copy them there."""

import threading
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from mailarchive.model import Digest


class Original(NamedTuple):
    """A message in a mailbox of the target, by the mailbox's place among the destinations and its UID there.

    The UID holds with ``uidvalidity``. Flags and date are those that it should have; ``kept`` are the flags that were
    sent with it by this run, None if it is not known what it has.
    """

    destination: int
    uidvalidity: int | None
    uid: int
    flags: tuple[str, ...]
    date: datetime | None
    kept: frozenset[str] | None = None


class Copies:
    """Who sends what several mailboxes want, and where it is then. Thread-safe.

    ``keeps`` says whether the target keeps size and date of what it copies; None as long as nobody has tried, who holds
    ``trying`` while he does.
    """

    def __init__(self, shared: Collection[Digest], *, tells_uids: bool) -> None:
        """Nothing is copied where the target does not say under which UIDs copies are."""
        self.keeps: bool | None = None if tells_uids else False
        self.trying = threading.Lock()
        self._shared = shared
        self._lock = threading.Lock()
        self._senders: dict[Digest, int] = {}
        self._originals: defaultdict[Digest, list[Original]] = defaultdict(list)

    def is_for(self, destination: int, digest: Digest) -> bool:
        """Return whether ``destination`` is to send the message: it is, unless another one is already."""
        if digest not in self._shared:
            return True
        with self._lock:
            return self._senders.setdefault(digest, destination) == destination

    def landed(self, original: Original, digest: Digest) -> None:
        """Note where a message is."""
        if digest in self._shared:
            with self._lock:
                self._senders.setdefault(digest, original.destination)
                self._originals[digest].append(original)

    def original(
        self, destination: int, digest: Digest, flags: tuple[str, ...], date: datetime | None
    ) -> Original | None:
        """Return a message of another mailbox, with these flags and this date, to be copied to ``destination``."""
        if self.keeps is False:
            return None
        with self._lock:
            return next(
                (
                    one
                    for one in self._originals.get(digest, ())
                    if one.destination != destination and (one.flags, one.date) == (flags, date)
                ),
                None,
            )
