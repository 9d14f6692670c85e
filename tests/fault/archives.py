"""Small archives that pack, seal and checkpoint often, and what must be true of them whatever happened."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import zstandard

from mailarchive.archive import writer
from mailarchive.archive.archive import Kind, open_for_reading
from mailarchive.archive.archive import make as make_archive
from mailarchive.archive.mbox import packer, store
from mailarchive.clock import Stop
from mailarchive.journal import log
from mailarchive.model import Digest
from mailarchive.ops.events import Event, Notice, ignore
from mailarchive.ops.pull import PullAccount, PullOptions, pull
from mailarchive.ops.report import PullReport
from mailarchive.ops.verify import verify
from mailarchive.sources.memory import MemoryAccount, MemorySource
from tests.servers.still_clock import StillClock

SMALL: Sequence[tuple[ModuleType, str, int]] = (
    (store, "BLOCK_SIZE", 2048),
    (writer, "CHECKPOINT_OCTETS", 3000),
    (writer, "CHECKPOINT_FACTS", 12),
    (store, "LEAST_PACKED", 1024),
    (packer, "SEGMENT_SIZE", 3000),
    (log, "SEAL_SIZE", 4096),
)
"""Sizes at which a few messages fill blocks, segments and parts of the journal."""

ODD = (
    b"",
    b"no line end",
    b"Subject: crlf\r\n\r\nFrom here\r\n>From there\r\n",
    b"Subject: lf\n\nFrom here\n>>From there",
    b"Subject: mixed\r\n\nbare\rcr\r\n",
    b"Subject: \xff\0\xfe\r\n\r\n\0\0\r\n",
)


MBOX, MAILDIR, PLAIN = Kind(), Kind("maildir"), Kind("maildir", None)
kind = MBOX
"""What the archives of this process are."""


def shrink(wanted: Kind = kind) -> None:
    """Set the small sizes, and the kind of archives, for the rest of this process."""
    global kind  # noqa: PLW0603 - for a process that is about to be killed
    kind = wanted
    for module, name, value in SMALL:
        setattr(module, name, value)


def ignore_text(_text: str) -> None:
    """Listen to nobody."""


def message(number: int, size: int = 400) -> bytes:
    """Return a message that hardly compresses, and no other number has."""
    noise = b"".join(hashlib.sha256(b"%d %d" % (number, n)).hexdigest().encode() + b"\r\n" for n in range(size // 66))
    return b"Subject: message %d\r\nMessage-ID: <%d@example.com>\r\n\r\n" % (number, number) + noise


def account_at_first() -> MemoryAccount:
    """Return an account with odd and with ordinary messages, one of them in two mailboxes."""
    account = MemoryAccount()
    day = datetime(2024, 2, 29, 23, 59, tzinfo=UTC)
    for path in ("INBOX", "a/b", "empty"):
        account.create(path)
    for number, octets in enumerate(ODD):
        account.append("INBOX", octets, ["\\Seen"], day + timedelta(days=number))
    for number in range(7):
        account.append("INBOX", message(number), (), day + timedelta(hours=number))
    for number in range(5, 9):
        account.append("a/b", message(number, 900), ["keyword"])
    account.append("a/b", message(3))
    return account


def change(account: MemoryAccount) -> None:
    """Let things happen: new mail, flags, expunges, a new, a deleted and a renumbered mailbox."""
    account.set_flags("INBOX", 2, ["\\Flagged", "x"])
    account.expunge("INBOX", 4)
    account.append("INBOX", message(20, 2500))
    account.append("INBOX", message(21))
    account.create("new")
    account.append("new", message(22))
    account.append("new", message(6))
    account.delete("empty")
    account.renew("a/b")


def pull_memory(
    root: Path, account: MemoryAccount, *, tell: list[str] | None = None, options: PullOptions | None = None
) -> PullReport:
    """Pull ``account`` over one connection; sentences go to ``tell``."""

    def observe(event: Event) -> None:
        if tell is not None and isinstance(event, Notice):
            tell.append(event.text)

    if kind != MBOX and not (root / "archive.toml").exists():
        make_archive(root, kind, StillClock())
    return pull(
        root,
        [PullAccount(account.account, lambda: MemorySource(account))],
        options or PullOptions(connections=1),
        observer=observe,
        clock=StillClock(),
        stop=Stop(),
    )


def make(root: Path, account: MemoryAccount | None = None) -> MemoryAccount:
    """Make an archive of ``account`` (or of a changed one, in two pulls) and return the account."""
    if account is None:
        account = account_at_first()
        assert pull_memory(root, account).status == "complete"
        change(account)
    assert pull_memory(root, account).status == "complete"
    return account


def adds_up(report: PullReport) -> PullReport:
    """Assert that listed = new + known + failed + excluded in each mailbox, and return the report."""
    for account in report.accounts:
        for box in account.mailboxes:
            counts = (box.listed, box.new, box.known, box.failed, box.excluded, box.gone, box.flags_changed)
            assert all(count >= 0 for count in counts), box
            assert box.listed == box.new + box.known + box.failed + box.excluded, box
    return report


def no_damage(root: Path) -> None:
    """Assert that verify finds nothing, also after it has mended what a crash left."""
    found = verify(root, quick=False, observer=ignore)
    assert not found.damage, found.damage
    assert found.damaged_messages == 0


Held = dict[tuple[str, int], bytes]
"""Octets by (mailbox, uid)."""


def held(root: Path) -> Held:
    """Return what the archive has of the present placements, octets checked against their digests."""
    found: Held = {}
    with open_for_reading(root, ignore_text) as archive:
        for box in archive.catalog.mailboxes():
            for record in archive.catalog.placements(box.number, gone=False):
                octets = b"".join(archive.octets(record.digest))
                assert hashlib.sha256(octets).digest() == record.digest
                assert isinstance(record.uid, int)
                found[str(box.name), record.uid] = octets
    return found


def in_account(account: MemoryAccount) -> Held:
    """Return what the server has."""
    return {
        (str(listed.name), uid): stored.octets
        for listed in account.listed()
        for uid, stored in account.find(listed.name)[1].messages.items()
    }


@dataclass
class Journal:
    """What an archive's journal says, read without the package: whole lines only."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path) -> "Journal":
        """Read the sealed parts and the tail, which may be torn or missing."""
        paths = sorted((root / "journal").glob("*.jsonl.zst"))
        octets = b"".join(map(decompressed, paths))
        tail = root / "journal" / "tail.jsonl"
        newest = tail.read_bytes() if tail.exists() else b""
        if not (octets and newest and octets.endswith(newest)):
            octets += newest
        return cls([json.loads(line) for line in octets.splitlines(keepends=True) if line.endswith(b"\n")])

    def checkpointed(self) -> "Journal":
        """Return what stands before the last checkpoint line."""
        at = max((n for n, line in enumerate(self.lines) if line["t"] == "checkpoint"), default=0)
        return Journal(self.lines[:at])

    def of_type(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the lines of a type."""
        return (line for line in self.lines if line["t"] == name)

    def digests(self) -> set[str]:
        """Return which messages are recorded and were not lost."""
        found: set[str] = set()
        for line in self.lines:
            if line["t"] == "message":
                found.add(line["digest"])
            elif line["t"] == "lost":
                found.discard(line["digest"])
        return found

    def placed(self) -> set[tuple[str, int, int]]:
        """Return which messages were placed, as (mailbox, UIDVALIDITY, uid)."""
        names = {line["mailbox"]: "/".join(line["parts"]) for line in self.of_type("mailbox")}
        whole = self.digests()
        return {
            (names[line["mailbox"]], line["uidvalidity"], line["uid"])
            for line in self.of_type("placed")
            if line["digest"] in whole
        }


def decompressed(path: Path) -> bytes:
    """Return the content of all frames of a file."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:
        return reader.read()


def has_all(root: Path, digests: Iterable[str], tell: Callable[[str], None] = ignore_text) -> None:
    """Assert that the archive gives the exact octets of each of ``digests``."""
    with open_for_reading(root, tell) as archive:
        for digest in digests:
            octets = b"".join(archive.octets(Digest(bytes.fromhex(digest))))
            assert hashlib.sha256(octets).hexdigest() == digest


def can_be_completed(root: Path, account: MemoryAccount, before: Journal) -> None:
    """Assert that what ``before`` says is there, and that a pull adds the rest and fetches nothing again."""
    if (root / "archive.toml").exists():
        no_damage(root)
        has_all(root, before.digests())
    else:
        assert not before.digests()
    account.fetches.clear()
    report = adds_up(pull_memory(root, account))
    assert report.status == "complete"
    assert not before.placed() & account.fetches.keys()
    assert max(account.fetches.values(), default=0) <= 1
    assert held(root) == in_account(account)
    no_damage(root)
    assert stored_once(root)
    assert not list(root.rglob("*.tmp"))


def stored_once(root: Path) -> bool:
    """Return whether no digest has two message lines that count."""
    journal = Journal.of(root)
    lost = Counter(line["digest"] for line in journal.of_type("lost"))
    return all(
        count <= 1 + lost[digest]
        for digest, count in Counter(line["digest"] for line in journal.of_type("message")).items()
    )
