"""The SQLite file: connections, errors translated, and what is wrong with a file as far as that shows at once."""

import hashlib
import marshal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailarchive.catalog.base import CatalogUnusable
from mailarchive.catalog.rows import Row
from mailarchive.catalog.schema import VERSION
from mailarchive.errors import ArchiveDamaged, StorageFailed

_STORAGE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_HASHED = 1000
_NO_REFERENCES = 2
"""The version of marshal whose octets are the same for equal values, whether they are one object or two."""
CACHE, FILLING = 4 << 20, 32 << 20
"""So many octets of a catalog are kept in memory; more while it is filled, because digests come in no order."""
_WAL_PAGES = 2000
"""So long the write-ahead log gets: pages that each transaction changes are copied into the catalog less often."""
_FINGERPRINT = {
    "account": "SELECT * FROM account ORDER BY 1",
    "mailbox": "SELECT * FROM mailbox ORDER BY 1",
    "message": "SELECT * FROM message ORDER BY id",
    "flag_set": "SELECT * FROM flag_set ORDER BY id",
    "placement": "SELECT * FROM placement ORDER BY mailbox, uidvalidity, uid",
    "placement_past": "SELECT * FROM placement_past ORDER BY mailbox, uidvalidity, uid, rowid",
    "flag_change": "SELECT * FROM flag_change ORDER BY mailbox, uidvalidity, uid, run, rowid",
    "mailbox_change": "SELECT * FROM mailbox_change ORDER BY rowid",
    "failure": "SELECT * FROM failure ORDER BY 1, 2, 3",
    "block": "SELECT * FROM block ORDER BY 1",
    "run": "SELECT * FROM run ORDER BY 1",
    "download": "SELECT * FROM download ORDER BY 1, 2",
    "target": "SELECT * FROM target ORDER BY 1",
    "target_mailbox": "SELECT * FROM target_mailbox ORDER BY 1",
    "restored": "SELECT box, message, uid, how, run FROM restored ORDER BY id",
    "upload": "SELECT * FROM upload ORDER BY 1, 2",
}
"""Rows as they are, numbers of messages and sets of flags too: the fold gives those in the order of the facts."""


@contextmanager
def translated() -> Iterator[None]:
    """Translate what SQLite raises. Raises ArchiveDamaged, CatalogUnusable, StorageFailed."""
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


def check_version(db: sqlite3.Connection) -> None:
    """Raise CatalogUnusable for a catalog of another schema."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        raise CatalogUnusable(f"the catalog has schema {version} instead of {VERSION}")


def check_length(db: sqlite3.Connection, path: Path) -> None:
    """Notice a file that was cut, which SQLite itself notices only when it needs the missing pages."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    wal = path.with_name(path.name + "-wal")
    if path.stat().st_size < pages * size and not (wal.exists() and wal.stat().st_size):
        raise CatalogUnusable("the catalog is shorter than it should be")


def connect(path: Path | str) -> sqlite3.Connection:
    """Open a file, or a temporary one if ``path`` is empty."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=256)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA cache_size = -{CACHE >> 10}")
    db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    return db


class Asked:
    """A catalog's connection, asked."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def _all(self, sql: str, *arguments: object) -> list[Row]:
        with translated():
            return self._db.execute(sql, arguments).fetchall()


def fingerprints(db: sqlite3.Connection) -> dict[str, str]:
    """Return for each table a hash of what it holds."""
    return {table: _hash(db, sql) for table, sql in _FINGERPRINT.items()}


def _hash(db: sqlite3.Connection, sql: str) -> str:
    digest = hashlib.sha256()
    rows = db.execute(sql)
    while some := rows.fetchmany(_HASHED):
        digest.update(marshal.dumps(some, _NO_REFERENCES))
    return digest.hexdigest()
