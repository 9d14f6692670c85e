"""Check message files and the tree against the journal."""

from collections.abc import Iterable, Iterator, Sequence

from mailarchive.archive.maildir.tree import Tree
from mailarchive.catalog.base import Catalog
from mailarchive.facts import Fact, MessageStored
from mailarchive.store.message_files import MessageFiles


class FileCheck:
    """Looks at the files; damage is yielded in sentences."""

    def __init__(self, files: MessageFiles, tree: Tree) -> None:
        self._files = files
        self._tree = tree

    def note(self, _facts: Iterable[Fact]) -> None:
        """Take notice of nothing: a file has nothing but its message."""

    def files(self, truth: Catalog) -> Iterator[str]:
        """Compare what files there are with what the journal says."""
        for number in truth.blocks():
            path = self._files.path(number)
            if not path.exists():
                yield f"{path} is missing"
        yield from self._tree.differences(truth)

    def around(self, _truth: Catalog, _number: int, _whole: Sequence[MessageStored]) -> Iterator[str]:
        """Yield nothing."""
        return iter(())
