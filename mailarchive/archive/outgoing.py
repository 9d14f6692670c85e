"""Messages on their way out of the archive, block by block: each block is read once, by whichever process is free."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mailarchive.archive.archive import Archive
from mailarchive.archive.crew import Crew, Work, helpers_for
from mailarchive.archive.forms import form_of
from mailarchive.archive.layout import Layout
from mailarchive.archive.messages import MessageReader
from mailarchive.catalog import sqlite
from mailarchive.catalog.base import Catalog
from mailarchive.catalog.outgoing import Choice, Laid, Outgoing, Restorable
from mailarchive.facts import MessageStored

__all__ = ["Choice", "Dock", "Outgoing", "OutgoingReader", "Restorable", "Shipment", "ship"]

R = TypeVar("R")


class OutgoingReader:
    """Reads what was laid out. Not thread-safe."""

    def __init__(self, laid: Laid, messages: MessageReader) -> None:
        self.of = laid.of
        self._messages = messages

    def octets(self, message: MessageStored) -> Iterator[bytes]:
        """Yield the exact octets of a message in pieces; quick if the one before was in the same block."""
        self._messages.hold(message.block)
        return self._messages.octets(message)


@dataclass(frozen=True, slots=True)
class Dock:
    """Where what was laid out is, and the archive; ``catalog`` is a file, or one that only this process has."""

    layout: Layout
    laid: Path
    catalog: Path | Catalog

    @contextmanager
    def reader(self) -> Iterator[OutgoingReader]:
        """Lend a reader. Raises CatalogUnusable."""
        with ExitStack() as stack:
            known = self.catalog
            if isinstance(known, Path):
                known = stack.enter_context(closing(sqlite.open_existing(known)))
            laid = stack.enter_context(closing(Laid(self.laid)))
            yield OutgoingReader(laid, MessageReader(form_of(self.layout).texts(cached=1), known))


class Shipment:
    """A choice of placements, laid out as the archive was at one moment."""

    def __init__(self, dock: Dock, laid: Laid) -> None:
        self._dock = dock
        self._blocks = laid.blocks()
        self.octets = laid.octets()
        self.homes = laid.homes()
        self.lost = laid.lost()

    def crew(
        self, prepare: Callable[..., AbstractContextManager[Work[R]]], *arguments: Any, alone: bool = False
    ) -> Crew[R]:
        """Return who does the work that ``prepare``, given the dock and ``arguments``, lends with each block.

        No other process helps if the work is to be done ``alone``.
        """
        helpers = 0 if alone or not isinstance(self._dock.catalog, Path) else helpers_for(self.octets)
        return Crew(prepare, (self._dock, *arguments), self._blocks, helpers)


@contextmanager
def ship(archive: Archive, choice: Choice) -> Iterator[Shipment]:
    """Lay out a choice of placements for as long as it takes to bring them out."""
    with tempfile.TemporaryDirectory(prefix="mailarchive-") as directory:
        path = Path(directory) / "outgoing.sqlite3"
        archive.catalog.lay_out(path, choice)
        with closing(Laid(path)) as laid:
            yield Shipment(Dock(archive.layout, path, archive.catalog.path() or archive.catalog), laid)
