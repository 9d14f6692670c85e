"""What a restore did, or would do, as it is printed and as ``--json`` says it: every number adds up."""

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["complete", "partial", "failed"]


@dataclass(slots=True)
class RestoredMailbox:
    """Counts of one mailbox of the target.

    wanted = sent + copied + there + known + refused + damaged + left, always; in a rehearsal ``to_send`` and
    ``to_copy`` stand for what would be sent and copied.
    """

    mailbox: str
    sources: list[str] = field(default_factory=list)
    wanted: int = 0
    sent: int = 0
    sent_bytes: int = 0
    copied: int = 0
    there: int = 0
    """The target had them before."""
    known: int = 0
    """Restored by an earlier run."""
    removed: int = 0
    """Among ``known``: no longer there."""
    refused: int = 0
    damaged: int = 0
    left: int = 0
    """Not tried: the run ended, or may send no more today."""
    mended: int = 0
    """Among ``sent``: a mended copy was sent."""
    to_send: int = 0
    to_send_bytes: int = 0
    to_copy: int = 0
    to_copy_bytes: int = 0
    made: bool = False
    error: str = ""
    hint: str = ""

    @property
    def settled(self) -> int:
        """How many are there, whoever put them there."""
        return self.sent + self.copied + self.there + self.known


@dataclass(slots=True)
class Refusal:
    """A message that is not there as it should be.

    ``reason`` is what the server said, ``odd`` what may be the matter with the message; ``fix`` is what would help, and
    ``mended`` whether that was done.
    """

    mailbox: str
    digest: str
    source: str
    size: int
    reason: str
    odd: str = ""
    fix: str = ""
    mended: bool = False


@dataclass(slots=True)
class RestoreReport:
    """Counts of one restore."""

    archive: str
    target: str
    status: Status = "complete"
    exit_code: int = 0
    dry_run: bool = False
    error: str = ""
    hint: str = ""
    seconds: float = 0.0
    mailboxes: list[RestoredMailbox] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What a user should know before anything is sent."""
    notes: list[str] = field(default_factory=list)
    dropped_flags: dict[str, int] = field(default_factory=dict)
    """Flags and keywords that the target does not keep, and how many messages have each."""

    def total(self, name: str) -> int:
        """Return the sum of a count over all mailboxes."""
        return sum(int(getattr(mailbox, name)) for mailbox in self.mailboxes)
