"""What an account may download in a day: bodies beyond it are not asked for, and counted."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from mailarchive.archive.archive import Catalog
from mailarchive.archive.writer import Writer
from mailarchive.model import MessageFacts, RemoteUid
from mailarchive.ops.plan import UNKNOWN_SIZE

_MOST_DAYS = 100_000


@dataclass(slots=True)
class Admitted:
    """Messages sorted by when they may be asked for."""

    now: list[MessageFacts] = field(default_factory=list)
    later: list[MessageFacts] = field(default_factory=list)
    never: list[MessageFacts] = field(default_factory=list)
    """Each of them is larger than what may come in a whole day."""


class Budget:
    """Octets that may still be downloaded; what is admitted is reserved at once. Thread-safe."""

    def __init__(self, limit: int | None = None, spent: int = 0) -> None:
        """``limit`` is for a whole day (None: no limit), ``spent`` what was downloaded on it before."""
        self.limit = limit
        self.left_messages = self.left_bytes = 0
        """What waits for another day."""
        self._spent = spent
        self._lock = threading.Lock()

    def admit(self, messages: Iterable[MessageFacts], came: Mapping[RemoteUid, int] | None = None) -> Admitted:
        """Reserve room for each of ``messages`` that fits; a smaller one may fit behind a larger one that does not.

        ``came`` says how many octets of a message need not come any more.
        """
        found = Admitted()
        with self._lock:
            for message in messages:
                size = _missing(message, came.get(message.uid, 0) if came else 0)
                if self.limit is None or self._spent + size <= self.limit:
                    self._spent += size
                    found.now.append(message)
                elif size > self.limit:
                    found.never.append(message)
                else:
                    self.left_messages += 1
                    self.left_bytes += size
                    found.later.append(message)
        return found

    def settle(self, message: MessageFacts, octets: int, came: int = 0) -> None:
        """Replace what was reserved for ``message``, of which ``came`` octets were there, by the octets that came."""
        with self._lock:
            self._spent += octets - _missing(message, came)

    def done_by(self, today: date) -> date | None:
        """Return the day on which all that is left will have come, if nothing new does; None if nothing is left."""
        if self.limit is None or not self.left_messages:
            return None
        return today + timedelta(days=min(max(1, -(-self.left_bytes // self.limit)), _MOST_DAYS))


def _missing(message: MessageFacts, came: int) -> int:
    return max(0, (UNKNOWN_SIZE if message.size is None else message.size) - came)


def budget_of(writer: Writer, account: str, limit: int | None, now: datetime) -> Budget:
    """Return what an account may still download on the day (UTC) of ``now``, as the archive remembers it."""
    with writer.catalog() as catalog:
        return rehearsed(catalog, account, limit, now, 0 if limit is None else _received(writer, account, now))


def rehearsed(catalog: Catalog, account: str, limit: int | None, now: datetime, received: int = 0) -> Budget:
    """Return the same as far as the catalog tells; ``received`` are today's octets of messages that are not whole."""
    return Budget() if limit is None else Budget(limit, catalog.downloaded(account, _midnight(now)) + received)


def too_large(message: MessageFacts) -> str:
    """Return why a message never comes with this limit."""
    return f"it has {message.size} octets, more than may be downloaded in a day"


def _received(writer: Writer, account: str, now: datetime) -> int:
    return writer.partials.received(account, _midnight(now))


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
