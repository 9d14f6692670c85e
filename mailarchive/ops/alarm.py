"""Say it loudly when much of a mailbox has vanished from the server."""

from collections.abc import Sequence
from typing import NamedTuple

from mailarchive.archive.writer import Writer

LEAST_ALARMING = 20
"""So many messages of a mailbox must vanish at once before anybody is alarmed."""


class Emptied(NamedTuple):
    """A mailbox of ``before`` messages of which ``gone`` have vanished."""

    number: int
    name: str
    before: int
    gone: int

    def is_alarming(self, share: float) -> bool:
        """Return whether more than ``share`` of it vanished."""
        return self.gone >= LEAST_ALARMING and self.gone > share * self.before


def alarms(writer: Writer, emptied: Sequence[Emptied], share: float) -> list[str]:
    """Return sentences about mailboxes of which more than ``share`` vanished in this run and is nowhere else."""
    suspects = [one for one in emptied if one.is_alarming(share)]
    if not suspects:
        return []
    writer.checkpoint()
    with writer.catalog() as catalog:
        run = catalog.run_number()
        counted = [one._replace(gone=catalog.left_for_good(one.number, run)) for one in suspects]
    return [
        f"{one.gone} of {one.before} messages of {one.name} have vanished from the server since the last run; "
        "the archive keeps them all (see: mailarchive list --gone)"
        for one in counted
        if one.is_alarming(share)
    ]
