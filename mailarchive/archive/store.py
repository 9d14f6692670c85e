"""The contract of a store: where a writer puts octets, whatever the layout of the archive."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from mailarchive.archive.prepare import Prepared
from mailarchive.catalog.base import Catalog
from mailarchive.facts import BlockPacked, Fact, MessageStored, Position
from mailarchive.store.base import Texts


class Store(Protocol):
    """Takes octets before facts speak of them. All methods raise StorageFailed."""

    @property
    def texts(self) -> Texts:
        """What was put here, for reading."""

    def has_room(self, size: int) -> bool:
        """Return whether a message of ``size`` octets can be put without ``turn`` before."""

    def turn(self) -> Sequence[BlockPacked]:
        """Make room, once everything that was put is flushed and told; return the facts to be recorded meanwhile."""

    def put(self, prepared: Prepared, date: datetime | None) -> MessageStored:
        """Take a message, all or nothing."""

    def flush(self) -> None:
        """Write what was put. When this returns it survives the death of the process."""

    def told(self) -> None:
        """Take notice that facts speak of everything that was flushed."""

    def take_back(self) -> None:
        """Remove, after a failure, what no fact speaks of."""

    def news(self) -> Sequence[BlockPacked]:
        """Return facts that became true since the last call, to be recorded."""

    def sync(self) -> None:
        """Make durable everything that was flushed."""

    def applying(self, facts: Sequence[Fact], catalog: Catalog, position: Position) -> AbstractContextManager[None]:
        """Stand around the moment at which ``catalog`` gets ``facts``, which are durable, and moves to ``position``.

        Afterwards what is derived of them in files is made to follow, and what is not needed any more is removed.
        """

    def finish(self) -> Sequence[BlockPacked]:
        """Return the last facts, once everything that was put is flushed and told."""

    def close(self) -> None:
        """Close the files; they stay what they are."""
