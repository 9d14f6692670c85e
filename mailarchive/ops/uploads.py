"""What may be sent to a target in a day."""

import threading
from datetime import datetime

from mailarchive.archive.archive import Catalog


class Uploads:
    """Octets that may still be sent; what is admitted is reserved at once. Thread-safe."""

    def __init__(self, limit: int | None = None, spent: int = 0) -> None:
        """``limit`` is for a whole day (None: no limit), ``spent`` what was sent on it before."""
        self.limit = limit
        self.is_spent = False
        """Whether something has to wait for another day."""
        self.is_full = False
        """Whether the target has no room: nothing more is admitted."""
        self._spent = spent
        self._lock = threading.Lock()

    def admit(self, octets: int) -> bool:
        """Reserve room for a message if it fits; the first of a day always does."""
        if self.is_full or self.limit is None:
            return not self.is_full
        with self._lock:
            fits = not self._spent or self._spent + octets <= self.limit
            self._spent += octets if fits else 0
            self.is_spent = self.is_spent or not fits
            return fits

    def reserve(self, octets: int) -> None:
        """Note what was sent although nothing was heard of it."""
        with self._lock:
            self._spent += octets

    def release(self, octets: int) -> None:
        """Give back what was reserved for messages that did not arrive, as far as is known: they are admitted again."""
        with self._lock:
            self._spent -= octets


def uploads_of(catalog: Catalog, target: int, limit: int | None, now: datetime) -> Uploads:
    """Return what may still be sent to a target on the day (UTC) of ``now``."""
    if limit is None:
        return Uploads()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Uploads(limit, catalog.uploaded(target, midnight))
