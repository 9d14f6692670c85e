"""The words of the field as frozen values; no behaviour beyond what a value knows of itself."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple, NewType, Protocol

Digest = NewType("Digest", bytes)
"""SHA-256 of a message's octets as the server sent them: 32 octets. The identity of a message."""

HeaderDigest = NewType("HeaderDigest", bytes)
"""First 16 octets of SHA-256 of the header section with LF line ends; a hint for linking, never an identity."""

UidValidity = NewType("UidValidity", int)
"""RFC 9051 section 2.3.1.1. POP3 has none and uses 0."""

LABELLED = 1 << 52
"""Added to the UIDVALIDITY of the mailbox with all mail where its UIDs name messages in mailboxes that show labels."""

RemoteUid = int | str
"""IMAP: the UID as int (RFC 9051 section 2.3.1.1). POP3: the UIDL as str (RFC 1939 section 7)."""


Eol = Literal["crlf", "lf", "mixed"]
"""Line ends of a message: all CRLF, no CR at all, or anything else."""


class MailboxName(NamedTuple):
    """A mailbox name (RFC 9051 section 5.1): decoded hierarchy parts, and the server's own octets.

    ``parts`` is for people and other servers; ``raw`` is exactly what LIST sent and what EXAMINE gets.
    Two mailboxes of an account are the same if and only if ``raw`` is.
    """

    parts: tuple[str, ...]
    delimiter: str | None
    raw: bytes

    def __str__(self) -> str:
        r"""Return the parts joined by ``/``; a ``/`` or ``\`` inside a part is escaped by ``\``."""
        return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in self.parts)


class Cursor(NamedTuple):
    """How far a mailbox has been read (RFC 9051 section 6.3.11, RFC 7162 section 3.1).

    ``None`` stands for what the server does not say. Two equal cursors without ``None`` mean
    that nothing has changed in between.
    """

    uidvalidity: UidValidity
    uidnext: int | None
    highestmodseq: int | None
    messages: int | None


class ListedMailbox(NamedTuple):
    """One selectable mailbox as LIST (and STATUS) showed it. ``cursor`` is None if STATUS failed or was not asked."""

    name: MailboxName
    special_use: frozenset[str] = frozenset()
    cursor: Cursor | None = None


class MessageFacts(NamedTuple):
    r"""What the server says about a message without sending it.

    ``size`` is RFC822.SIZE in octets, a hint that may lie. ``internaldate`` is aware, or None if
    missing or unreadable. ``flags`` holds system flags and keywords in the server's spelling,
    without ``\Recent``. ``account_id`` is the account-wide X-GM-MSGID or EMAILID (RFC 8474),
    ``thread_id`` X-GM-THRID or THREADID; ``labels`` are those of X-GM-LABELS, decoded.
    """

    uid: RemoteUid
    size: int | None = None
    internaldate: datetime | None = None
    flags: frozenset[str] = frozenset()
    account_id: str | None = None
    labels: tuple[str, ...] = ()
    thread_id: str | None = None


class Body(Protocol):
    """The octets of one message, in memory or in a spool file; can be read more than once."""

    @property
    def size(self) -> int:
        """Number of octets."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the octets from the beginning in pieces of at most 1 MiB, or as one piece if in memory."""

    def close(self) -> None:
        """Release the spool file, if there is one."""


class Closable(Protocol):
    """A connection, whatever it is to."""

    def close(self) -> None:
        """End it; never raises, may be called twice and from another thread."""


class ServerForm(NamedTuple):
    """How a server would show a message that a program has kept: the digest of its header, and its size in octets."""

    header: HeaderDigest
    size: int


class Fetched(NamedTuple):
    """A message that arrived whole. ``followed`` says that the next one has arrived too, and is yielded at once."""

    uid: RemoteUid
    body: Body
    followed: bool = False


class Outbound(NamedTuple):
    """A message on its way into a mailbox: its octets, flags and keywords, and INTERNALDATE if that is known."""

    body: Body
    flags: frozenset[str] = frozenset()
    date: datetime | None = None
    has_nul: bool = False


class Permanent(NamedTuple):
    r"""The flags that a mailbox keeps (PERMANENTFLAGS, RFC 9051 section 7.1), in lower case.

    ``takes_any`` says that it takes any keyword (``\*``).
    """

    flags: frozenset[str]
    takes_any: bool


KEEPS_ALL = Permanent(frozenset(), takes_any=True)
"""Where a server says nothing of it."""


FROM_FILES = "import"
"""The protocol of accounts whose mail came from files, and that no server has."""


class Account(NamedTuple):
    """An account at a server. ``name`` identifies it in the archive: ``user@host`` or ``user@host:port``.

    ``url`` and ``security`` say how it was reached last; never with a password.
    """

    name: str
    protocol: str
    url: str = ""
    security: str = ""
