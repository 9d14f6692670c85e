"""The layout `maildir`, put together."""

from collections.abc import Callable

from mailarchive.archive.forms import CACHED_BLOCKS, PackedSince, Settling, StoreCheck, Tell
from mailarchive.archive.layout import Kind, Layout
from mailarchive.archive.maildir import settling
from mailarchive.archive.maildir.checking import FileCheck
from mailarchive.archive.maildir.store import FileStore
from mailarchive.archive.maildir.tree import Tree
from mailarchive.archive.store import Store
from mailarchive.catalog.base import Catalog
from mailarchive.clock import Clock
from mailarchive.store.base import Texts
from mailarchive.store.message_files import MessageFiles


class MaildirForm:
    """Message files and the tree; see ``forms.Form``."""

    def __init__(self, layout: Layout, kind: Kind) -> None:
        self._layout = layout
        self._level = kind.level
        self._files = MessageFiles(layout.messages, compressed=kind.level is not None)

    def _tree(self, tell: Tell) -> Tree:
        return Tree(self._layout.maildir, self._files, tell)

    def texts(self, cached: int = CACHED_BLOCKS) -> Texts:  # noqa: ARG002 - as Form has it
        """Return what reads message files; nothing is kept in memory."""
        return self._files

    def store(self, catalog: Catalog, _clock: Clock, tell: Tell) -> Store:
        """Return what writes message files; the tree has caught up."""
        return FileStore(self._files, self._tree(tell), catalog, self._level)

    def is_clean(self, catalog: Catalog) -> bool:
        """Return whether the newest file is the newest message's."""
        return settling.is_clean(self._files, catalog)

    def settling(self, tell: Tell, _aside: Callable[[str, bytes], None]) -> Settling:
        """Return what settles files without a fact, and facts without a file."""
        return settling.FileSettling(self._files, tell, self._layout.aside)

    def check(self, _packed_since: PackedSince) -> StoreCheck:
        """Return what checks message files and the tree."""
        return FileCheck(self._files, self._tree(_ignore))

    def renew(self, catalog: Catalog, tell: Tell) -> None:
        """Compare the whole tree with the catalog."""
        self._tree(tell).renew(catalog)


def _ignore(_text: str) -> None:
    """Listen to nobody."""
