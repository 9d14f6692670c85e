"""An archive as objects: its accounts, mailboxes and messages, to read."""

import email
import email.policy
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import date, datetime
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from mailarchive.archive.archive import Archive as Opened
from mailarchive.archive.archive import open_for_reading
from mailarchive.errors import ArchiveDamaged
from mailarchive.mail import headers
from mailarchive.model import Digest, RemoteUid
from mailarchive.ops.browse import ignore_text
from mailarchive.ops.selection import Selection, chosen
from mailarchive.records import KnownMailbox, PlacementRecord

SEARCHED = ("from", "to", "cc", "subject")
_IN_MEMORY = 1 << 20
_DIGITS = 2 * 32

Tell = Callable[[str], None]


class ArchivedMailbox:
    """A mailbox of an account, as of the last pull; ``len()`` is the number of messages at the server then."""

    def __init__(self, opened: Opened, known: KnownMailbox) -> None:
        self._opened = opened
        self._known = known

    @property
    def account(self) -> str:
        """The account's name, like ``me@host``."""
        return self._known.account

    @property
    def name(self) -> str:
        r"""The name as it is printed: parts joined by ``/``; a ``/`` or ``\`` inside a part is escaped by ``\``."""
        return str(self._known.name)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the name, decoded."""
        return self._known.name.parts

    @property
    def special_use(self) -> tuple[str, ...]:
        r"""What it is for, such as ``\Sent`` (RFC 6154)."""
        return self._known.special_use

    @property
    def uidvalidity(self) -> int | None:
        """UIDVALIDITY (RFC 9051 section 2.3.1.1); 0 for POP3."""
        return self._known.uidvalidity

    @property
    def present(self) -> bool:
        """Whether the server still lists it."""
        return self._known.present

    def messages(self, *, gone: bool = False) -> "Iterator[Message]":
        """Yield its messages by UID; or those that vanished from it."""
        for record in self._opened.catalog.placements(self._known.number, gone=gone):
            yield Message(self._opened, self, record)

    def message(self, uidvalidity: int, uid: RemoteUid) -> "Message | None":
        """Return the message that has, or had, this UID here; None if there is none."""
        record = self._opened.catalog.placement(self._known.number, uidvalidity, uid)
        return None if record is None else Message(self._opened, self, record)

    def __len__(self) -> int:
        return self._opened.catalog.present(self._known.number)

    def __iter__(self) -> "Iterator[Message]":
        return self.messages()

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<mailbox {self.name!r} of {self.account}>"


class Message:
    """A message in a mailbox; its octets are read from the archive when they are asked for, and checked then."""

    def __init__(self, opened: Opened, mailbox: ArchivedMailbox, record: PlacementRecord) -> None:
        self._opened = opened
        self._record = record
        self._mailbox = mailbox

    @property
    def digest(self) -> str:
        """SHA-256 of the octets in hexadecimal digits: the same wherever the message is."""
        return self._record.digest.hex()

    @property
    def size(self) -> int:
        """Number of octets, as they came from the server."""
        return self._record.size

    @property
    def mailbox(self) -> ArchivedMailbox:
        """Where it is, or was."""
        return self._mailbox

    @property
    def uid(self) -> RemoteUid:
        """UID there (RFC 9051 section 2.3.1.1), or the UIDL of POP3."""
        return self._record.uid

    @property
    def uidvalidity(self) -> int:
        """The UIDVALIDITY with which the UID holds; 0 for POP3."""
        return self._record.uidvalidity

    @property
    def internaldate(self) -> datetime | None:
        """When the server got it, in the zone that it told; None if that is not known."""
        return self._record.date

    @property
    def flags(self) -> frozenset[str]:
        r"""Flags and keywords, such as ``\Seen``, as of the last pull."""
        return frozenset(self._record.flags)

    @property
    def labels(self) -> tuple[str, ...]:
        """Gmail's labels, decoded."""
        return self._record.labels

    @property
    def gone_at(self) -> datetime | None:
        """When a pull found that it had vanished from the mailbox; None if it is still there."""
        return self._record.gone_at

    @property
    def octets(self) -> bytes:
        """The message exactly as the server sent it. Raises ArchiveDamaged."""
        return b"".join(self._opened.octets(self._record.digest))

    def open(self) -> BinaryIO:
        """Return the octets as a file, of which little is in memory. Raises ArchiveDamaged."""
        if self.size <= _IN_MEMORY:
            return io.BytesIO(self.octets)
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - for the caller to close
        try:
            spool.writelines(self._opened.octets(self._record.digest))
            spool.seek(0)
        except BaseException:
            spool.close()
            raise
        return cast("BinaryIO", spool)

    def header(self, name: str) -> str | None:
        """Return the first field of this name, decoded and on one line; None if there is none. Raises ArchiveDamaged.

        Looks at the first 64 KiB, which are not checked.
        """
        return headers.fields(self._opened.head(self._record.digest), (name.lower(),)).get(name.lower())

    @property
    def email(self) -> EmailMessage:
        """The message taken apart, anew each time. Raises ArchiveDamaged."""
        return email.message_from_bytes(self.octets, policy=email.policy.default)

    def __repr__(self) -> str:
        return f"<message {self.digest[:12]} in {self._mailbox!r}>"


class Archive:
    """An archive, opened for reading; also while another process writes to it. Not thread-safe.

    Use it in a ``with`` statement, or ``close`` it.
    """

    def __init__(self, path: str | os.PathLike[str], tell: Tell = ignore_text) -> None:
        self._tell = tell
        self._stack = ExitStack()
        self._opened = self._stack.enter_context(open_for_reading(Path(path), tell))

    @property
    def accounts(self) -> list[str]:
        """The names of the accounts that were pulled."""
        return [account.name for account in self._opened.catalog.accounts()]

    @property
    def mailboxes(self) -> list[ArchivedMailbox]:
        """The mailboxes, by account and name; those that the server lists no more, too."""
        known = sorted(self._opened.catalog.mailboxes(), key=lambda box: (box.account, str(box.name)))
        return [ArchivedMailbox(self._opened, box) for box in known]

    def messages(
        self,
        *,
        account: str | None = None,
        mailbox: str | Iterable[str] = (),
        since: date | None = None,
        before: date | None = None,
        gone: bool | None = False,
    ) -> Iterator[Message]:
        """Yield messages, mailbox by mailbox, by UID: one for each mailbox that a message is in.

        ``mailbox`` is a name as it is printed, with ``*`` and ``?``, or several; INTERNALDATE is in [since, before).
        ``gone`` takes those that vanished from the server, None both.
        """
        globs = (mailbox,) if isinstance(mailbox, str) else tuple(mailbox)
        boxes: dict[int, ArchivedMailbox] = {}
        for known, record in chosen(self._opened, Selection(globs, account, since, before, gone)):
            if known.number not in boxes:
                boxes[known.number] = ArchivedMailbox(self._opened, known)
            yield Message(self._opened, boxes[known.number], record)

    def get(self, digest: str) -> Message | None:
        """Return the message whose digest is, or begins with, these hexadecimal digits; None if there is none.

        It is in one of its mailboxes, if it can be one that it is still in. Raises ValueError if several messages begin
        so, or ``digest`` is no hexadecimal number.
        """
        if not 0 < len(digest) <= _DIGITS:
            raise ValueError(f"a digest has 1 to {_DIGITS} digits")
        int(digest, 16)
        found = self._opened.catalog.digests(digest.lower(), 2)
        if len(found) > 1:
            raise ValueError(f"several messages begin with {digest}")
        return self._placed(found[0]) if found else None

    def _placed(self, digest: Digest) -> Message | None:
        boxes = {box.number: box for box in self._opened.catalog.mailboxes()}
        records = sorted(self._opened.catalog.placements_of(digest), key=lambda record: record.gone_at is not None)
        return next(
            (Message(self._opened, ArchivedMailbox(self._opened, boxes[one.mailbox]), one) for one in records), None
        )

    def search(
        self,
        text: str = "",
        *,
        where: Callable[[Message], bool] | None = None,
        account: str | None = None,
        mailbox: str | Iterable[str] = (),
        since: date | None = None,
        before: date | None = None,
        gone: bool | None = False,
    ) -> Iterator[Message]:
        """Yield those of ``messages`` that have ``text`` in From, To, Cc or Subject, and of which ``where`` says yes.

        Upper and lower case are the same. A message whose header cannot be read is told of, and left out.
        """
        wanted = text.casefold()
        for message in self.messages(account=account, mailbox=mailbox, since=since, before=before, gone=gone):
            if (not wanted or self._mentions(message, wanted)) and (where is None or where(message)):
                yield message

    def _mentions(self, message: Message, wanted: str) -> bool:
        try:
            found = headers.fields(self._opened.head(Digest(bytes.fromhex(message.digest))), SEARCHED)
        except ArchiveDamaged as error:
            self._tell(f"message {message.digest} was not searched: {error}")
            return False
        return any(wanted in value.casefold() for value in found.values())

    def close(self) -> None:
        """Release the archive; may be called twice."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def open(path: str | os.PathLike[str], tell: Tell = ignore_text) -> Archive:  # noqa: A001 - called mailarchive.open
    """Open the archive at ``path`` for reading; ``tell`` gets a sentence about what was mended or cannot be read.

    Raises ArchiveMissing, ArchiveLocked, ArchiveDamaged, FormatTooNew, StorageFailed: all are MailArchiveError.
    """
    return Archive(path, tell)
