"""How the facts of a restore change the tables."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from mailarchive import facts as f
from mailarchive.catalog.rows import with_digests
from mailarchive.model import Digest
from mailarchive.records import MENDED, SENDING

_Told = f.Restored | f.Sending | f.NotTaken | f.NotThere
RESTORING = frozenset(get_args(_Told))
"""Facts that ``RestoreFold.restored`` takes many at a time."""


class RestoreFold:
    """Applies facts about targets to the tables over one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def target(self, fact: f.TargetSeen) -> None:
        """Apply a target."""
        self._db.execute("INSERT OR REPLACE INTO target VALUES (?, ?, ?, ?, ?)", fact)

    def mailbox(self, fact: f.TargetMailboxSeen) -> None:
        """Apply a mailbox of a target; what one had that was made anew is forgotten."""
        self._db.execute(
            "DELETE FROM restored WHERE box = ?1"
            " AND EXISTS (SELECT 1 FROM target_mailbox WHERE box = ?1 AND uidvalidity IS NOT ?2)",
            (fact.box, fact.uidvalidity),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO target_mailbox VALUES (?, ?, ?, ?, ?, ?)",
            (fact.box, fact.target, fact.raw.encode("latin-1"), fact.delimiter, fact.uidvalidity, fact.uidnext),
        )

    def restored(self, facts: list[_Told], run: int) -> None:
        """Apply and clear what was sent, restored, not taken and not there any more in ``run``."""
        if not facts:
            return
        rows = with_digests(self._db, "digest, id, size", {fact.digest for fact in facts})
        known = {digest: (number, size) for digest, number, size in rows}
        self._rows(facts, known, run)
        self._count(facts, known, run)
        facts.clear()

    def _rows(self, facts: Sequence[_Told], known: Mapping[Digest, tuple[int, int]], run: int) -> None:
        """Keep each fact as a row, but only until another settles or voids it."""
        (before,) = self._db.execute("SELECT COALESCE(MAX(id), 0) FROM restored").fetchone()
        in_doubt = self._in_doubt()
        given = self._given({fact.box for fact in facts if isinstance(fact, f.NotThere)})
        rows: dict[int, tuple[object, ...]] = {}
        void: set[int] = set()
        for number, fact in enumerate(facts, before + 1):
            message = known.get(fact.digest, (None, 0))[0]
            found = in_doubt[fact.box, message]
            if isinstance(fact, f.Sending):
                found.append(number)
                rows[number] = number, fact.box, message, None, SENDING, run
                continue
            if isinstance(fact, f.NotThere):
                found = given[fact.box, message, fact.uid]
            elif isinstance(fact, f.Restored):
                how = MENDED if fact.sent is not None else fact.how
                rows[number] = number, fact.box, message, fact.uid, how, run
                given[fact.box, message, fact.uid].append(number)
            if found:
                void.add(found.pop(-1 if isinstance(fact, f.NotTaken) else 0))
        self._db.executemany("DELETE FROM restored WHERE id = ?", ((row,) for row in void if row not in rows))
        self._db.executemany(
            "INSERT INTO restored VALUES (?, ?, ?, ?, ?, ?)",
            (row for number, row in rows.items() if number not in void),
        )

    def _given(self, boxes: Iterable[int]) -> defaultdict[tuple[int, int | None, int | None], list[int]]:
        """Return the rows of what ``boxes`` were given, the oldest first, by box, message and UID."""
        found = defaultdict[tuple[int, int | None, int | None], list[int]](list)
        sql = f"SELECT message, uid, id FROM restored WHERE box = ? AND how IS NOT '{SENDING}' ORDER BY id"  # noqa: S608
        for box in boxes:
            for message, uid, row in self._db.execute(sql, (box,)):
                found[box, message, uid].append(row)
        return found

    def _in_doubt(self) -> defaultdict[tuple[int, int | None], list[int]]:
        """Return the rows of what was being sent, the oldest first, by box and message."""
        found = defaultdict[tuple[int, int | None], list[int]](list)
        sql = f"SELECT box, message, id FROM restored WHERE how = '{SENDING}' ORDER BY box, message, id"  # noqa: S608
        for box, message, row in self._db.execute(sql):
            found[box, message].append(row)
        return found

    def _count(self, facts: Sequence[_Told], known: Mapping[Digest, tuple[int, int]], run: int) -> None:
        """Count the octets that were sent and arrived."""
        sent = Counter[int]()
        for fact in facts:
            if isinstance(fact, f.Restored) and fact.how is None:
                sent[fact.box] += known.get(fact.digest, (None, 0))[1]
        self._db.executemany(
            "INSERT INTO upload VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET octets = octets + excluded.octets",
            ((run, box, octets) for box, octets in sent.items()),
        )
