"""What the catalog's queries ask for, and each row made into the record it stands for."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from mailarchive.facts import MessageStored
from mailarchive.model import Cursor, Digest, HeaderDigest, MailboxName, UidValidity
from mailarchive.records import KnownMailbox, PlacementRecord, Sighting

Row = tuple[Any, ...]

MESSAGE = 'digest, header, size, block, "offset", length, eol, final, form, form_size'
MAILBOX = (
    "number, account, parts, delimiter, raw, special_use, uidvalidity, present,"
    " cursor_uidvalidity, uidnext, highestmodseq, messages, since, excluded"
)
PLACEMENT = (
    "SELECT p.mailbox, p.uidvalidity, p.uid, m.digest, m.size, p.epoch, p.zone, s.flags,"
    " p.by, p.run, p.gone_run, r.began, p.account_id, p.thread_id, p.labels"
    " FROM placement p JOIN message m ON m.id = p.message JOIN flag_set s ON s.id = p.flag_set"
    " LEFT JOIN run r ON r.number = p.gone_run "
)
_SEEN = "p.epoch, p.zone, p.account_id, p.mailbox, p.uidvalidity, p.uid, p.gone_run IS NULL, p.by"
SIGHTING = f"SELECT m.digest, m.header, m.size, p.said_size, 0, {_SEEN} FROM "  # noqa: S608 - constants
SIGHTING_OF_FORM = f"SELECT m.digest, m.form, m.size, m.form_size, 1, {_SEEN} FROM "  # noqa: S608
_FEW = 100
"""So many values are looked up by one statement; each count of them is a statement of its own to SQLite."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_of(epoch: int | None, zone: int | None) -> datetime | None:
    """Return a moment in the zone it was told in; None if there is none, or it is out of range."""
    if epoch is None:
        return None
    try:
        return (_EPOCH + timedelta(seconds=epoch)).astimezone(timezone(timedelta(minutes=zone or 0)))
    except (OverflowError, ValueError):
        return None


def time_of(text: str | None) -> datetime | None:
    """Return the time of a run."""
    return None if text is None else datetime.fromisoformat(text)


def with_digests(db: sqlite3.Connection, columns: str, digests: Iterable[Digest]) -> Iterator[Row]:
    """Yield ``columns``, the digest first, of the messages with these digests. Raises sqlite3.Error."""
    wanted = sorted(set(digests))
    for start in range(0, len(wanted), _FEW):
        few = wanted[start : start + _FEW]
        marks = ",".join("?" * len(few))
        sql = f"SELECT {columns} FROM message WHERE substr(digest, 1, 8) IN ({marks})"  # noqa: S608 - constants
        alike = set(few)
        yield from (row for row in db.execute(sql, [digest[:8] for digest in few]) if row[0] in alike)


def message_of(row: Row) -> MessageStored:
    """Return where a message is."""
    digest, header, size, block, offset, length, eol, final, form, form_size = row
    form = None if form is None else HeaderDigest(form)
    place = block, offset, length, eol, bool(final)
    return MessageStored(Digest(digest), HeaderDigest(header), size, *place, form, form_size)


def name_of(parts: str, delimiter: str | None, raw: bytes) -> MailboxName:
    """Return the name of a mailbox."""
    return MailboxName(tuple(json.loads(parts)), delimiter, raw)


def mailbox_of(row: Row) -> KnownMailbox:
    """Return a row of MAILBOX."""
    number, account, parts, delimiter, raw, special_use, uidvalidity, present, *cursor, since, excluded = row
    return KnownMailbox(
        number,
        account,
        name_of(parts, delimiter, raw),
        tuple(json.loads(special_use)),
        uidvalidity,
        bool(present),
        None if cursor[0] is None else Cursor(UidValidity(cursor[0]), *cursor[1:]),
        since,
        excluded,
    )


def sighting_of(row: Row) -> Sighting:
    """Return a row of SIGHTING or SIGHTING_OF_FORM."""
    digest, header, size, said, is_form, epoch, zone, account_id, mailbox, uidvalidity, uid, present, by = row
    where = mailbox, uidvalidity, uid, bool(present)
    return Sighting(digest, header, size, said, moment_of(epoch, zone), account_id, *where, by, bool(is_form))


def placement_of(row: Row) -> PlacementRecord:
    """Return a row of PLACEMENT."""
    mailbox, uidvalidity, uid, digest, size, epoch, zone, flags, by, run, gone_run, gone, *ids = row
    account_id, thread_id, labels = ids
    return PlacementRecord(
        mailbox,
        uidvalidity,
        uid,
        Digest(digest),
        size,
        moment_of(epoch, zone),
        tuple(json.loads(flags)),
        time_of(gone),
        by,
        run,
        gone_run,
        account_id,
        thread_id,
        tuple(json.loads(labels)) if labels else (),
    )
