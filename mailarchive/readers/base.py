"""What a reader of files yields, and what it needs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from mailarchive.files import storage
from mailarchive.mail.body import SpooledBody
from mailarchive.model import Body

Dialect = Literal["mboxrd", "mboxo", "mboxcl", "mboxcl2"]
Spool = Callable[[], BinaryIO]
"""Returns an empty file for a message too large for memory."""
Tell = Callable[[str], None]

LARGE = 16 << 20
"""Octets from which a message is spooled."""


class Letter(NamedTuple):
    """A message as a file has it: ``body`` its exact octets, to be closed by whoever takes it.

    ``where`` tells people which it is. ``flags`` is None if the file says nothing of them, and then the header may.
    """

    mailbox: tuple[str, ...]
    body: Body
    where: str
    date: datetime | None = None
    flags: frozenset[str] | None = None
    labels: tuple[str, ...] | None = None
    """Gmail's, where the file does not say them in the header."""
    of_mbox: bool = False
    """Whether programs write flags and lengths into the header of what is in such a file."""


@dataclass(slots=True, kw_only=True)
class Notes:
    """What people are told: ``left_out`` in sentences, one for each thing that should be mail and was not read."""

    tell: Tell
    left_out: list[str] = field(default_factory=list)

    def cut(self, where: str, why: str) -> None:
        """Take notice of a file that cannot be read to its end."""
        self.left_out.append(f"{where}: {why}")
        self.tell(f"{where} cannot be read: {why}; what comes before that, and the rest, is imported")

    def leave_out(self, where: str, why: str) -> None:
        """Take notice of something that should be a message and is none."""
        self.left_out.append(f"{where}: {why}")
        self.tell(f"{where} was left out: {why}")


@dataclass(slots=True, kw_only=True)
class Reading(Notes):
    """How to read."""

    spool: Spool
    dialect: Dialect | None = None

    def spooled(self, pieces: Iterable[bytes]) -> SpooledBody:
        """Put ``pieces`` into a file of the archive's. Raises StorageFailed."""
        file, size = self.spool(), 0
        try:
            for piece in pieces:
                with storage(Path("partial")):
                    file.write(piece)
                size += len(piece)
        except BaseException:
            file.close()
            raise
        return SpooledBody(file, size)


class Place(NamedTuple):
    """Something that has mail: a file or a directory, and the mailbox that it is."""

    path: Path
    mailbox: tuple[str, ...]
    kind: str


Read = Callable[[Place, Reading], Iterator[Letter]]
