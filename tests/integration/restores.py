"""An archive and the installed command that restores it, and what of messages must be the same on the other side."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from mailarchive.archive.archive import open_for_reading
from tests.fault.archives import ignore_text
from tests.servers.dovecot import Dovecot
from tests.system.conftest import Program

COUNTS = ("sent", "copied", "there", "known", "refused", "damaged", "left")


class Look(NamedTuple):
    """All that is kept of a message."""

    digest: bytes
    flags: frozenset[str]
    date: datetime | None


class Mailbox(NamedTuple):
    """What a mailbox of an archive has now, and what it is for."""

    messages: Counter[Look]
    uses: frozenset[str]


def contents(root: Path) -> dict[str, Mailbox]:
    """Return what the archive says that its accounts have; INBOX as a prefix of names is left out."""
    found: dict[str, Mailbox] = {}
    with open_for_reading(root, ignore_text) as archive:
        for box in archive.catalog.mailboxes():
            if box.present:
                records = archive.catalog.placements(box.number, gone=False)
                messages = Counter(Look(one.digest, frozenset(one.flags), one.date) for one in records)
                found[str(box.name).removeprefix("INBOX/")] = Mailbox(messages, frozenset(box.special_use))
    return found


def url_of(server: Dovecot, port: int | None = None) -> str:
    """Return where the account is."""
    return f"imap://{server.user}@{server.host}:{port or server.port}"


def adds_up(report: dict[str, Any]) -> dict[str, Any]:
    """Assert that what is wanted is the sum of what became of it, everywhere; return the report."""
    for box in (report["totals"], *report["mailboxes"]):
        assert box["wanted"] == sum(box[name] for name in COUNTS), box
    for name in ("wanted", *COUNTS, "sent_bytes"):
        assert report["totals"][name] == sum(box[name] for box in report["mailboxes"])
    return report


class Restoring:
    """The command with an archive of its own."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.program = Program(home, {"MAILARCHIVE_PASSWORD": Dovecot.password})

    @property
    def root(self) -> Path:
        return self.program.archive

    def pull(self, server: Dovecot) -> dict[str, Mailbox]:
        """Pull, and return what is in the archive then."""
        assert self.program.json("pull", url_of(server))["status"] == "complete"
        return contents(self.root)

    def restore(self, server: Dovecot, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Restore, and return the report."""
        return adds_up(self.program.json("restore", url_of(server), *arguments, code=code))
