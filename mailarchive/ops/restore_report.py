"""What a restore did, or would do, as it is printed and as ``--json`` says it: every number adds up."""

from dataclasses import dataclass, field
from typing import Literal

from mailarchive.errors import ExitCode

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
    """Among ``sent``, or ``to_send``: a mended copy."""
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


def exit_code(code: int, signum: int | None, *, is_partial: bool, is_damaged: bool) -> int:
    """Return how a run about a target ends: a signal says it, else the worst of what there is."""
    if signum:
        return 128 + signum
    partial = ExitCode.PARTIAL if is_partial else ExitCode.COMPLETE
    return max(code, partial, ExitCode.INTEGRITY if is_damaged else ExitCode.COMPLETE)


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

    unheard: int = 0
    """Mailboxes whose connection was lost, and at which nobody has looked since."""

    def conclude(self, code: int = ExitCode.COMPLETE, signum: int | None = None, *, is_partial: bool = False) -> None:
        """Set exit code and status by the counts, and by what ended the run: an error's ``code``, or a signal.

        ``is_partial`` says that the counts do not tell all that is missing.
        """
        is_partial = is_partial or any(self.total(name) for name in ("left", "refused"))
        is_partial = is_partial or any(box.error for box in self.mailboxes)
        self.exit_code = exit_code(code, signum, is_partial=is_partial, is_damaged=bool(self.total("damaged")))
        if self.exit_code:
            is_any = self.dry_run or any(box.settled for box in self.mailboxes)
            self.status = "partial" if is_any else "failed"

    def wait_for_tomorrow(self) -> None:
        """Say that nothing is wrong but that no more may be sent today."""
        self.status = "partial" if self.exit_code == ExitCode.PARTIAL else self.status
        self.notes.append("--max-upload: no more may be sent today (UTC); the same command goes on tomorrow")

    def total(self, name: str) -> int:
        """Return the sum of a count over all mailboxes."""
        return sum(int(getattr(mailbox, name)) for mailbox in self.mailboxes)
