"""Messages of one mailbox on their way: read from the archive, with flags and date as the target takes them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from mailarchive.archive.messages import MessageReader
from mailarchive.errors import ArchiveDamaged
from mailarchive.mail import mending
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.mending import Flaw
from mailarchive.model import Body, Outbound, Permanent
from mailarchive.ops.keeping import date_of, split_flags
from mailarchive.ops.outgoing_mail import LARGE, body_of, head_of
from mailarchive.ops.restore_common import Common
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import Abilities

NEVER_AT_GMAIL = frozenset({"\\deleted"})
"""Gmail takes a message with it for one to be removed."""


_READ_TOGETHER, _OCTETS_TOGETHER = 400, 4 << 20
"""Messages, and octets of them, that are read in one go."""


NO_NUL = "it holds NUL octets, which the target does not take (no BINARY)"


def too_large(item: Wanted, abilities: Abilities) -> str | None:
    """Return why a message is refused for its size (APPENDLIMIT, RFC 7889); None if it is not, as far as is known."""
    limit = abilities.append_limit
    if limit is None or item.message.size <= limit:
        return None
    return f"it has {item.message.size} octets, the target takes {limit}"


class Withheld(NamedTuple):
    """A message that is not sent: it is ``damaged``, or it is known that the target would refuse it."""

    place: int
    reason: str
    damaged: bool = False
    flaws: frozenset[Flaw] = frozenset()


class Letters:
    """Makes messages ready for one open mailbox.

    ``on_the_way`` are the places of those that were made ready, in order; ``withhold`` is told of the others.
    """

    def __init__(
        self, reader: MessageReader, permanent: Permanent, common: Common, withhold: Callable[[Withheld], None]
    ) -> None:
        self.on_the_way: list[int] = []
        self._reader = reader
        self._permanent = permanent
        self._common = common
        self._withhold = withhold
        self._never = NEVER_AT_GMAIL if common.abilities.has_labels else frozenset()
        self._split: dict[tuple[str, ...], tuple[frozenset[str], frozenset[str]]] = {}

    def of(self, items: Iterable[tuple[int, Wanted]]) -> Iterator[Outbound]:
        """Yield the exact octets of ``items``, given with their places, until the run stops or may send no more."""
        for window in _windows(self._fitting(items)):
            bodies = self._bodies(window)
            for place, item in window:
                if self._common.is_stopping():
                    return
                if place not in bodies:
                    continue
                body, has_nul = bodies.pop(place)
                if has_nul and not self._common.abilities.takes_nul:
                    self._withhold(Withheld(place, NO_NUL, flaws=frozenset({Flaw.NUL})))
                    continue
                if not self._common.uploads.admit(item.message.size):
                    return
                self.on_the_way.append(place)
                yield Outbound(body, self.kept(item), self.date(item), has_nul)

    def _fitting(self, items: Iterable[tuple[int, Wanted]]) -> Iterator[tuple[int, Wanted]]:
        """Leave out what is known to be too large."""
        for place, item in items:
            if reason := too_large(item, self._common.abilities):
                self._withhold(Withheld(place, reason))
            else:
                yield place, item

    def _bodies(self, window: Sequence[tuple[int, Wanted]]) -> dict[int, tuple[Body, bool]]:
        """Read messages in the order of the blocks that hold them; what is damaged is withheld."""
        found: dict[int, tuple[Body, bool]] = {}
        for place, item in sorted(window, key=lambda one: (one[1].message.block, one[1].message.offset)):
            try:
                found[place] = body_of(self._reader, item.message)
            except ArchiveDamaged as error:
                self._withhold(Withheld(place, str(error), damaged=True))
        return found

    def mended(self, item: Wanted, flaws: frozenset[Flaw]) -> Outbound:
        """Return a copy of a message without ``flaws``."""
        body, _has_nul = body_of(self._reader, item.message)
        copy = mending.mend(b"".join(body.chunks()), flaws)
        return Outbound(MemoryBody(copy), self.kept(item), self.date(item), b"\0" in copy)

    def flaws(self, item: Wanted) -> frozenset[Flaw]:
        """Return what a target may refuse about a message."""
        if item.message.size > LARGE:
            return frozenset()
        body, _has_nul = body_of(self._reader, item.message)
        return frozenset(mending.flaws(b"".join(body.chunks())))

    def kept(self, item: Wanted) -> frozenset[str]:
        """Return the flags that the mailbox keeps."""
        return self._flags(item)[0]

    def dropped(self, item: Wanted) -> frozenset[str]:
        """Return the flags that it does not keep."""
        return self._flags(item)[1]

    def _flags(self, item: Wanted) -> tuple[frozenset[str], frozenset[str]]:
        if item.flags not in self._split:
            self._split[item.flags] = split_flags(item.flags, self._permanent, self._never)
        return self._split[item.flags]

    def date(self, item: Wanted) -> datetime | None:
        """Return INTERNALDATE; of a message that came without one what its header says."""
        return item.date or date_of(head_of(self._reader, item.message))


def _windows(items: Iterable[tuple[int, Wanted]]) -> Iterator[list[tuple[int, Wanted]]]:
    """Yield a few items at a time, of not too many octets."""
    window: list[tuple[int, Wanted]] = []
    octets = 0
    for place, item in items:
        size = item.message.size if item.message.size <= LARGE else 0
        if window and (len(window) == _READ_TOGETHER or octets + size > _OCTETS_TOGETHER):
            yield window
            window, octets = [], 0
        window.append((place, item))
        octets += size
    if window:
        yield window
