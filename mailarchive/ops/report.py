"""What a pull did, as it is printed and as ``--json`` says it: every number adds up."""

from dataclasses import dataclass, field, fields
from datetime import date
from typing import Literal

Status = Literal["complete", "partial", "failed"]


@dataclass(slots=True)
class MailboxReport:
    """Counts of one mailbox: listed = new + known + failed + excluded, always."""

    mailbox: str
    listed: int = 0
    new: int = 0
    known: int = 0
    linked: int = 0
    failed: int = 0
    excluded: int = 0
    gone: int = 0
    flags_changed: int = 0
    unchanged: bool = False

    def add(self, other: "MailboxReport") -> None:
        """Add the counts of other messages of the same mailbox."""
        for item in fields(self):
            if item.type is int:
                setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass(slots=True)
class Failure:
    """A message that could not be fetched; ``uid`` as the server names it, ``tries`` over all runs."""

    mailbox: str
    uid: str
    reason: str
    tries: int


@dataclass(slots=True)
class AccountReport:
    """Counts of one account. ``error`` and ``hint`` say why it was cut short, if it was."""

    account: str
    protocol: str
    status: Status = "complete"
    exit_code: int = 0
    error: str = ""
    hint: str = ""
    downloaded_messages: int = 0
    downloaded_bytes: int = 0
    stored_messages: int = 0
    stored_bytes: int = 0
    seconds: float = 0.0
    to_fetch_messages: int = 0
    to_fetch_bytes: int = 0
    max_download: int | None = None
    left_messages: int = 0
    """Those that ``max_download`` keeps for another day; among ``failed`` of their mailboxes."""
    left_bytes: int = 0
    done_by: date | None = None
    """When those will have come."""
    mailboxes: list[MailboxReport] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What makes the run partial although nothing failed."""
    notes: list[str] = field(default_factory=list)
    """What a user should know, and that needs nothing to be done."""
    name: str = ""
    """What the configuration calls the account; empty if it does not name it."""

    @property
    def called(self) -> str:
        """What people call the account."""
        return self.name or self.account


@dataclass(slots=True)
class PullReport:
    """Counts of one run over all accounts."""

    archive: str
    status: Status = "complete"
    exit_code: int = 0
    dry_run: bool = False
    error: str = ""
    """Why nothing could be pulled into this archive, where there are others."""
    hint: str = ""
    accounts: list[AccountReport] = field(default_factory=list)
