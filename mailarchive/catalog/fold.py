"""How each fact changes the tables: the one place where the journal becomes rows."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from mailarchive import facts as f

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def moment_columns(moment: datetime | None) -> tuple[int | None, int | None]:
    """Return (seconds since the epoch, minutes east of UTC) of an aware ``moment``."""
    if moment is None:
        return None, None
    return (moment - _EPOCH) // _SECOND, (moment.utcoffset() or timedelta()) // _MINUTE


def _labels(labels: tuple[str, ...]) -> str | None:
    return json.dumps(labels) if labels else None


class Fold:
    """Applies facts to the tables over one connection."""

    def __init__(self, db: sqlite3.Connection, run: int) -> None:
        self._db = db
        self.run = run
        self._flag_sets: dict[tuple[str, ...], int] = {}
        self._by_type: dict[type[Any], Callable[[Any], object]] = {
            f.AccountSeen: self._account,
            f.MailboxSeen: self._mailbox,
            f.MailboxVanished: self._vanished,
            f.FlagsChanged: self._flags,
            f.LabelsChanged: self._labels,
            f.Gone: self._gone,
            f.Failed: self._failed,
            f.CursorMoved: self._cursor,
            f.BlockPacked: self._block,
            f.Lost: self._lost,
            f.RunBegan: self._began,
            f.RunEnded: self._ended,
        }

    def apply(self, facts: Iterable[f.Fact]) -> None:
        """Apply ``facts`` in order, inside the caller's transaction; messages and their placements many at a time."""
        for arrived, some in groupby(facts, lambda fact: type(fact) in {f.MessageStored, f.Placed}):
            if arrived:
                self._arrived(list(some))
                continue
            for fact in some:
                if handler := self._by_type.get(type(fact)):
                    handler(fact)

    def _arrived(self, facts: Sequence[f.Fact]) -> None:
        """Apply messages, then placements: none of the former looks at any of the latter."""
        self._messages(fact for fact in facts if isinstance(fact, f.MessageStored))
        placed = [fact for fact in facts if isinstance(fact, f.Placed)]
        self._placements(placed)
        if self._db.execute("SELECT 1 FROM failure LIMIT 1").fetchone():
            for fact in placed:
                self._forgive(fact.mailbox, fact.uidvalidity, fact.uid)

    def forget(self) -> None:
        """Forget cached row numbers after a transaction was rolled back."""
        self._flag_sets.clear()

    def _flag_set(self, flags: tuple[str, ...]) -> int:
        if flags not in self._flag_sets:
            text = json.dumps(flags)
            self._db.execute("INSERT OR IGNORE INTO flag_set (flags) VALUES (?)", (text,))
            (number,) = self._db.execute("SELECT id FROM flag_set WHERE flags = ?", (text,)).fetchone()
            self._flag_sets[flags] = number
        return self._flag_sets[flags]

    def _account(self, fact: f.AccountSeen) -> None:
        self._db.execute(
            "INSERT INTO account (name, protocol, url, security) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " protocol = excluded.protocol, url = excluded.url, security = excluded.security",
            (fact.account, fact.protocol, fact.url, fact.security),
        )

    def _mailbox(self, fact: f.MailboxSeen) -> None:
        parts = json.dumps(fact.parts)
        self._db.execute(
            "INSERT INTO mailbox (number, account, parts, delimiter, raw, special_use, uidvalidity, present)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (number) DO UPDATE SET account = excluded.account,"
            " parts = excluded.parts, delimiter = excluded.delimiter, raw = excluded.raw,"
            " special_use = excluded.special_use, uidvalidity = excluded.uidvalidity, present = 1,"
            " cursor_uidvalidity = CASE WHEN cursor_uidvalidity = excluded.uidvalidity THEN cursor_uidvalidity END",
            (
                fact.mailbox,
                fact.account,
                parts,
                fact.delimiter,
                fact.raw.encode("latin-1"),
                json.dumps(fact.special_use),
                fact.uidvalidity,
            ),
        )
        self._remember(fact.mailbox)
        self._end_placements("mailbox = ? AND uidvalidity IS NOT ?", fact.mailbox, fact.uidvalidity)
        self._db.execute(
            "DELETE FROM failure WHERE mailbox = ? AND uidvalidity IS NOT ?", (fact.mailbox, fact.uidvalidity)
        )

    def _vanished(self, fact: f.MailboxVanished) -> None:
        self._db.execute("UPDATE mailbox SET present = 0, cursor_uidvalidity = NULL WHERE number = ?", (fact.mailbox,))
        self._remember(fact.mailbox)
        self._end_placements("mailbox = ?", fact.mailbox)
        self._db.execute("DELETE FROM failure WHERE mailbox = ?", (fact.mailbox,))

    def _remember(self, mailbox: int) -> None:
        """Keep how a mailbox is now, if that is not how it was last."""
        self._db.execute(
            "INSERT INTO mailbox_change SELECT number, ?1, parts, uidvalidity, present FROM mailbox WHERE number = ?2"
            " AND (parts, uidvalidity, present) IS NOT (SELECT parts, uidvalidity, present FROM mailbox_change"
            " WHERE mailbox = ?2 ORDER BY rowid DESC LIMIT 1)",
            (self.run, mailbox),
        )

    def _end_placements(self, where: str, *arguments: object) -> None:
        self._db.execute(
            f"UPDATE placement SET gone_run = ? WHERE {where} AND gone_run IS NULL",  # noqa: S608 - constants
            (self.run, *arguments),
        )

    def _messages(self, facts: Iterable[f.MessageStored]) -> None:
        self._db.executemany(
            'INSERT INTO message (digest, header, size, block, "offset", length, eol, final)'
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET block = excluded.block,"
            ' "offset" = excluded."offset", length = excluded.length, eol = excluded.eol, final = excluded.final,'
            " lost = 0",
            ((m.digest, m.header, m.size, m.block, m.offset, m.length, m.eol, m.final) for m in facts),
        )

    def _placements(self, facts: Iterable[f.Placed]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO placement SELECT ?, ?, ?, id, ?, ?, ?, ?, ?, ?, COALESCE(?, size), ?, ?, NULL"
            " FROM (SELECT NULL) LEFT JOIN message ON digest = ?",
            (
                (
                    p.mailbox,
                    p.uidvalidity,
                    p.uid,
                    *moment_columns(p.date),
                    self._flag_set(p.flags),
                    p.account_id,
                    p.thread_id,
                    _labels(p.labels),
                    p.rfc822size,
                    p.by,
                    self.run,
                    p.digest,
                )
                for p in facts
            ),
        )

    def _flags(self, fact: f.FlagsChanged) -> None:
        key = (fact.mailbox, fact.uidvalidity, fact.uid)
        self._db.execute(
            "INSERT INTO flag_change SELECT mailbox, uidvalidity, uid, ?, flag_set FROM placement"
            " WHERE (mailbox, uidvalidity, uid) = (?, ?, ?)",
            (self.run, *key),
        )
        self._db.execute(
            "UPDATE placement SET flag_set = ? WHERE (mailbox, uidvalidity, uid) = (?, ?, ?)",
            (self._flag_set(fact.flags), *key),
        )

    def _labels(self, fact: f.LabelsChanged) -> None:
        self._db.execute(
            "UPDATE placement SET labels = ? WHERE (mailbox, uidvalidity, uid) = (?, ?, ?)",
            (_labels(fact.labels), fact.mailbox, fact.uidvalidity, fact.uid),
        )

    def _gone(self, fact: f.Gone) -> None:
        for uid in fact.uids:
            self._end_placements("(mailbox, uidvalidity, uid) = (?, ?, ?)", fact.mailbox, fact.uidvalidity, uid)
            self._forgive(fact.mailbox, fact.uidvalidity, uid)

    def _failed(self, fact: f.Failed) -> None:
        self._db.execute(
            "INSERT INTO failure VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET why = excluded.why,"
            " tries = tries + 1, last_run = excluded.last_run",
            (fact.mailbox, fact.uidvalidity, fact.uid, fact.why, self.run),
        )

    def _forgive(self, *key: object) -> None:
        self._db.execute("DELETE FROM failure WHERE (mailbox, uidvalidity, uid) = (?, ?, ?)", key)

    def _cursor(self, fact: f.CursorMoved) -> None:
        self._db.execute(
            "UPDATE mailbox SET cursor_uidvalidity = ?, uidnext = ?, highestmodseq = ?, messages = ?, since = ?,"
            " excluded = ?, last_run = ? WHERE number = ?",
            (
                fact.uidvalidity,
                fact.uidnext,
                fact.highestmodseq,
                fact.messages,
                fact.since,
                fact.excluded,
                self.run,
                fact.mailbox,
            ),
        )

    def _block(self, fact: f.BlockPacked) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?)",
            (fact.block, fact.segment, fact.offset, fact.length, fact.size),
        )

    def _lost(self, fact: f.Lost) -> None:
        self._db.execute("UPDATE message SET lost = ? WHERE digest = ?", (2 if fact.cut else 1, fact.digest))
        self._db.execute(
            "UPDATE mailbox SET cursor_uidvalidity = NULL WHERE number IN (SELECT mailbox FROM placement p"
            " JOIN message m ON m.id = p.message WHERE m.digest = ?)",
            (fact.digest,),
        )

    def _began(self, fact: f.RunBegan) -> None:
        self.run = fact.run
        self._db.execute(
            "INSERT OR REPLACE INTO run (number, command, program, began) VALUES (?, ?, ?, ?)",
            (fact.run, fact.command, fact.program, fact.at.isoformat()),
        )

    def _ended(self, fact: f.RunEnded) -> None:
        self._db.execute(
            "UPDATE run SET ended = ?, exit_code = ?, totals = ? WHERE number = ?",
            (fact.at.isoformat(), fact.exit_code, json.dumps(dict(fact.totals), sort_keys=True), fact.run),
        )
        self._db.executemany("UPDATE account SET last_run = ? WHERE name = ?", [(fact.run, a) for a in fact.accounts])
