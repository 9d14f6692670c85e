"""The contract of a Target: a place that messages are put into."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mailarchive.model import Digest, Eol, RemoteUid


@dataclass(frozen=True, slots=True)
class Home:
    """A mailbox, named as the server gave it; ``gone`` is the part that vanished from there.

    ``box`` tells apart mailboxes whose names read the same, such as one name in two encodings. ``keywords`` are those
    that its messages have, always in the same order.
    """

    account: str
    mailbox: tuple[str, ...]
    box: int
    gone: bool
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A message and where it belongs: its entry is ``length`` octets of the mbox text of its home, from ``at``.

    ``lines`` (LF) go before the message in that entry, and are counted in ``length``.
    """

    home: Home
    uid: RemoteUid
    digest: Digest
    size: int
    date: datetime | None
    eol: Eol
    final: bool
    at: int
    length: int
    flags: tuple[str, ...] = ()
    lines: bytes = b""


class Target(Protocol):
    """Takes messages in any order. Several processes may each have one, to put different messages into one place."""

    def reserve(self, homes: Sequence[Home]) -> None:
        """Make sure that these mailboxes are called the same in each process that reserves the same.

        Raises UsageError if they cannot all go there, and StorageFailed.
        """

    def has(self, place: Place) -> bool:
        """Return whether the message is there already, so that it need not be read."""

    def put(self, place: Place, chunks: Iterable[bytes]) -> None:
        """Put a message of these exact octets. What ``chunks`` raises goes through, and leaves nothing half written.

        Raises StorageFailed.
        """

    def told(self) -> Any:
        """Close what is open; return what the one of another process must learn of what was put here meanwhile.

        It can be pickled.
        """

    def learn(self, told: Any) -> None:
        """Take what was put in another process for one's own."""

    def close(self) -> int:
        """Finish what is open and return the number of files written. Raises StorageFailed."""

    def abort(self) -> None:
        """Remove what is half written of all ``reserve``d homes, after an error, whichever process wrote it."""
