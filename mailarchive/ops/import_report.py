"""What an import did: every number adds up."""

from dataclasses import dataclass, field

from mailarchive.errors import ExitCode


@dataclass(slots=True)
class ImportReport:
    """Counts of messages: found = new + linked + variants + known + left_out, always.

    ``new`` are stored; ``linked`` were in the archive octet for octet, ``variants`` with other line ends or without the
    header lines that a mail program adds; ``known`` were imported before; ``left_out`` are no messages, in sentences.
    """

    account: str
    found: int = 0
    new: int = 0
    linked: int = 0
    variants: int = 0
    known: int = 0
    octets: int = 0
    """Of the new ones."""
    mailboxes: int = 0
    left_out: list[str] = field(default_factory=list)
    interrupted: int = 0
    """The signal that ended it."""

    @property
    def exit_code(self) -> int:
        """PARTIAL if anything was left out."""
        if self.interrupted:
            return 128 + self.interrupted
        return ExitCode.PARTIAL if self.left_out else ExitCode.COMPLETE
