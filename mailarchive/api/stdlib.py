"""A mailbox of an archive as one of the standard library, for programs that know only those; to read."""

import mailbox
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

from mailarchive.api.archive import ArchivedMailbox, Message
from mailarchive.api.archive import open as open_archive
from mailarchive.model import RemoteUid

_LETTERS = {"\\seen": "R", "\\deleted": "D", "\\flagged": "F", "\\answered": "A"}


class ReadOnly(mailbox.Error):
    """An archive's mailbox is changed by pulls only."""


class Mailbox(mailbox.Mailbox[mailbox.mboxMessage]):
    """The messages that a mailbox has at the server, as of the moment when it is opened; damage raises ArchiveDamaged.

    Keys are whole numbers from 0, by UID, and messages are mboxMessage with flags and the date of receipt, both as of
    ``mailbox.mbox``; ``get_bytes`` and ``get_file`` give the exact octets. What would change something raises ReadOnly.
    ``mailbox`` is the name as it is printed; whatever ``create`` says, nothing is made. Raises
    mailbox.NoSuchMailboxError, and what ``mailarchive.open`` raises.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mailbox: str = "INBOX",
        account: str | None = None,
        *,
        factory: Callable[[Any], mailbox.mboxMessage] | None = None,
        create: bool = False,  # noqa: ARG002 - what a script says to mailbox.mbox
    ) -> None:
        super().__init__(os.fspath(path), factory, create=False)
        self._archive = open_archive(self._path)
        try:
            self._mailbox = self._named(mailbox, account)
            self._keys: list[tuple[int, RemoteUid]] = [
                (message.uidvalidity, message.uid) for message in self._mailbox.messages()
            ]
        except BaseException:
            self._archive.close()
            raise

    def _named(self, name: str, account: str | None) -> ArchivedMailbox:
        found = [
            one
            for one in self._archive.mailboxes
            if account in {None, one.account} and (one.name == name or one.name.upper() == name.upper() == "INBOX")
        ]
        accounts = sorted({one.account for one in found})
        if len(accounts) > 1:
            raise mailbox.NoSuchMailboxError(f"{name} is a mailbox of several accounts: name one of {accounts}")
        if not found:
            raise mailbox.NoSuchMailboxError(f"the archive has no mailbox {name}")
        return next((one for one in found if one.present), found[0])

    def _message(self, key: int | str) -> Message:
        try:
            number = int(key)
            found = self._mailbox.message(*self._keys[number]) if number >= 0 else None
        except (IndexError, ValueError):
            raise KeyError(key) from None
        if found is None:
            raise KeyError(key)
        return found

    def get_message(self, key: int | str) -> mailbox.mboxMessage:
        """Return a message as ``mailbox.mbox`` would, with its flags in Status and X-Status. Raises KeyError."""
        found = self._message(key)
        message = mailbox.mboxMessage(found.octets)
        moment = found.internaldate or datetime(1970, 1, 1, tzinfo=UTC)
        message.set_from("MAILER-DAEMON", moment.utctimetuple())
        flags = {flag.lower() for flag in found.flags}
        message.set_flags("O" + "".join(letter for flag, letter in _LETTERS.items() if flag in flags))
        return message

    def get_bytes(self, key: int | str) -> bytes:
        """Return the exact octets of a message. Raises KeyError."""
        return self._message(key).octets

    def get_file(self, key: int | str) -> Any:
        """Return the exact octets of a message as a file. Raises KeyError."""
        return self._message(key).open()

    def iterkeys(self) -> Iterator[Any]:
        """Yield the keys, whole numbers from 0."""
        return iter(range(len(self._keys)))

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int | str) and str(key).isdecimal() and int(key) < len(self._keys)

    def list_folders(self) -> list[str]:
        """Return the names of the account's other mailboxes; of a mailbox that is not INBOX, those below it."""
        parts = () if self._mailbox.name.upper() == "INBOX" else self._mailbox.parts
        return [
            one.name
            for one in self._archive.mailboxes
            if one.account == self._mailbox.account
            and one.parts[: len(parts)] == parts
            and one.parts != self._mailbox.parts
        ]

    def get_folder(self, folder: str) -> "Mailbox":
        """Return a mailbox of the account by its whole name. Raises mailbox.NoSuchMailboxError."""
        return Mailbox(self._path, folder, self._mailbox.account, factory=self._factory)

    def _refuse(self, *_arguments: object, **_named: object) -> NoReturn:
        raise ReadOnly("a mailbox of an archive is changed by mailarchive pull only")

    add = remove = __setitem__ = __delitem__ = discard = clear = add_folder = remove_folder = _refuse
    pop = popitem = update = _refuse

    def flush(self) -> None:
        """Do nothing: there are no changes."""

    def lock(self) -> None:
        """Do nothing: readers need no lock."""

    def unlock(self) -> None:
        """Do nothing: readers need no lock."""

    def close(self) -> None:
        """Release the archive."""
        self._archive.close()
