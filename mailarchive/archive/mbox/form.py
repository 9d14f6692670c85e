"""The layout `mbox`, put together."""

from collections.abc import Callable

from mailarchive.archive.forms import CACHED_BLOCKS, PackedSince, Settling, StoreCheck, Tell
from mailarchive.archive.layout import Layout
from mailarchive.archive.mbox import settling
from mailarchive.archive.store import Store
from mailarchive.catalog.base import Catalog
from mailarchive.clock import Clock
from mailarchive.store.base import Texts
from mailarchive.store.reader import PackedBlocks


class MboxForm:
    """Blocks and segments; see ``forms.Form``."""

    def __init__(self, layout: Layout) -> None:
        self._mail = layout.mail

    def texts(self, cached: int = CACHED_BLOCKS) -> Texts:
        """Return what reads blocks."""
        return PackedBlocks(self._mail, cached)

    def store(self, catalog: Catalog, clock: Clock, _tell: Tell) -> Store:
        """Return what fills blocks."""
        from mailarchive.archive.mbox.store import BlockStore  # noqa: PLC0415 - start-up: most commands only read

        return BlockStore(self._mail, catalog, clock)

    def is_clean(self, catalog: Catalog) -> bool:
        """Return whether the files have the sizes that the catalog says."""
        return settling.is_clean(self._mail, catalog)

    def settling(self, tell: Tell, aside: Callable[[str, bytes], None]) -> Settling:
        """Return what settles half-packed blocks."""
        return settling.BlockSettling(self._mail, tell, aside)

    def check(self, packed_since: PackedSince) -> StoreCheck:
        """Return what checks blocks and segments."""
        from mailarchive.archive.mbox.checking import BlockCheck  # noqa: PLC0415 - start-up

        return BlockCheck(self._mail, packed_since)

    def renew(self, _catalog: Catalog, _tell: Tell) -> None:
        """Do nothing: nothing else is derived."""
