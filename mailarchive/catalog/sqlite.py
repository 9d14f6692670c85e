"""The catalog in an SQLite file (WAL), or in memory."""

import hashlib
import json
import marshal
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mailarchive.catalog.base import CatalogUnusable
from mailarchive.catalog.fold import Fold, moment_columns
from mailarchive.catalog.outgoing import Choice, lay_out
from mailarchive.catalog.rows import (
    MAILBOX,
    MESSAGE,
    PLACEMENT,
    SIGHTING,
    Row,
    mailbox_of,
    message_of,
    name_of,
    placement_of,
    sighting_of,
    time_of,
    with_digests,
)
from mailarchive.catalog.schema import DIGEST_IS, INDEXES, TABLES, VERSION
from mailarchive.errors import ArchiveDamaged, StorageFailed
from mailarchive.facts import BEGINNING, BlockPacked, Fact, MessageStored, Position
from mailarchive.files import storage
from mailarchive.model import Account, Digest, HeaderDigest, RemoteUid
from mailarchive.records import (
    Here,
    KnownFailure,
    KnownMailbox,
    Looks,
    MailboxState,
    MailboxSummary,
    PlacementRecord,
    RunRecord,
    Sighting,
    Totals,
)

_STORAGE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_HASHED = 1000
_NO_REFERENCES = 2
"""The version of marshal whose octets are the same for equal values, whether they are one object or two."""
_CACHE, _FILLING = 4 << 20, 32 << 20
"""So many octets of a catalog are kept in memory; more while it is filled, because digests come in no order."""
_WAL_PAGES = 2000
"""So long the write-ahead log gets: pages that each transaction changes are copied into the catalog less often."""
_FINGERPRINT = {
    "account": "SELECT * FROM account ORDER BY 1",
    "mailbox": "SELECT * FROM mailbox ORDER BY 1",
    "message": "SELECT * FROM message ORDER BY id",
    "flag_set": "SELECT * FROM flag_set ORDER BY id",
    "placement": "SELECT * FROM placement ORDER BY mailbox, uidvalidity, uid",
    "flag_change": "SELECT * FROM flag_change ORDER BY rowid",
    "mailbox_change": "SELECT * FROM mailbox_change ORDER BY rowid",
    "failure": "SELECT * FROM failure ORDER BY 1, 2, 3",
    "block": "SELECT * FROM block ORDER BY 1",
    "run": "SELECT * FROM run ORDER BY 1",
    "download": "SELECT * FROM download ORDER BY 1, 2",
}
"""Rows as they are, numbers of messages and sets of flags too: the fold gives those in the order of the facts."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ArchiveDamaged(f"the journal contradicts itself ({error})") from error
    except sqlite3.Error as error:
        if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _STORAGE:
            raise StorageFailed(f"the catalog cannot be read or written ({error})") from error
        raise CatalogUnusable(f"the catalog is damaged ({error})") from error
    except UnicodeDecodeError as error:  # SQLite quotes a damaged schema in what it says
        raise CatalogUnusable("the catalog is damaged (its schema is no text)") from error


def create(path: Path | None) -> "SqliteCatalog":
    """Make an empty catalog at ``path``, where there must be none, or a temporary one. Raises StorageFailed."""
    catalog = begin(path)
    catalog.complete()
    return catalog


def begin(path: Path | None) -> "SqliteCatalog":
    """Begin a catalog that is to be filled from a whole journal: it has no indexes and is not durable.

    Until ``complete`` what is at ``path`` is no catalog, should the process die, and a failure leaves it of no use.
    Raises StorageFailed.
    """
    with _translated():
        if path is not None:
            with storage(path):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        db = _connect("" if path is None else path)
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = OFF")
        db.execute(f"PRAGMA cache_size = -{_FILLING >> 10}")
        db.executescript(f"BEGIN; {TABLES}; COMMIT;")
        db.execute("INSERT INTO state VALUES (?, ?, ?, ?)", _state(BEGINNING))
        return SqliteCatalog(db, path)


def open_existing(path: Path) -> "SqliteCatalog":
    """Open the catalog at ``path``. Raises CatalogUnusable if it is missing, no catalog, or of another schema."""
    if not path.exists():
        raise CatalogUnusable("the catalog is missing")
    with _translated():
        db = _connect(path)
        try:
            _check_version(db)
            _check_length(db, path)
            return SqliteCatalog(db, path)
        except BaseException:
            db.close()
            raise


def _check_version(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        raise CatalogUnusable(f"the catalog has schema {version} instead of {VERSION}")


def _check_length(db: sqlite3.Connection, path: Path) -> None:
    """Notice a file that was cut, which SQLite itself notices only when it needs the missing pages."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    wal = path.with_name(path.name + "-wal")
    if path.stat().st_size < pages * size and not (wal.exists() and wal.stat().st_size):
        raise CatalogUnusable("the catalog is shorter than it should be")


def _connect(path: Path | str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=256)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA cache_size = -{_CACHE >> 10}")
    db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    return db


def _state(position: Position) -> tuple[int, int, bytes, int]:
    return position.part, position.offset, position.chain, position.checkpoints


class SqliteCatalog:
    """See ``catalog.base.Catalog``. Not thread-safe beyond what SQLite's own locking gives."""

    def __init__(self, db: sqlite3.Connection, path: Path | None) -> None:
        self._db = db
        self._path = path
        self._fold = Fold(db, self.run_number())

    def _all(self, sql: str, *arguments: object) -> list[Row]:
        with _translated():
            return self._db.execute(sql, arguments).fetchall()

    def path(self) -> Path | None:
        return self._path

    def position(self) -> Position:
        rows = self._all("SELECT * FROM state")
        if [[type(value) for value in row] for row in rows] != [[int, int, bytes, int]]:
            raise CatalogUnusable("the catalog does not know its place in the journal")
        return Position(*rows[0])

    def apply(self, facts: Iterable[Fact], position: Position) -> None:
        with _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._fold.apply(facts)
                self._db.execute(
                    'UPDATE state SET part = ?, "offset" = ?, chain = ?, checkpoints = ?', _state(position)
                )
                self._db.execute("COMMIT")
            except BaseException:
                self._fold.forget()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def complete(self) -> None:
        """Make what was begun a catalog, durably, and as careful with memory as any. Raises StorageFailed."""
        with _translated():
            self._db.executescript(f"BEGIN; {INDEXES}; PRAGMA user_version = {VERSION}; COMMIT;")
            self._db.execute(f"PRAGMA cache_size = -{_CACHE >> 10}")
            self._db.execute(f"PRAGMA journal_mode = {'MEMORY' if self._path is None else 'WAL'}")
            self._db.execute("PRAGMA synchronous = NORMAL")
        if self._path is not None:
            with storage(self._path), self._path.open("rb") as file:
                os.fsync(file.fileno())

    def run_number(self) -> int:
        return int(self._all("SELECT COALESCE(MAX(number), 0) FROM run")[0][0])

    def message(self, digest: Digest) -> MessageStored | None:
        rows = self._all(f"SELECT {MESSAGE} FROM message WHERE {DIGEST_IS} AND NOT lost", digest)  # noqa: S608
        return message_of(rows[0]) if rows else None

    def known(self, digests: Iterable[Digest]) -> set[Digest]:
        with _translated():
            return {digest for digest, lost in with_digests(self._db, "digest, lost", digests) if not lost}

    def digests(self, prefix: str, limit: int) -> list[Digest]:
        low, high = bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))
        sql = (
            "SELECT digest FROM message WHERE substr(digest, 1, 8) BETWEEN substr(?1, 1, 8) AND substr(?2, 1, 8)"
            " AND digest BETWEEN ?1 AND ?2 ORDER BY substr(digest, 1, 8), digest LIMIT ?3"
        )
        return [Digest(digest) for (digest,) in self._all(sql, low, high, limit)]

    def block(self, number: int) -> BlockPacked | None:
        rows = self._all("SELECT * FROM block WHERE number = ?", number)
        return BlockPacked(*rows[0]) if rows else None

    def blocks(self) -> list[int]:
        sql = "SELECT number FROM block UNION SELECT DISTINCT block FROM message WHERE NOT lost ORDER BY 1"
        return [number for (number,) in self._all(sql)]

    def newest_block(self) -> int:
        sql = "SELECT MAX(COALESCE((SELECT MAX(number) FROM block), 0), COALESCE((SELECT MAX(block) FROM message), 0))"
        return int(self._all(sql)[0][0])

    def block_end(self, block: int) -> int:
        sql = 'SELECT "offset" + length FROM message WHERE block = ? AND lost < 2 ORDER BY "offset" DESC LIMIT 1'
        return next((int(end) for (end,) in self._all(sql, block)), 0)

    def messages_in(self, block: int) -> list[MessageStored]:
        sql = f'SELECT {MESSAGE} FROM message WHERE block = ? AND NOT lost ORDER BY "offset"'  # noqa: S608
        return [message_of(row) for row in self._all(sql, block)]

    def segment_ends(self) -> dict[int, int]:
        sql = (
            "WITH RECURSIVE s (segment) AS (SELECT MIN(segment) FROM block UNION ALL"
            " SELECT (SELECT MIN(b.segment) FROM block b WHERE b.segment > s.segment) FROM s WHERE segment IS NOT NULL)"
            ' SELECT segment, (SELECT "offset" + length FROM block b WHERE b.segment = s.segment AND EXISTS'
            " (SELECT 1 FROM message WHERE block = number AND lost < 2)"
            ' ORDER BY "offset" DESC LIMIT 1) FROM s'
        )
        return {segment: end for segment, end in self._all(sql) if end is not None}

    def accounts(self) -> list[Account]:
        return [Account(*row) for row in self._all("SELECT name, protocol, url, security FROM account ORDER BY name")]

    def mailboxes(self, account: str | None = None) -> list[KnownMailbox]:
        sql = f"SELECT {MAILBOX} FROM mailbox WHERE ?1 IS NULL OR account = ?1 ORDER BY number"  # noqa: S608
        return [mailbox_of(row) for row in self._all(sql, account)]

    def uids(self, mailbox: int, uidvalidity: int, first: int | None = None) -> dict[RemoteUid, bool]:
        return dict(self._each_uid(" AND uid >= ?", mailbox, uidvalidity, first or 0))

    def each_uid(self, mailbox: int, uidvalidity: int) -> Iterator[tuple[RemoteUid, bool]]:
        return self._each_uid("", mailbox, uidvalidity)

    def _each_uid(self, where: str, *arguments: int) -> Iterator[tuple[RemoteUid, bool]]:
        sql = (
            f"SELECT uid, gone_run IS NULL FROM placement WHERE mailbox = ? AND uidvalidity = ?{where}"  # noqa: S608
            " AND message NOT IN (SELECT id FROM message WHERE lost) ORDER BY uid"
        )
        with _translated():
            for uid, present in self._db.execute(sql, arguments):
                yield uid, bool(present)

    def lost_uids(self, mailbox: int, uidvalidity: int) -> list[RemoteUid]:
        sql = (
            "SELECT uid FROM message CROSS JOIN placement ON message.id = message WHERE lost"
            " AND mailbox = ? AND uidvalidity = ? AND gone_run IS NULL ORDER BY uid"
        )  # CROSS: by way of the lost messages, which are few
        return [uid for (uid,) in self._all(sql, mailbox, uidvalidity)]

    def present(self, mailbox: int) -> int:
        lost = (
            "SELECT COUNT(*) FROM message CROSS JOIN placement ON message.id = message"
            " WHERE lost AND mailbox = ?1 AND gone_run IS NULL"
        )
        rows = self._all(f"SELECT placed - ({lost}) FROM mailbox WHERE number = ?1", mailbox)  # noqa: S608
        return int(rows[0][0]) if rows else 0

    def flags(self, mailbox: int, uidvalidity: int) -> dict[RemoteUid, tuple[str, ...]]:
        sets = {number: tuple(json.loads(text)) for number, text in self._all("SELECT id, flags FROM flag_set")}
        sql = "SELECT uid, flag_set FROM placement WHERE mailbox = ? AND uidvalidity = ? AND gone_run IS NULL"
        try:
            return {uid: sets[number] for uid, number in self._all(sql, mailbox, uidvalidity)}
        except KeyError as error:
            raise CatalogUnusable(f"the catalog is damaged (it has no set of flags {error})") from error

    def labels(self, mailbox: int, uidvalidity: int) -> dict[RemoteUid, tuple[str, ...]]:
        sql = (
            "SELECT uid, labels FROM placement JOIN message ON message.id = message"
            " WHERE mailbox = ? AND uidvalidity = ? AND gone_run IS NULL AND NOT lost"
        )
        sets: dict[str | None, tuple[str, ...]] = {None: ()}
        found = {}
        for uid, text in self._all(sql, mailbox, uidvalidity):
            if text not in sets:
                sets[text] = tuple(json.loads(text))
            found[uid] = sets[text]
        return found

    def placement(self, mailbox: int, uidvalidity: int, uid: RemoteUid) -> PlacementRecord | None:
        rows = self._all(
            PLACEMENT + "WHERE p.mailbox = ? AND p.uidvalidity = ? AND p.uid = ?", mailbox, uidvalidity, uid
        )
        return placement_of(rows[0]) if rows else None

    def with_ids(self, account: str, ids: Iterable[str]) -> Iterator[Sighting]:
        sql = (
            SIGHTING + "json_each(?) j JOIN placement p ON p.account_id = j.value JOIN message m ON m.id = p.message"
            " JOIN mailbox b ON b.number = p.mailbox WHERE b.account = ? AND NOT m.lost"
        )
        return map(sighting_of, self._all(sql, json.dumps(list(ids)), account))

    def look_alike(self, looks: Iterable[Looks], here: Here | None) -> set[Looks]:
        wanted = {(size, moment_columns(date)[0]): (size, date) for size, date in looks}
        elsewhere = "NOT (gone_run IS NULL AND (mailbox, uidvalidity) IS (?2, ?3))"
        same_size = "SELECT 1 FROM placement WHERE said_size = json_extract(j.value, '$[0]')"
        sql = (
            "SELECT json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]') FROM json_each(?1) j"  # noqa: S608
            f" WHERE CASE WHEN json_extract(j.value, '$[1]') IS NULL THEN EXISTS ({same_size} AND {elsewhere})"
            f" ELSE EXISTS ({same_size} AND epoch = json_extract(j.value, '$[1]') AND {elsewhere})"
            f" OR EXISTS ({same_size} AND epoch IS NULL AND {elsewhere}) END"
        )
        return {wanted[row] for row in self._all(sql, json.dumps(list(wanted)), *(here or (None, None)))}

    def with_header(self, header: HeaderDigest, limit: int) -> list[Sighting]:
        sql = (
            SIGHTING + "message m JOIN placement p ON p.message = m.id"
            " WHERE substr(m.header, 1, 6) = substr(?1, 1, 6) AND m.header = ?1 AND NOT m.lost LIMIT ?2"
        )
        return list(map(sighting_of, self._all(sql, header, limit)))

    def sighting(self, mailbox: int, uidvalidity: int, uid: RemoteUid) -> Sighting | None:
        sql = (
            SIGHTING + "placement p JOIN message m ON m.id = p.message"
            " WHERE (p.mailbox, p.uidvalidity, p.uid) = (?, ?, ?) AND NOT m.lost"
        )
        return next(map(sighting_of, self._all(sql, mailbox, uidvalidity, uid)), None)

    def newest(self, mailbox: int, limit: int) -> list[Sighting]:
        sql = (
            SIGHTING + "placement p JOIN message m ON m.id = p.message WHERE p.mailbox = ?1 AND p.gone_run IS NULL"  # noqa: S608 - constant
            " ORDER BY p.uidvalidity DESC, p.uid DESC LIMIT COALESCE((SELECT MIN(?2, placed) FROM mailbox"
            " WHERE number = ?1), 0)"
        )  # no further than to the last that is present, through all that is gone
        return list(map(sighting_of, self._all(sql, mailbox, limit)))

    def downloaded(self, account: str, since: datetime) -> int:
        sql = (
            "SELECT COALESCE(SUM(d.octets), 0) FROM run r JOIN download d ON d.run = r.number"
            " JOIN mailbox b ON b.number = d.mailbox WHERE (r.began >= ?1 OR r.ended >= ?1) AND b.account = ?2"
        )
        return int(self._all(sql, since.astimezone(UTC).isoformat(), account)[0][0])

    def left_for_good(self, mailbox: int, run: int) -> int:
        sql = (
            "SELECT COUNT(*) FROM placement p JOIN mailbox b ON b.number = p.mailbox"
            " WHERE p.mailbox = ? AND p.gone_run = ? AND NOT EXISTS (SELECT 1 FROM placement q"
            " JOIN mailbox c ON c.number = q.mailbox"
            " WHERE q.message = p.message AND q.gone_run IS NULL AND c.account = b.account)"
        )
        return int(self._all(sql, mailbox, run)[0][0])

    def failures(self, mailbox: int, uidvalidity: int) -> list[KnownFailure]:
        sql = (
            "SELECT uid, why, tries, began FROM failure JOIN run ON run.number = last_run"
            " WHERE mailbox = ? AND uidvalidity = ? ORDER BY uid"
        )
        return [
            KnownFailure(uid, why, tries, datetime.fromisoformat(began))
            for uid, why, tries, began in self._all(sql, mailbox, uidvalidity)
        ]

    def ledger(self, account: str | None = None) -> list[tuple[KnownMailbox, KnownFailure]]:
        boxes = {box.number: box for box in self.mailboxes(account)}
        failed = {number for (number,) in self._all("SELECT DISTINCT mailbox FROM failure")}
        found = sorted(
            (boxes[number] for number in failed & boxes.keys()), key=lambda box: (box.account, str(box.name))
        )
        return [(box, failure) for box in found for failure in self.failures(box.number, box.uidvalidity or 0)]

    def summaries(self) -> list[MailboxSummary]:
        rows = self._all(
            "SELECT b.number, b.account, b.parts, b.delimiter, b.raw, b.present,"
            " COUNT(p.uid) FILTER (WHERE p.gone_run IS NULL),"
            " COUNT(p.uid) FILTER (WHERE p.gone_run IS NULL AND s.flags NOT LIKE '%\"\\\\Seen\"%'),"
            " COUNT(p.uid) FILTER (WHERE p.gone_run IS NOT NULL),"
            " COALESCE(SUM(m.size) FILTER (WHERE p.gone_run IS NULL), 0),"
            " (SELECT began FROM run WHERE number ="
            "   MAX(COALESCE(b.last_run, 0), CASE WHEN b.present THEN COALESCE(a.last_run, 0) ELSE 0 END))"
            " FROM mailbox b LEFT JOIN account a ON a.name = b.account"
            " LEFT JOIN placement p ON p.mailbox = b.number"
            " LEFT JOIN message m ON m.id = p.message LEFT JOIN flag_set s ON s.id = p.flag_set"
            " GROUP BY b.number ORDER BY b.account, b.parts"
        )
        return [
            MailboxSummary(
                number,
                account,
                name_of(parts, delimiter, raw),
                bool(present),
                messages,
                unseen,
                gone,
                octets,
                time_of(pulled),
            )
            for number, account, parts, delimiter, raw, present, messages, unseen, gone, octets, pulled in rows
        ]

    def placements(self, mailbox: int, *, gone: bool) -> Iterator[PlacementRecord]:
        where = f"WHERE p.mailbox = ? AND p.gone_run IS {'NOT ' if gone else ''}NULL ORDER BY p.uidvalidity, p.uid"
        return self._placements(where, mailbox)

    def _placements(self, where: str, argument: int) -> Iterator[PlacementRecord]:
        with _translated():
            for row in self._db.execute(PLACEMENT + where, (argument,)):
                yield placement_of(row)

    def lay_out(self, path: Path, choice: Choice) -> None:
        with _translated():
            lay_out(self._db, path, choice)

    def begun(self, first_run: int) -> Iterator[PlacementRecord]:
        return self._placements("WHERE p.run >= ? ORDER BY p.run, p.mailbox, p.uidvalidity, p.uid", first_run)

    def ended(self, first_run: int) -> Iterator[PlacementRecord]:
        return self._placements("WHERE p.gone_run >= ? ORDER BY p.gone_run, p.mailbox, p.uidvalidity, p.uid", first_run)

    def mailbox_states(self) -> list[MailboxState]:
        rows = self._all("SELECT mailbox, run, parts, uidvalidity, present FROM mailbox_change ORDER BY rowid")
        return [
            MailboxState(mailbox, run, name_of(parts, None, b""), uidvalidity, bool(present))
            for mailbox, run, parts, uidvalidity, present in rows
        ]

    def placements_of(self, digest: Digest) -> list[PlacementRecord]:
        where = f"WHERE {DIGEST_IS} ORDER BY p.mailbox, p.uidvalidity, p.uid"
        return [placement_of(row) for row in self._all(PLACEMENT + where, digest)]

    def totals(self) -> Totals:
        (placements, gone, received) = self._all(
            "SELECT COUNT(*), COUNT(gone_run), COALESCE(SUM(size), 0)"
            " FROM placement JOIN message ON message.id = message"
        )[0]
        (unique, octets, lost) = self._all(
            "SELECT COUNT(*), COALESCE(SUM(size), 0), COALESCE(SUM(lost > 0), 0) FROM message"
        )[0]
        return Totals(placements, gone, received, unique, octets, lost)

    def runs(self) -> Iterator[RunRecord]:
        for row in self._all("SELECT number, command, began, ended, exit_code, totals FROM run ORDER BY number"):
            number, command, began, ended, exit_code, totals = row
            yield RunRecord(
                number, command, datetime.fromisoformat(began), time_of(ended), exit_code, json.loads(totals)
            )

    def fingerprint(self) -> tuple[Position, dict[str, str]]:
        with _translated():
            self._db.execute("BEGIN")
            try:
                return self.position(), {table: self._hash(sql) for table, sql in _FINGERPRINT.items()}
            finally:
                self._db.execute("ROLLBACK")

    def _hash(self, sql: str) -> str:
        digest = hashlib.sha256()
        with _translated():
            rows = self._db.execute(sql)
            while some := rows.fetchmany(_HASHED):
                digest.update(marshal.dumps(some, _NO_REFERENCES))
        return digest.hexdigest()

    def close(self) -> None:
        with _translated():
            self._db.close()
