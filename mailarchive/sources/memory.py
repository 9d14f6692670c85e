"""The first Source: it reads an account in memory."""

from collections.abc import Callable

from mailarchive.errors import ConnectionLost
from mailarchive.model import Account, ListedMailbox
from mailarchive.remote.memory import MemoryAccount, MemoryOpenMailbox
from mailarchive.sources.base import Shows

__all__ = ["MemoryAccount", "MemoryOpenMailbox", "MemorySource"]


class MemorySource:
    """One connection to a MemoryAccount."""

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account
        self._closed = False

    @property
    def account(self) -> Account:
        return self._account.account

    @property
    def has_labels(self) -> bool:
        return False

    @property
    def shows(self) -> Shows:
        return "everything"

    def mailboxes(self) -> list[ListedMailbox]:
        self.check()
        return self._account.listed()

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> "MemoryOpenMailbox":
        del first
        self.check()
        return MemoryOpenMailbox(self._account, mailbox.name, self.check)

    def leave(self, secure: Callable[[], None]) -> None:
        del secure
        self.close()

    def close(self) -> None:
        self._closed = True

    def check(self) -> None:
        """Raise ConnectionLost after ``close``."""
        if self._closed:
            raise ConnectionLost("the connection was closed")
