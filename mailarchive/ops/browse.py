"""Look into an archive: mailboxes, messages, statistics, runs."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mailarchive.archive.archive import Archive, open_for_reading
from mailarchive.errors import ArchiveDamaged, UsageError
from mailarchive.mail import headers, readable
from mailarchive.model import Account, Digest
from mailarchive.ops import plan as plans
from mailarchive.ops.selection import Selection, chosen, matchless
from mailarchive.records import KnownMailbox, PlacementRecord, RunRecord

MOST_CANDIDATES = 8
RUN_COUNTS = ("listed", "new", "known", "failed", "excluded", "gone", "flags_changed", "downloaded_bytes")

Tell = Callable[[str], None]
"""Is told each repair in a sentence."""


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """One mailbox of the archive. ``octets`` are those of the messages as received."""

    account: str
    mailbox: str
    messages: int
    unseen: int
    gone: int
    octets: int
    last_pull: datetime | None
    present: bool
    """Whether the server still lists it."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One placement with the few header fields that people look for, decoded (untrusted text)."""

    account: str
    mailbox: str
    uid: str
    digest: Digest
    size: int
    internaldate: datetime | None
    flags: tuple[str, ...]
    gone_at: datetime | None
    moved_to: tuple[str, ...]
    """The mailboxes of the account in which a message that is gone from this one is now."""
    date: str
    sender: str
    subject: str


@dataclass(frozen=True, slots=True)
class Stats:
    """Sizes in octets. ``messages`` counts placements (present and gone), ``unique`` distinct messages."""

    accounts: int
    mailboxes: int
    messages: int
    gone: int
    unique: int
    received_bytes: int
    unique_bytes: int
    disk_bytes: int
    catalog_bytes: int
    ratio: float
    """disk_bytes / received_bytes; 0 for an empty archive."""
    saved_by_deduplication: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a command that wrote to the archive. ``exit_code`` is None if it never ended."""

    number: int
    command: str
    begin: datetime
    end: datetime | None
    exit_code: int | None
    listed: int
    new: int
    known: int
    failed: int
    excluded: int
    gone: int
    flags_changed: int
    downloaded_bytes: int
    restored: int
    """Messages sent to another account, or copied there."""


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A message that could not be fetched; ``reason`` in the server's words (untrusted text)."""

    account: str
    mailbox: str
    uid: str
    reason: str
    tries: int
    last_try: datetime
    next_try: datetime
    """A pull from then on tries again."""


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message parsed for people: decoded header fields in order, the text, and names of attachments."""

    digest: Digest
    size: int
    placements: tuple[str, ...]
    """Lines such as ``me@host  INBOX  uid 17  2024-03-01T10:00:00+01:00  \\Seen``."""
    headers: tuple[tuple[str, str], ...]
    text: str
    attachments: tuple[tuple[str, str, int], ...]
    """(name, media type, octets) of each."""


def ignore_text(_text: str) -> None:
    """Listen to nobody."""


def accounts(directory: Path, tell: Tell = ignore_text) -> list[Account]:
    """Return the accounts that were pulled into the archive, by name. Raises ArchiveError."""
    with open_for_reading(directory, tell) as archive:
        return archive.catalog.accounts()


def mailboxes(directory: Path, account: str | None = None, tell: Tell = ignore_text) -> list[MailboxRow]:
    """Return every mailbox of the archive, by account and name. Raises ArchiveError."""
    with open_for_reading(directory, tell) as archive:
        return [
            MailboxRow(
                row.account, str(row.name), row.messages, row.unseen, row.gone, row.octets, row.last_pull, row.present
            )
            for row in archive.catalog.summaries()
            if account in (None, row.account)
        ]


def failures(directory: Path, account: str | None = None, tell: Tell = ignore_text) -> list[FailureRow]:
    """Return the messages that could not be fetched, by account, mailbox and uid. Raises ArchiveError."""
    with open_for_reading(directory, tell) as archive:
        return [
            FailureRow(
                box.account, str(box.name), str(known.uid), known.why, known.tries, known.last, plans.due_at(known)
            )
            for box, known in archive.catalog.ledger(account)
        ]


def messages(directory: Path, selection: Selection, tell: Tell = ignore_text) -> Iterator[MessageRow]:
    """Yield the selected placements, mailbox by mailbox, in the order of their uids. Raises ArchiveError."""
    with open_for_reading(directory, tell) as archive:
        for sentence in matchless(archive, selection):
            tell(sentence)
        boxes = {box.number: box for box in archive.catalog.mailboxes()}
        for box, record in chosen(archive, selection):
            moved_to = _moved_to(record, archive.catalog.placements_of(record.digest), boxes) if record.gone_at else ()
            if selection.moved and not moved_to:
                continue
            fields = head_fields(archive, record.digest, ("date", "from", "subject"))
            yield MessageRow(
                box.account,
                str(box.name),
                str(record.uid),
                record.digest,
                record.size,
                record.date,
                record.flags,
                record.gone_at,
                moved_to,
                fields.get("date", ""),
                fields.get("from", ""),
                fields.get("subject", ""),
            )


def head_fields(archive: Archive, digest: Digest, names: tuple[str, ...]) -> dict[str, str]:
    """Return header fields of a message, decoded; if it is damaged a subject that says so."""
    try:
        return headers.fields(archive.head(digest), names)
    except ArchiveDamaged:
        return {"subject": "(damaged: its octets cannot be read)"}


def _moved_to(
    record: PlacementRecord, everywhere: Sequence[PlacementRecord], boxes: Mapping[int, KnownMailbox]
) -> tuple[str, ...]:
    """Return in which mailboxes of the account the message of a placement that is gone is now."""
    account = boxes[record.mailbox].account
    present = {one.mailbox for one in everywhere if one.gone_at is None and boxes[one.mailbox].account == account}
    return () if record.mailbox in present else tuple(sorted(str(boxes[number].name) for number in present))


def resolve(directory: Path, prefix: str, tell: Tell = ignore_text) -> Digest:
    """Return the digest that starts with the hexadecimal ``prefix``.

    Raises UsageError if it is no hexadecimal number, none starts with it, or several do (listed).
    """
    wanted = prefix.lower()
    if not re.fullmatch(r"[0-9a-f]{1,64}", wanted):
        raise UsageError(
            f"{prefix!r} is no message ID; an ID is the beginning of a SHA-256 in hexadecimal digits",
            hint="see the IDs with: mailarchive list",
        )
    with open_for_reading(directory, tell) as archive:
        found = archive.catalog.digests(wanted, MOST_CANDIDATES + 1)
    if not found:
        raise UsageError(f"no message has an ID that starts with {wanted}", hint="see the IDs with: mailarchive list")
    if len(found) > 1:
        shown = ", ".join(digest.hex()[: len(wanted) + 6] for digest in found[:MOST_CANDIDATES])
        raise UsageError(f"several messages have an ID that starts with {wanted}: {shown}", hint="give more digits")
    return found[0]


def raw(directory: Path, digest: Digest, tell: Tell = ignore_text) -> Iterator[bytes]:
    """Yield the exact octets of a message in pieces. Raises ArchiveDamaged if they are not what was stored."""
    with open_for_reading(directory, tell) as archive:
        yield from archive.octets(digest)


def show(directory: Path, digest: Digest, tell: Tell = ignore_text) -> ShownMessage:
    """Return the message for people; never raises for malformed mail. Raises ArchiveDamaged."""
    with open_for_reading(directory, tell) as archive:
        octets = b"".join(archive.octets(digest))
        boxes = {box.number: box for box in archive.catalog.mailboxes()}
        records = archive.catalog.placements_of(digest)
        places = tuple(_place(boxes[record.mailbox], record, _moved_to(record, records, boxes)) for record in records)
    parsed = readable.read(octets)
    return ShownMessage(digest, len(octets), places, parsed.headers, parsed.text, parsed.attachments)


def _place(box: KnownMailbox, record: PlacementRecord, moved_to: Sequence[str]) -> str:
    parts = [box.account, str(box.name), f"uid {record.uid}"]
    if record.date:
        parts.append(record.date.isoformat())
    if record.flags:
        parts.append(" ".join(record.flags))
    if record.gone_at:
        parts.append(f"gone since {record.gone_at.isoformat(timespec='seconds')}")
        if moved_to:
            parts.append(f"moved to {', '.join(moved_to)}")
    return "  ".join(parts)


def stats(directory: Path, tell: Tell = ignore_text) -> Stats:
    """Return counts and sizes of the whole archive."""
    with open_for_reading(directory, tell) as archive:
        totals = archive.catalog.totals()
        accounts, boxes = len(archive.catalog.accounts()), len(archive.catalog.mailboxes())
        disk, catalog = archive.disk_usage()
    return Stats(
        accounts=accounts,
        mailboxes=boxes,
        messages=totals.placements,
        gone=totals.gone,
        unique=totals.unique,
        received_bytes=totals.received_bytes,
        unique_bytes=totals.unique_bytes,
        disk_bytes=disk,
        catalog_bytes=catalog,
        ratio=round(disk / totals.received_bytes, 4) if totals.received_bytes else 0.0,
        saved_by_deduplication=totals.received_bytes - totals.unique_bytes,
    )


def runs(directory: Path, tell: Tell = ignore_text) -> Iterator[RunRow]:
    """Yield the runs, oldest first."""
    with open_for_reading(directory, tell) as archive:
        yield from map(run_row, archive.catalog.runs())


def run_row(run: RunRecord) -> RunRow:
    """Return a run with its counts."""
    counts = {name: run.totals.get(name, 0) for name in RUN_COUNTS}
    counts["restored"] = run.totals.get("restore_sent", 0) + run.totals.get("restore_copied", 0)
    return RunRow(run.number, run.command, run.begin, run.end, run.exit_code, **counts)
