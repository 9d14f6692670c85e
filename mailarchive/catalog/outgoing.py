"""A selection of placements in the order of the blocks that hold their messages: a file that any process reads."""

import sqlite3
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from mailarchive.catalog.rows import MESSAGE, message_of, moment_of
from mailarchive.facts import MessageStored
from mailarchive.model import Digest, RemoteUid

_COLUMNS = MESSAGE.replace(",", ", m.")
_DAY = 86_400


class Outgoing(NamedTuple):
    """A placement on its way out; ``at`` is where its entry begins in an mbox of what is chosen of its mailbox."""

    message: MessageStored
    mailbox: int
    uid: RemoteUid
    date: datetime | None
    gone: bool
    at: int


class Restorable(NamedTuple):
    """A placement as it is to be restored; ``lost`` says that its octets are damaged or missing."""

    message: MessageStored
    lost: bool
    uidvalidity: int
    uid: RemoteUid
    date: datetime | None
    flags: tuple[str, ...]
    labels: tuple[str, ...]


class Choice(NamedTuple):
    """Which placements: of these mailboxes; present (False), gone (True) or both; INTERNALDATE in [since, before)."""

    mailboxes: tuple[int, ...]
    gone: bool | None
    since: date | None
    before: date | None


def lay_out(db: sqlite3.Connection, path: Path, choice: Choice) -> None:
    """Write the choice to a new file at ``path``, as of one moment. Raises sqlite3.Error."""
    db.execute("ATTACH ? AS laid", (str(path),))
    try:
        db.execute("BEGIN")
        db.execute("CREATE TABLE laid.chosen (number INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO laid.chosen VALUES (?)", ((number,) for number in choice.mailboxes))
        db.execute(
            f"CREATE TABLE laid.outgoing AS SELECT m.{_COLUMNS}, m.lost, p.mailbox, p.uid, p.epoch, p.zone,"  # noqa: S608
            " p.gone_run IS NOT NULL AS gone, SUM(CASE WHEN m.lost THEN 0 ELSE m.length END) OVER"
            " (PARTITION BY p.mailbox, p.gone_run IS NULL ORDER BY p.uidvalidity, p.uid) - m.length AS at"
            " FROM laid.chosen c JOIN placement p ON p.mailbox = c.number JOIN message m ON m.id = p.message"
            " WHERE (?1 IS NULL OR ?1 = (p.gone_run IS NOT NULL))"
            " AND (?2 IS NULL OR p.epoch + 60 * p.zone >= ?2) AND (?3 IS NULL OR p.epoch + 60 * p.zone < ?3)",
            (choice.gone, _seconds(choice.since), _seconds(choice.before)),
        )
        db.execute("CREATE INDEX laid.by_block ON outgoing (block)")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        db.execute("DETACH laid")


def _seconds(day: date | None) -> int | None:
    return None if day is None else (day - date(1970, 1, 1)).days * _DAY


class Laid:
    """What ``lay_out`` wrote at ``path``."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)

    def blocks(self) -> list[int]:
        """Return the blocks to be read, ascending."""
        return [
            number for (number,) in self._db.execute("SELECT DISTINCT block FROM outgoing WHERE NOT lost ORDER BY 1")
        ]

    def octets(self) -> int:
        """Return the octets of all messages, once for each placement."""
        return int(self._db.execute("SELECT COALESCE(SUM(size), 0) FROM outgoing WHERE NOT lost").fetchone()[0])

    def homes(self) -> set[tuple[int, bool]]:
        """Return the mailboxes that something comes from, and whether it is gone from there."""
        return {
            (number, bool(gone)) for number, gone in self._db.execute("SELECT DISTINCT mailbox, gone FROM outgoing")
        }

    def lost(self) -> list[Digest]:
        """Return the messages whose octets are lost, once for each placement."""
        return [Digest(digest) for (digest,) in self._db.execute("SELECT digest FROM outgoing WHERE lost")]

    def of(self, block: int) -> list[Outgoing]:
        """Return what comes from ``block``, mailbox by mailbox, in order."""
        sql = (
            f"SELECT {MESSAGE}, mailbox, uid, epoch, zone, gone, at"  # noqa: S608
            " FROM outgoing WHERE block = ? AND NOT lost ORDER BY mailbox, gone, at"
        )
        return [
            Outgoing(message_of(row), mailbox, uid, moment_of(epoch, zone), bool(gone), at)
            for *row, mailbox, uid, epoch, zone, gone, at in self._db.execute(sql, (block,))
        ]

    def close(self) -> None:
        """Release the file."""
        self._db.close()
