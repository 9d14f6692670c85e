"""Messages of one mailbox on their way: read from the archive, with flags and date as the target takes them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from mailarchive.archive.messages import MessageReader
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import MessageStored
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.digest import digest_of, header_digest_of
from mailarchive.mail.mending import Flaw
from mailarchive.model import Body, Outbound, Permanent
from mailarchive.ops.keeping import date_of, split_flags
from mailarchive.ops.outgoing_mail import HELD, Evidence, body_of, flaws_of, mended
from mailarchive.ops.restore_common import Common
from mailarchive.ops.standing import Mended
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import Abilities

NEVER_AT_GMAIL = frozenset({"\\deleted"})
"""Gmail takes a message with it for one to be removed."""

_READ_TOGETHER, _OCTETS_TOGETHER = 400, 2 << 20
"""Messages, and octets of them, that are read in one go."""

NO_NUL = "it holds NUL octets, which the target does not take (no BINARY)"


def too_large(item: Wanted, abilities: Abilities) -> str | None:
    """Return why a message is refused for its size (APPENDLIMIT, RFC 7889); None if it is not, as far as is known."""
    limit = abilities.append_limit
    if limit is None or item.message.size <= limit:
        return None
    return f"it has {item.message.size} octets, the target takes {limit}"


def split(flags: Iterable[str], permanent: Permanent, abilities: Abilities) -> tuple[frozenset[str], frozenset[str]]:
    """Return those of ``flags`` that a mailbox keeps, and those that it does not."""
    return split_flags(flags, permanent, NEVER_AT_GMAIL if abilities.has_labels else ())


def kept_flags(flags: Iterable[str], permanent: Permanent, abilities: Abilities) -> frozenset[str]:
    """Return those of ``flags`` that a mailbox keeps."""
    return split(flags, permanent, abilities)[0]


def as_mended(reader: MessageReader, message: MessageStored, flaws: frozenset[Flaw]) -> Mended:
    """Return what a copy of a message without ``flaws`` is like. Raises ArchiveDamaged."""
    copy = mended(reader, message, flaws)
    return Mended(flaws, digest_of(copy), len(copy), header_digest_of(copy))


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
        self,
        reader: MessageReader,
        permanent: Permanent,
        common: Common,
        withhold: Callable[[Withheld], None],
        mended: Mapping[int, Mended],
    ) -> None:
        """``mended`` says by place of which messages a mended copy is to be sent."""
        self.on_the_way: list[int] = []
        self._sizes: list[int] = []
        self._reader = reader
        self._mended = mended
        self._permanent = permanent
        self._common = common
        self._withhold = withhold
        self._split: dict[tuple[str, ...], tuple[frozenset[str], frozenset[str]]] = {}

    def of(self, items: Iterable[tuple[int, Wanted]]) -> Iterator[Outbound]:
        """Yield the octets of ``items``, given with their places, until the run stops or may send no more."""
        for window in _windows(self._fitting(items)):
            bodies = self._bodies(window)
            for place, item in window:
                if self._common.is_stopping():
                    return
                if place not in bodies:
                    continue
                body, has_nul = bodies.pop(place)
                if has_nul and not self._common.abilities.takes_nul:
                    self._withhold(Withheld(place, NO_NUL, flaws=self.flaws(item)))
                    continue
                if not self._common.uploads.admit(body.size):
                    return
                self.on_the_way.append(place)
                self._sizes.append(body.size)
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
                found[place] = self._body(place, item)
            except ArchiveDamaged as error:
                self._withhold(Withheld(place, str(error), damaged=True))
        return found

    def _body(self, place: int, item: Wanted) -> tuple[Body, bool]:
        if place not in self._mended:
            return body_of(self._reader, item.message)
        copy = mended(self._reader, item.message, self._mended[place].flaws)
        return MemoryBody(copy), b"\0" in copy

    def release(self, first: int) -> None:
        """Give back what was reserved for messages on the way, from the ``first`` on: nothing was heard of them."""
        for size in self._sizes[first:]:
            self._common.uploads.release(size)

    def flaws(self, item: Wanted) -> frozenset[Flaw]:
        """Return what a target may refuse about a message."""
        return flaws_of(self._reader, item.message)

    def kept(self, item: Wanted) -> frozenset[str]:
        """Return the flags that the mailbox keeps."""
        return self._flags(item)[0]

    def dropped(self, item: Wanted) -> frozenset[str]:
        """Return the flags that it does not keep."""
        return self._flags(item)[1]

    def _flags(self, item: Wanted) -> tuple[frozenset[str], frozenset[str]]:
        if item.flags not in self._split:
            self._split[item.flags] = split(item.flags, self._permanent, self._common.abilities)
        return self._split[item.flags]

    def date(self, item: Wanted) -> datetime | None:
        """Return INTERNALDATE; of a message that came without one what its header says."""
        return item.date or date_of(Evidence(self._reader).head(item.message))


def _windows(items: Iterable[tuple[int, Wanted]]) -> Iterator[list[tuple[int, Wanted]]]:
    """Yield a few items at a time, of not too many octets."""
    window: list[tuple[int, Wanted]] = []
    octets = 0
    for place, item in items:
        size = item.message.size if item.message.size <= HELD else 0
        if window and (len(window) == _READ_TOGETHER or octets + size > _OCTETS_TOGETHER):
            yield window
            window, octets = [], 0
        window.append((place, item))
        octets += size
    if window:
        yield window
