"""The facts that an archive is made of; the journal is a list of them (store/FORMAT.md, "Journal")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from mailarchive.model import Digest, Eol, HeaderDigest, RemoteUid

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """First line of a part: its number, and the hash of the last checkpoint before it."""

    t: ClassVar[str] = "part"
    part: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class ArchiveMade:
    """First fact of the archive."""

    t: ClassVar[str] = "archive"
    id: str
    layout: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunBegan:
    """A command that writes has begun; the facts that follow have its time."""

    t: ClassVar[str] = "run"
    run: int
    at: datetime
    command: str
    program: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """It has ended; the accounts it looked at, counts in all, and by mailbox number."""

    t: ClassVar[str] = "ended"
    run: int
    at: datetime
    exit_code: int
    accounts: tuple[str, ...] = ()
    totals: Counts = field(default_factory=dict)
    mailboxes: Mapping[str, Counts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """An account, by name, and how it was reached."""

    t: ClassVar[str] = "account"
    account: str
    protocol: str
    url: str = ""
    security: str = ""


@dataclass(frozen=True, slots=True)
class MailboxSeen:
    """The server lists a mailbox; ``raw`` has one character for each octet of the server's name."""

    t: ClassVar[str] = "mailbox"
    mailbox: int
    account: str
    parts: tuple[str, ...]
    raw: str
    delimiter: str | None = None
    special_use: tuple[str, ...] = ()
    uidvalidity: int | None = None


@dataclass(frozen=True, slots=True)
class MailboxVanished:
    """The server lists the mailbox no more."""

    t: ClassVar[str] = "vanished"
    mailbox: int


@dataclass(frozen=True, slots=True)
class MessageStored:
    """The octets of a message are in the archive."""

    t: ClassVar[str] = "message"
    digest: Digest
    header: HeaderDigest
    size: int
    block: int
    offset: int
    length: int
    eol: Eol
    final: bool = True


@dataclass(frozen=True, slots=True)
class Placed:
    """A placement begins, or is there again."""

    t: ClassVar[str] = "placed"
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


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """Flags and keywords of a placement are now these."""

    t: ClassVar[str] = "flags"
    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelsChanged:
    """Gmail labels of a placement are now these."""

    t: ClassVar[str] = "labels"
    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gone:
    """These placements have ended."""

    t: ClassVar[str] = "gone"
    mailbox: int
    uidvalidity: int
    uids: tuple[RemoteUid, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A message could not be fetched in this run."""

    t: ClassVar[str] = "failed"
    mailbox: int
    uidvalidity: int
    uid: RemoteUid
    why: str


@dataclass(frozen=True, slots=True)
class CursorMoved:
    """A mailbox has been read whole as of this state."""

    t: ClassVar[str] = "cursor"
    mailbox: int
    uidvalidity: int
    uidnext: int | None = None
    highestmodseq: int | None = None
    messages: int | None = None
    since: str | None = None
    excluded: int = 0


@dataclass(frozen=True, slots=True)
class BlockPacked:
    """A block is now a frame of a segment."""

    t: ClassVar[str] = "block"
    block: int
    segment: int
    offset: int
    length: int
    size: int

    @property
    def end(self) -> int:
        """The offset in the segment after the frame."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Lost:
    """The octets of a message were found damaged, or missing because their file was ``cut``."""

    t: ClassVar[str] = "lost"
    digest: Digest
    why: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything before is durable, and this is its hash."""

    t: ClassVar[str] = "checkpoint"
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
    | MessageStored
    | Placed
    | FlagsChanged
    | LabelsChanged
    | Gone
    | Failed
    | CursorMoved
    | BlockPacked
    | Lost
    | Checkpoint
)

START_OF_CHAIN = bytes(32)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the journal right after a checkpoint: octet ``offset`` of ``part``, and the chain's state there."""

    part: int
    offset: int
    chain: bytes
    checkpoints: int


BEGINNING = Position(1, 0, START_OF_CHAIN, 0)
