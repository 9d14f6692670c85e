"""The contract of a Target: a place that messages are put into."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mailarchive.model import Digest, Eol, RemoteUid


@dataclass(frozen=True, slots=True)
class Place:
    """A message and where it belongs: names as the server gave them. ``gone`` says that it vanished from there.

    ``box`` tells apart mailboxes whose names read the same, such as one name in two encodings.
    """

    account: str
    mailbox: tuple[str, ...]
    box: int
    uid: RemoteUid
    digest: Digest
    size: int
    date: datetime | None
    gone: bool
    eol: Eol
    final: bool


class Target(Protocol):
    """Takes messages one after the other, mailbox by mailbox."""

    def has(self, place: Place) -> bool:
        """Return whether the message is there already, so that it need not be read."""

    def put(self, place: Place, chunks: Iterable[bytes]) -> None:
        """Put a message of these exact octets. What ``chunks`` raises goes through, and leaves nothing half written.

        Raises StorageFailed.
        """

    def close(self) -> int:
        """Finish what is open and return the number of files written. Raises StorageFailed."""

    def abort(self) -> None:
        """Give up what is open, after an error."""
