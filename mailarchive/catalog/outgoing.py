"""A selection of placements in the order of the blocks that hold their messages: a file that any process reads."""

import json
import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mailarchive.catalog.rows import MESSAGE, message_of, moment_of
from mailarchive.facts import MessageStored
from mailarchive.model import Digest, RemoteUid

_COLUMNS = MESSAGE.replace(",", ", m.")
_DAY = 86_400
_PRESENT_HERE = "SELECT 1 FROM placement q WHERE q.message = p.message AND q.gone_run IS NULL AND q.mailbox = p.mailbox"
_PRESENT_ELSEWHERE = (
    "SELECT 1 FROM placement q JOIN mailbox b ON b.number = q.mailbox JOIN mailbox o ON o.number = p.mailbox"
    " WHERE q.message = p.message AND q.gone_run IS NULL AND b.account = o.account"
)

Words = tuple[str, ...]
Extra = Callable[[int, Words, Words], int]
"""Given a mailbox, flags and labels: how many octets are added to the entry of such a placement."""


class Outgoing(NamedTuple):
    """A placement on its way out; ``at`` is where its entry begins in an mbox of what is chosen of its mailbox."""

    message: MessageStored
    mailbox: int
    uid: RemoteUid
    date: datetime | None
    gone: bool
    at: int
    flags: Words
    labels: Words


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
    """Which placements: of these mailboxes; present (False), gone (True) or both; INTERNALDATE in [since, before).

    ``moved`` takes only those that are elsewhere in the account now; ``limit`` the first ones, in the order of
    ``mailboxes``. With ``in_one`` all entries are in one mbox; each is longer by what ``extra`` says.
    """

    mailboxes: tuple[int, ...]
    gone: bool | None
    since: date | None
    before: date | None
    moved: bool = False
    limit: int | None = None
    in_one: bool = False
    extra: Extra | None = None


def lay_out(db: sqlite3.Connection, path: Path, choice: Choice) -> None:
    """Write the choice to a new file at ``path``, as of one moment. Raises sqlite3.Error."""
    extra = choice.extra or (lambda _mailbox, _flags, _labels: 0)
    db.create_function("extra", 3, lambda mailbox, flags, labels: extra(mailbox, words(flags), words(labels)))
    db.execute("ATTACH ? AS laid", (str(path),))
    try:
        db.execute("BEGIN")
        db.execute("CREATE TABLE laid.chosen (rank INTEGER PRIMARY KEY, number INTEGER UNIQUE)")
        db.executemany("INSERT INTO laid.chosen (number) VALUES (?)", ((number,) for number in choice.mailboxes))
        db.execute(
            _laying(choice),
            (
                choice.gone,
                _seconds(choice.since),
                _seconds(choice.before),
                -1 if choice.limit is None else choice.limit,
            ),
        )
        db.execute("CREATE INDEX laid.by_block ON outgoing (block)")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        db.execute("DETACH laid")


def _laying(choice: Choice) -> str:
    """Return the statement that fills the table, in order."""
    added = "extra(p.mailbox, s.flags, p.labels)" if choice.extra else "0"
    moved = f" AND EXISTS ({_PRESENT_ELSEWHERE}) AND NOT EXISTS ({_PRESENT_HERE})" if choice.moved else ""
    together = "" if choice.in_one else "PARTITION BY rank, gone "
    order = "ORDER BY rank, gone, uidvalidity, uid"
    return (
        "CREATE TABLE laid.outgoing AS SELECT *, SUM(CASE WHEN lost THEN 0 ELSE length + extra END)"  # noqa: S608
        f" OVER ({together}{order}) - length - extra AS at"
        f" FROM (SELECT m.{_COLUMNS}, m.lost, c.rank, p.mailbox, p.uidvalidity, p.uid, p.epoch, p.zone,"
        f" p.gone_run IS NOT NULL AS gone, s.flags, p.labels, {added} AS extra"
        " FROM laid.chosen c JOIN placement p ON p.mailbox = c.number JOIN message m ON m.id = p.message"
        " JOIN flag_set s ON s.id = p.flag_set WHERE (?1 IS NULL OR ?1 = (p.gone_run IS NOT NULL))"
        " AND (?2 IS NULL OR p.epoch + 60 * p.zone >= ?2) AND (?3 IS NULL OR p.epoch + 60 * p.zone < ?3)"
        f"{moved}) {order} LIMIT ?4"
    )


@lru_cache(maxsize=1024)
def words(text: str | None) -> Words:
    """Return flags or labels of a column."""
    return tuple(json.loads(text)) if text else ()


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

    def homes(self) -> dict[tuple[int, bool], set[str]]:
        """Return the mailboxes that something comes from, and whether it is gone from there; each with all flags."""
        found: dict[tuple[int, bool], set[str]] = {}
        for number, gone, flags in self._db.execute("SELECT DISTINCT mailbox, gone, flags FROM outgoing"):
            found.setdefault((number, bool(gone)), set()).update(words(flags))
        return found

    def lost(self) -> list[Digest]:
        """Return the messages whose octets are lost, once for each placement."""
        return [Digest(digest) for (digest,) in self._db.execute("SELECT digest FROM outgoing WHERE lost")]

    def of(self, block: int) -> list[Outgoing]:
        """Return what comes from ``block``, mailbox by mailbox, in order."""
        sql = (
            f"SELECT {MESSAGE}, mailbox, uid, epoch, zone, gone, at, flags, labels"  # noqa: S608
            " FROM outgoing WHERE block = ? AND NOT lost ORDER BY mailbox, gone, at"
        )
        return [
            Outgoing(message_of(row), mailbox, uid, moment_of(epoch, zone), bool(gone), at, words(flags), words(labels))
            for *row, mailbox, uid, epoch, zone, gone, at, flags, labels in self._db.execute(sql, (block,))
        ]

    def close(self) -> None:
        """Release the file."""
        self._db.close()
