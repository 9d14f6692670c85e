"""What an archive remembers, as answers to questions: the rows of the catalog without its tables."""

from datetime import datetime
from typing import NamedTuple

from mailarchive.model import Cursor, Digest, HeaderDigest, MailboxName, RemoteUid

Looks = tuple[int, datetime | None]
"""What a listing shows of a message: RFC822.SIZE and INTERNALDATE."""

SENDING, MENDED = "sending", "mended"
"""How a target has a message of which it is not known whether it arrived, or of which it was sent a mended copy."""

Here = tuple[int, int]
"""A mailbox, by number and UIDVALIDITY."""


class KnownMailbox(NamedTuple):
    """A mailbox as of the last pull. ``cursor`` is None until it has been read whole once."""

    number: int
    account: str
    name: MailboxName
    special_use: tuple[str, ...]
    uidvalidity: int | None
    present: bool
    cursor: Cursor | None
    since: str | None
    excluded: int


class KnownFailure(NamedTuple):
    """A message that could not be fetched: how often, and in which run last."""

    uid: RemoteUid
    why: str
    tries: int
    last: datetime


class MailboxSummary(NamedTuple):
    """Counts of one mailbox; ``octets`` of the present messages as received."""

    number: int
    account: str
    name: MailboxName
    present: bool
    messages: int
    unseen: int
    gone: int
    octets: int
    last_pull: datetime | None


class PlacementRecord(NamedTuple):
    """A placement with what is known of its message. ``digest`` is that of the message."""

    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    digest: Digest
    size: int
    date: datetime | None
    flags: tuple[str, ...]
    gone_at: datetime | None
    by: str | None
    """How the message was recognised, if it was not downloaded for this placement."""
    run: int
    gone_run: int | None
    account_id: str | None
    thread_id: str | None
    labels: tuple[str, ...]


class MailboxState(NamedTuple):
    """How a mailbox was from a run on, until the next of its states."""

    mailbox: int
    run: int
    name: MailboxName
    uidvalidity: int | None
    present: bool


class Sighting(NamedTuple):
    """A placement by which a message may be recognised: ``said_size`` is RFC822.SIZE, ``size`` the true one.

    ``is_form``: ``header`` and ``said_size`` are not those of the message but of the form without the lines of a
    program, which no server was seen to have with them.
    """

    digest: Digest
    header: HeaderDigest
    size: int
    said_size: int
    date: datetime | None
    account_id: str | None
    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    present: bool
    by: str | None = None
    is_form: bool = False


class Totals(NamedTuple):
    """Sums over the whole archive, octets as received; ``placements`` counts present and gone ones."""

    placements: int
    gone: int
    received_bytes: int
    unique: int
    unique_bytes: int
    lost: int


class KnownTarget(NamedTuple):
    """A place that messages were restored to, and how it was reached last; never with a password."""

    number: int
    name: str
    protocol: str
    url: str
    security: str


class KnownTargetMailbox(NamedTuple):
    """A mailbox of a target as it was when it was last about to be added to."""

    box: int
    target: int
    raw: bytes
    delimiter: str | None
    uidvalidity: int | None
    uidnext: int | None


class RestoredRecord(NamedTuple):
    """A message that a mailbox of a target has, or may have.

    ``how`` is None if it was sent, MENDED if a mended copy was, ``copy`` or ``there`` if it did not need to be,
    SENDING if nobody knows.
    """

    digest: Digest
    uid: int | None
    how: str | None


class AccountRuns(NamedTuple):
    """When runs ended that looked at an account: the last, and the last after which nothing was missing."""

    name: str
    last: datetime | None
    complete: datetime | None


class RunRecord(NamedTuple):
    """A run; ``exit_code`` and ``end`` are None while it goes on, or if it died. ``totals`` as journaled."""

    number: int
    command: str
    begin: datetime
    end: datetime | None
    exit_code: int | None
    totals: dict[str, int]
