"""The contract of a Source: an account that messages are pulled from, and that is never changed."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Literal, Protocol

from mailarchive.model import Account, Cursor, Fetched, ListedMailbox, MessageFacts, RemoteUid

Spool = Callable[[], BinaryIO]
"""Makes an empty read-write file for a message too large for memory; it vanishes when closed."""

Shows = Literal["everything", "some", "next"]
"""What of a mailbox one session shows: all messages, a part, or a part after which the next session shows another.

The last is Gmail's POP: a message is shown until it has been fetched in a session that was ended in order.
"""


class OpenMailbox(Protocol):
    """A mailbox opened for reading only (EXAMINE, RFC 9051 section 6.3.3).

    ``cursor`` is the state at the moment of opening: what changed later is newer than it.
    All methods raise ConnectionLost, Stalled or ProtocolViolation when the connection is of no
    more use, and MailboxUnavailable when only this mailbox is.
    """

    @property
    def cursor(self) -> Cursor:
        """The mailbox's state when it was opened; ``messages`` is never None."""

    @property
    def has_more(self) -> bool:
        """Whether more has arrived than was read: mail comes at least as fast as it is taken."""

    def uids(self) -> list[RemoteUid]:
        """Return every message's uid, ascending (POP3: in listing order).

        Checked against the number of messages the server announced, and asked in another way
        when they differ; the caller compares once more and reports what is missing.
        """

    def facts(self, uids: Sequence[RemoteUid]) -> Iterator[MessageFacts]:
        """Yield facts of those of ``uids`` that exist, in any order, each once."""

    def flags(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        """Yield the present flags of those of ``uids`` that exist."""

    def flags_since(self, modseq: int) -> Iterator[tuple[RemoteUid, frozenset[str]]]:
        """Yield the flags of messages changed after ``modseq`` (CHANGEDSINCE, RFC 7162 section 3.1.4).

        Only to be called when ``cursor.highestmodseq`` is not None.
        """

    def headers(self, uids: Sequence[RemoteUid]) -> Iterator[tuple[RemoteUid, bytes]]:
        """Yield the header sections of those of ``uids`` that the server shows, each at most once.

        BODY.PEEK[HEADER] (RFC 9051 section 6.4.5), TOP n 0 (RFC 1939 section 7): the octets up to and
        including the empty line. Raises FetchRefused, after yielding what did arrive.
        """

    def beginnings(self, uids: Sequence[RemoteUid], count: int) -> Iterator[tuple[RemoteUid, bytes]]:
        """Yield how the texts of those of ``uids`` begin that the server shows: at most ``count`` octets of each.

        The text is what follows the header: BODY.PEEK[TEXT]<0.count>, TOP with some lines (as many as may have
        ``count`` octets; a line end may be added). Does not set ``\\Seen``. Raises FetchRefused, after what did arrive.
        """

    def pieces(self, uid: RemoteUid, offset: int, before: bytes = b"") -> Iterator[bytes]:
        """Yield a message's octets from ``offset`` to its end in pieces of at most 1 MiB (``BODY.PEEK[]<o.n>``).

        ``before`` are some octets that the caller has from right before ``offset``; they are compared with what is
        there now. Does not set ``\\Seen``. Raises FetchRefused; PiecesUnsupported where there is no such thing, and
        when pieces do not fit together: then nothing that came in pieces can be trusted.
        """

    def halves(self, uid: RemoteUid, spool: Spool) -> Fetched:
        """Return a message put together from its header and its text (BODY.PEEK[HEADER], BODY.PEEK[TEXT]).

        For a message that ``fetch`` does not bring. Raises FetchRefused.
        """

    def fetch(self, uids: Sequence[RemoteUid], spool: Spool) -> Iterator[Fetched]:
        """Yield the messages of ``uids`` as they arrive, each at most once; does not set ``\\Seen``.

        One that is ``followed`` is held back until the next has been yielded: the last, also before an error, is not.

        A message that the server does not send is simply not yielded. Raises FetchRefused, after
        yielding what did arrive, when the server answers NO or BAD.
        """


class Source(Protocol):
    """One account, looked at over one connection. Not thread-safe: each worker has its own."""

    @property
    def account(self) -> Account:
        """Whose mail this is."""

    @property
    def has_labels(self) -> bool:
        """Whether the mailbox with the special use ``\\All`` tells each message's labels (X-GM-EXT-1)."""

    @property
    def shows(self) -> Shows:
        """How much of a mailbox is shown; but for ``everything`` what is not listed has not vanished."""

    def mailboxes(self) -> list[ListedMailbox]:
        """Return all selectable mailboxes, each with its cursor where the server tells it."""

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> OpenMailbox:
        """Open ``mailbox`` for reading; the one opened before is of no more use.

        ``first`` is a hint: facts of the messages from this uid on will be asked for, and are not too many to be held
        in memory. Where a round trip takes long a source asks for them at once.
        Raises MailboxUnavailable if it vanished or may not be read.
        """

    def leave(self, secure: Callable[[], None]) -> None:
        """End the connection in order, when everything that came of it is in the archive.

        Where the server keeps in mind what was fetched (QUIT, RFC 1939 section 6), ``secure`` is called first, and
        has to make that durable. Raises what ``secure`` raises.
        """

    def close(self) -> None:
        """End the connection; never raises, may be called twice and from another thread."""


SourceFactory = Callable[[], Source]
"""Opens one more connection to the same account. Raises AuthenticationFailed, SourceUnreachable, TlsFailed."""
