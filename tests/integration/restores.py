"""An archive and the installed command that restores it, and what of messages must be the same on the other side."""

import threading
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from mailarchive.archive.archive import open_for_reading
from mailarchive.clock import Stop, SystemClock
from mailarchive.config import Endpoint, account_of
from mailarchive.loopback.corpus import Mail
from mailarchive.ops.events import ignore
from mailarchive.ops.restore import restore
from mailarchive.ops.restore_options import RestoreOptions, RestoreTarget
from mailarchive.ops.restore_report import RestoreReport
from mailarchive.targets.registry import connect
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


class HastyClock(SystemClock):
    """Goes ten times as fast as time does."""

    def monotonic(self) -> float:
        return 10 * super().monotonic()

    def worked(self) -> float:
        return 10 * super().worked()

    def sleep(self, seconds: float, stop: threading.Event) -> bool:
        return super().sleep(seconds / 10, stop)


def restore_at(port: int, root: Path, options: RestoreOptions) -> RestoreReport:
    """Restore in this process to the server at ``port`` of this machine."""
    endpoint = Endpoint("imap", Dovecot.user, Dovecot.host, port, "plain", compress="never")
    clock, stop = HastyClock(), Stop()
    target = RestoreTarget(account_of(endpoint), connect(endpoint, lambda: Dovecot.password, clock=clock, stop=stop))
    return restore(root, target, options, observer=ignore, clock=clock, stop=stop)


def by_mailbox(mails: Iterable[Mail]) -> dict[str, Counter[bytes]]:
    """Return which messages each mailbox should have."""
    found: dict[str, Counter[bytes]] = {}
    for one in mails:
        found.setdefault(one.mailbox, Counter())[one.octets] += 1
    return found


def there(server: Dovecot, mailboxes: Iterable[str], into: str) -> dict[str, Counter[bytes]]:
    """Return which messages the mailboxes have that were restored below ``into``."""
    return {name: Counter(server.messages(f"{into}/{name}").values()) for name in mailboxes}


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
