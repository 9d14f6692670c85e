"""The facts that an archive is made of; the journal is a list of them (store/FORMAT.md, "Journal")."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from mailarchive.model import Digest, Eol, HeaderDigest, RemoteUid

Counts = Mapping[str, int]
_NONE: Mapping[str, int] = MappingProxyType({})


class Part(NamedTuple):
    """First line of a part: its number, and the hash of the last checkpoint before it."""

    part: int
    chain: bytes


class ArchiveMade(NamedTuple):
    """First fact of the archive."""

    id: str
    layout: str
    at: datetime


class RunBegan(NamedTuple):
    """A command that writes has begun; the facts that follow have its time."""

    run: int
    at: datetime
    command: str
    program: str


class RunEnded(NamedTuple):
    """It has ended; the accounts it looked at, counts in all and by mailbox number, and what accounts are complete."""

    run: int
    at: datetime
    exit_code: int
    accounts: tuple[str, ...] = ()
    totals: Counts = _NONE
    mailboxes: Mapping[str, Counts] = MappingProxyType({})
    complete: tuple[str, ...] = ()


class AccountSeen(NamedTuple):
    """An account, by name, and how it was reached."""

    account: str
    protocol: str
    url: str = ""
    security: str = ""


class MailboxSeen(NamedTuple):
    """The server lists a mailbox; ``raw`` has one character for each octet of the server's name."""

    mailbox: int
    account: str
    parts: tuple[str, ...]
    raw: str
    delimiter: str | None = None
    special_use: tuple[str, ...] = ()
    uidvalidity: int | None = None


class MailboxVanished(NamedTuple):
    """The server lists the mailbox no more."""

    mailbox: int


class MessageStored(NamedTuple):
    """The octets of a message are in the archive.

    ``form`` and ``form_size`` are header digest and size of what a server has of it, if it came from a file into which
    a program has written header lines of its own.
    """

    digest: Digest
    header: HeaderDigest
    size: int
    block: int
    offset: int
    length: int
    eol: Eol
    final: bool = True
    form: HeaderDigest | None = None
    form_size: int | None = None


class Placed(NamedTuple):
    """A placement begins, or is there again."""

    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    digest: Digest
    date: datetime | None = None
    flags: tuple[str, ...] = ()
    account_id: str | None = None
    labels: tuple[str, ...] = ()
    rfc822size: int | None = None
    by: str | None = None
    thread_id: str | None = None


class FlagsChanged(NamedTuple):
    """Flags and keywords of a placement are now these."""

    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    flags: tuple[str, ...] = ()


class LabelsChanged(NamedTuple):
    """Gmail labels of a placement are now these."""

    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    labels: tuple[str, ...] = ()


class Gone(NamedTuple):
    """These placements have ended."""

    mailbox: int
    uidvalidity: int
    uids: tuple[RemoteUid, ...]


class Failed(NamedTuple):
    """A message could not be fetched in this run."""

    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    why: str


class CursorMoved(NamedTuple):
    """A mailbox has been read whole as of this state."""

    mailbox: int
    uidvalidity: int
    uidnext: int | None = None
    highestmodseq: int | None = None
    messages: int | None = None
    since: str | None = None
    excluded: int = 0


class BlockPacked(NamedTuple):
    """A block is now a frame of a segment."""

    block: int
    segment: int
    offset: int
    length: int
    size: int

    @property
    def end(self) -> int:
        """The offset in the segment after the frame."""
        return self.offset + self.length


class Lost(NamedTuple):
    """The octets of a message were found damaged, or missing because their file was ``cut``."""

    digest: Digest
    why: str
    cut: bool = False


class TargetSeen(NamedTuple):
    """A place that messages are restored to, by number; never with a password."""

    target: int
    name: str
    protocol: str
    url: str = ""
    security: str = ""


class TargetMailboxSeen(NamedTuple):
    """A mailbox of a target is about to be added to: what it then has from ``uidnext`` on may be ours.

    ``box`` numbers the mailboxes of all targets; ``raw`` has one character for each octet of the target's name. Another
    ``uidvalidity`` than before voids what was restored: the mailbox was made anew.
    """

    box: int
    target: int
    raw: str
    delimiter: str | None = None
    uidvalidity: int | None = None
    uidnext: int | None = None


class Sending(NamedTuple):
    """A message is being sent, and whether it arrived cannot be asked for later.

    ``Restored`` follows if it did, ``NotTaken`` if the target has it not.
    """

    box: int
    digest: Digest


class NotTaken(NamedTuple):
    """What was being sent last of this message did not arrive: it was refused, or cut off before its end."""

    box: int
    digest: Digest


class Removing(NamedTuple):
    """These placements are about to be removed from the server; ``how``: moved to the ``trash``, or ``expunge``."""

    mailbox: int
    uidvalidity: int
    uids: tuple[RemoteUid, ...]
    how: str


class Removed(NamedTuple):
    """The server no longer shows these in the mailbox, from which they were removed; ``Gone`` follows."""

    mailbox: int
    uidvalidity: int
    uids: tuple[RemoteUid, ...]


class NotThere(NamedTuple):
    """What one ``Restored`` of this box tells of by ``digest`` and ``uid`` is no longer there."""

    box: int
    digest: Digest
    uid: int | None = None


class Restored(NamedTuple):
    """A mailbox of a target has one more of this message, once for each such fact.

    ``how`` is None if it was sent, ``copy`` if it was copied from another mailbox there, ``there`` if it had it before.
    ``sent`` is the digest of what was sent instead, if a mended copy was.
    """

    box: int
    digest: Digest
    uid: int | None = None
    how: str | None = None
    sent: Digest | None = None


class Checkpoint(NamedTuple):
    """Everything before is durable, and this is its hash."""

    checkpoint: int
    sha256: bytes


Fact = (
    Part
    | ArchiveMade
    | RunBegan
    | RunEnded
    | AccountSeen
    | MailboxSeen
    | MailboxVanished
    | Removing
    | Removed
    | MessageStored
    | Placed
    | FlagsChanged
    | LabelsChanged
    | Gone
    | Failed
    | CursorMoved
    | BlockPacked
    | Lost
    | TargetSeen
    | TargetMailboxSeen
    | Sending
    | NotTaken
    | NotThere
    | Restored
    | Checkpoint
)

START_OF_CHAIN = bytes(32)


class Position(NamedTuple):
    """A place in the journal right after a checkpoint: octet ``offset`` of ``part``, and the chain's state there."""

    part: int
    offset: int
    chain: bytes
    checkpoints: int


BEGINNING = Position(1, 0, START_OF_CHAIN, 0)
