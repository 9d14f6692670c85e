"""The catalog in an SQLite file (WAL), or in memory."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mailarchive.catalog.base import CatalogUnusable
from mailarchive.catalog.database import CACHE, FILLING, check_length, check_version, connect, fingerprints, translated
from mailarchive.catalog.fold import Fold, moment_columns
from mailarchive.catalog.outgoing import Choice, lay_out
from mailarchive.catalog.overview import Overview
from mailarchive.catalog.restores import Restores
from mailarchive.catalog.rows import (
    MAILBOX,
    MESSAGE,
    PLACEMENT,
    SIGHTING,
    SIGHTING_OF_FORM,
    mailbox_of,
    message_of,
    placement_of,
    sighting_of,
    with_digests,
)
from mailarchive.catalog.schema import DIGEST_IS, INDEXES, TABLES, VERSION
from mailarchive.facts import BEGINNING, BlockPacked, Fact, MessageStored, Position
from mailarchive.files import storage
from mailarchive.model import Account, Digest, HeaderDigest, RemoteUid
from mailarchive.records import (
    Here,
    KnownFailure,
    KnownMailbox,
    Looks,
    PlacementRecord,
    Sighting,
)


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
    with translated():
        if path is not None:
            with storage(path):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        db = connect("" if path is None else path)
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA journal_mode = OFF")
        db.execute(f"PRAGMA cache_size = -{FILLING >> 10}")
        db.executescript(f"BEGIN; {TABLES}; COMMIT;")
        db.execute("INSERT INTO state VALUES (?, ?, ?, ?)", _state(BEGINNING))
        return SqliteCatalog(db, path)


def open_existing(path: Path) -> "SqliteCatalog":
    """Open the catalog at ``path``. Raises CatalogUnusable if it is missing, no catalog, or of another schema."""
    if not path.exists():
        raise CatalogUnusable("the catalog is missing")
    with translated():
        db = connect(path)
        try:
            check_version(db)
            check_length(db, path)
            return SqliteCatalog(db, path)
        except BaseException:
            db.close()
            raise


def _state(position: Position) -> tuple[int, int, bytes, int]:
    return position.part, position.offset, position.chain, position.checkpoints


class SqliteCatalog(Overview, Restores):
    """See ``catalog.base.Catalog``. Not thread-safe beyond what SQLite's own locking gives."""

    def __init__(self, db: sqlite3.Connection, path: Path | None) -> None:
        super().__init__(db)
        self._path = path
        self._fold = Fold(db, self.run_number())

    def path(self) -> Path | None:
        return self._path

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        with translated():
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            with translated():
                self._db.execute("ROLLBACK")

    def position(self) -> Position:
        rows = self._all("SELECT * FROM state")
        if [[type(value) for value in row] for row in rows] != [[int, int, bytes, int]]:
            raise CatalogUnusable("the catalog does not know its place in the journal")
        return Position(*rows[0])

    def apply(self, facts: Iterable[Fact], position: Position) -> None:
        with translated():
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
        with translated():
            self._db.executescript(f"BEGIN; {INDEXES}; PRAGMA user_version = {VERSION}; COMMIT;")
            self._db.execute(f"PRAGMA cache_size = -{CACHE >> 10}")
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
        with translated():
            return {digest for digest, lost in with_digests(self._db, "digest, lost", digests) if not lost}

    def lost_among(self, digests: Iterable[Digest]) -> set[Digest]:
        with translated():
            return {digest for digest, lost in with_digests(self._db, "digest, lost", digests) if lost}

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
        with translated():
            for uid, present in self._db.execute(sql, arguments):
                yield uid, bool(present)

    def lost_uids(self, mailbox: int, uidvalidity: int) -> list[RemoteUid]:
        sql = (
            "SELECT uid FROM message CROSS JOIN placement ON message.id = message WHERE lost"
            " AND mailbox = ? AND uidvalidity = ? AND gone_run IS NULL ORDER BY uid"
        )  # CROSS: by way of the lost messages, which are few
        return [uid for (uid,) in self._all(sql, mailbox, uidvalidity)]

    def unproved(self, mailbox: int, uidvalidity: int) -> dict[RemoteUid, Digest]:
        sql = (
            "SELECT p.uid, m.digest FROM placement p JOIN message m ON m.id = p.message"
            " WHERE p.mailbox = ? AND p.uidvalidity = ? AND p.gone_run IS NULL AND p.by != 'import' AND NOT m.lost"
            " AND EXISTS (SELECT 1 FROM placement q WHERE q.message = m.id AND q.by = 'import')"
            " AND NOT EXISTS (SELECT 1 FROM placement q WHERE q.message = m.id AND q.by IS NULL)"
        )
        return {uid: Digest(digest) for uid, digest in self._all(sql, mailbox, uidvalidity)}

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
            f" OR EXISTS ({same_size} AND epoch IS NULL AND {elsewhere})"
            f" OR EXISTS ({same_size} AND by = 'import' AND {elsewhere}) END"
            " OR EXISTS (SELECT 1 FROM message WHERE form IS NOT NULL AND form_size = json_extract(j.value, '$[0]'))"
        )
        return {wanted[row] for row in self._all(sql, json.dumps(list(wanted)), *(here or (None, None)))}

    def with_header(self, header: HeaderDigest, limit: int) -> list[Sighting]:
        sql = (
            SIGHTING + "message m JOIN placement p ON p.message = m.id"
            " WHERE substr(m.header, 1, 6) = substr(?1, 1, 6) AND m.header = ?1 AND NOT m.lost LIMIT ?2"
        )
        return list(map(sighting_of, self._all(sql, header, limit)))

    def with_form(self, header: HeaderDigest, limit: int) -> list[Sighting]:
        sql = (
            SIGHTING_OF_FORM + "message m JOIN placement p ON p.message = m.id"  # noqa: S608 - constant
            " WHERE m.form IS NOT NULL AND substr(m.form, 1, 6) = substr(?1, 1, 6) AND m.form = ?1 AND NOT m.lost"
            " AND NOT EXISTS (SELECT 1 FROM placement q"
            " WHERE q.message = m.id AND q.by IS NOT 'import' AND q.said_size != m.form_size) LIMIT ?2"
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

    def placements(self, mailbox: int, *, gone: bool) -> Iterator[PlacementRecord]:
        where = f"WHERE p.mailbox = ? AND p.gone_run IS {'NOT ' if gone else ''}NULL ORDER BY p.uidvalidity, p.uid"
        return self._placements(where, mailbox)

    def lay_out(self, path: Path, choice: Choice) -> None:
        with translated():
            lay_out(self._db, path, choice)

    def placements_of(self, digest: Digest) -> list[PlacementRecord]:
        where = f"WHERE {DIGEST_IS} ORDER BY p.mailbox, p.uidvalidity, p.uid"
        return [placement_of(row) for row in self._all(PLACEMENT + where, digest)]

    def fingerprint(self) -> tuple[Position, dict[str, str]]:
        with translated(), self.at_one_moment():
            return self.position(), fingerprints(self._db)

    def close(self) -> None:
        with translated():
            self._db.close()
