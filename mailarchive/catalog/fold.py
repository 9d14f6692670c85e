"""How each fact changes the tables: the one place where the journal becomes rows."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mailarchive import facts as f
from mailarchive.catalog.fold_restores import RESTORING, RestoreFold
from mailarchive.catalog.rows import with_digests
from mailarchive.catalog.schema import DIGEST_IS
from mailarchive.model import Digest, RemoteUid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_DAY = 86_400
_Row = tuple[int, int]
_NOWHERE = None, None


def moment_columns(moment: datetime | None) -> tuple[int | None, int | None]:
    """Return (seconds since the epoch, minutes east of UTC) of an aware ``moment``."""
    if moment is None:
        return None, None
    since, zone = moment - _EPOCH, moment.utcoffset()
    return since.days * _DAY + since.seconds, zone // _MINUTE if zone else 0


def _labels(labels: tuple[str, ...]) -> str | None:
    return json.dumps(labels) if labels else None


class Fold:
    """Applies facts to the tables over one connection."""

    def __init__(self, db: sqlite3.Connection, run: int) -> None:
        self._db = db
        self.run = run
        self._flag_sets: dict[tuple[str, ...], int] = {}
        self._restores = RestoreFold(db)
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
            f.TargetSeen: self._restores.target,
            f.TargetMailboxSeen: self._restores.mailbox,
        }

    def apply(self, facts: Iterable[f.Fact]) -> None:
        """Apply ``facts`` in order, inside the caller's transaction; what comes in great numbers many at a time."""
        messages: list[Any] = []
        placed: list[Any] = []
        restored: list[Any] = []
        for fact in facts:
            kind = type(fact)
            if kind is f.Placed:
                placed.append(fact)
            elif kind is f.MessageStored:
                messages.append(fact)
            elif kind in RESTORING:
                restored.append(fact)
            elif handler := self._by_type.get(kind):
                self._arrived(messages, placed)
                self._restores.restored(restored, self.run)
                handler(fact)
        self._arrived(messages, placed)
        self._restores.restored(restored, self.run)

    def _arrived(self, messages: list[f.MessageStored], placed: list[f.Placed]) -> None:
        """Apply and clear messages, then placements: none of the former looks at any of the latter."""
        if not messages and not placed:
            return
        digests = {fact.digest for fact in messages} | {fact.digest for fact in placed}
        rows = with_digests(self._db, "digest, id, size", digests)
        known = {digest: (number, size) for digest, number, size in rows}
        self._messages(messages, known)
        self._count(placed)
        self._placements(placed, known)
        self._forgive((fact.mailbox, fact.uidvalidity, fact.uid) for fact in placed)
        messages.clear()
        placed.clear()

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
        is_new = not self._db.execute("SELECT 1 FROM mailbox WHERE number = ?", (fact.mailbox,)).fetchone()
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
        if is_new:
            self._count_anew(fact.mailbox)
        self._remember(fact.mailbox)
        if fact.uidvalidity is None:
            self._end_placements("mailbox = ?", fact.mailbox)
        else:  # each is a stretch of the primary key
            self._end_placements("mailbox = ? AND uidvalidity < ?", fact.mailbox, fact.uidvalidity)
            self._end_placements("mailbox = ? AND uidvalidity > ?", fact.mailbox, fact.uidvalidity)
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

    def _end_placements(self, where: str, mailbox: int, *arguments: object) -> None:
        self._end_each(where, mailbox, [(mailbox, *arguments)])

    def _end_each(self, where: str, mailbox: int, keys: Iterable[tuple[object, ...]]) -> None:
        ended = self._db.executemany(
            f"UPDATE placement SET gone_run = ? WHERE {where} AND gone_run IS NULL",  # noqa: S608 - constants
            ((self.run, *key) for key in keys),
        ).rowcount
        self._begin(mailbox, -ended)

    def _begin(self, mailbox: int, placements: int) -> None:
        if placements:
            self._db.execute("UPDATE mailbox SET placed = placed + ? WHERE number = ?", (placements, mailbox))

    def _count_anew(self, mailbox: int) -> None:
        """Count what is in a mailbox that was not there yet: as a rule nothing, as the journal tells of it first."""
        there = "SELECT COUNT(*) FROM placement WHERE mailbox = ?1 AND gone_run IS NULL"
        self._db.execute(f"UPDATE mailbox SET placed = ({there}) WHERE number = ?1", (mailbox,))  # noqa: S608

    def _count(self, facts: Sequence[f.Placed]) -> None:
        """Count the placements that begin, before they are there; keep what they replace as their past."""
        by_place: defaultdict[tuple[int, int], set[RemoteUid]] = defaultdict(set)
        for fact in facts:
            by_place[fact.mailbox, fact.uidvalidity].add(fact.uid)
        for (mailbox, uidvalidity), uids in by_place.items():
            there = self._there(mailbox, uidvalidity, uids)
            self._begin(mailbox, len(uids) - sum(there.values()))
            self._pass((mailbox, uidvalidity, uid) for uid in there)

    def _there(self, mailbox: int, uidvalidity: int, uids: set[RemoteUid]) -> dict[RemoteUid, bool]:
        """Return those of ``uids`` that are known, and whether present; as a rule one look tells that none is there."""
        numbers = [uid for uid in uids if isinstance(uid, int)]
        if len(numbers) == len(uids):
            where = "(mailbox, uidvalidity) = (?, ?) AND uid BETWEEN ? AND ?"
            place = (mailbox, uidvalidity, min(numbers), max(numbers))
            if not self._db.execute(f"SELECT 1 FROM placement WHERE {where} LIMIT 1", place).fetchone():  # noqa: S608
                return {}
        sql = "SELECT gone_run IS NULL FROM placement WHERE (mailbox, uidvalidity, uid) = (?, ?, ?)"
        found = ((uid, self._db.execute(sql, (mailbox, uidvalidity, uid)).fetchone()) for uid in uids)
        return {uid: bool(row[0]) for uid, row in found if row}

    def _pass(self, keys: Iterable[tuple[int, int, RemoteUid]]) -> None:
        """Keep how placements were after runs before this one, because they begin anew in this."""
        arguments = [(self.run, *key) for key in keys]
        where = "FROM placement WHERE (mailbox, uidvalidity, uid) = (?2, ?3, ?4) AND run <> ?1"
        columns = "mailbox, uidvalidity, uid, message, epoch, zone, labels, run, COALESCE(gone_run, ?1)"
        self._db.executemany(f"INSERT INTO placement_past SELECT {columns} {where}", arguments)
        columns = "mailbox, uidvalidity, uid, ?1, flag_set"
        self._db.executemany(f"INSERT INTO flag_change SELECT {columns} {where}", arguments)

    def _messages(self, facts: Sequence[f.MessageStored], known: dict[Digest, _Row]) -> None:
        """Apply messages, and make them ``known``."""
        (last,) = self._db.execute("SELECT COALESCE(MAX(id), 0) FROM message").fetchone()
        new, moved = [], []
        for fact in facts:
            row = known.get(fact.digest)
            if row is None:
                last += 1
                known[fact.digest] = last, fact.size
                new.append((last, *fact))
            else:
                moved.append((*fact[3:8], row[0]))
        self._db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", new)
        if moved:
            self._db.executemany(
                'UPDATE message SET block = ?, "offset" = ?, length = ?, eol = ?, final = ?, lost = 0 WHERE id = ?',
                moved,
            )

    def _placements(self, facts: Iterable[f.Placed], known: Mapping[Digest, _Row]) -> None:
        rows, came = [], Counter[int]()
        for p in facts:
            message, size = known.get(p.digest, _NOWHERE)
            said = size if p.rfc822size is None else p.rfc822size
            flag_set = self._flag_sets.get(p.flags) or self._flag_set(p.flags)
            moment = moment_columns(p.date)
            ids = p.account_id, p.thread_id, _labels(p.labels)
            if p.by is None:
                came[p.mailbox] += size or 0
            rows.append((*p[:3], message, *moment, flag_set, *ids, said, p.by, self.run))
        self._db.executemany(
            "INSERT OR REPLACE INTO placement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", rows
        )
        self._db.executemany(
            "INSERT INTO download VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET octets = octets + excluded.octets",
            ((self.run, mailbox, octets) for mailbox, octets in came.items()),
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
        keys = [(fact.mailbox, fact.uidvalidity, uid) for uid in fact.uids]
        self._end_each("(mailbox, uidvalidity, uid) = (?, ?, ?)", fact.mailbox, keys)
        self._forgive(keys)

    def _failed(self, fact: f.Failed) -> None:
        self._db.execute(
            "INSERT INTO failure VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET why = excluded.why,"
            " tries = tries + 1, last_run = excluded.last_run",
            (fact.mailbox, fact.uidvalidity, fact.uid, fact.why, self.run),
        )

    def _forgive(self, keys: Iterable[tuple[int, int, RemoteUid]]) -> None:
        if self._db.execute("SELECT 1 FROM failure LIMIT 1").fetchone():
            self._db.executemany("DELETE FROM failure WHERE (mailbox, uidvalidity, uid) = (?, ?, ?)", keys)

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
        sql = f"UPDATE message SET lost = ?2 WHERE {DIGEST_IS}"  # noqa: S608 - constant
        self._db.execute(sql, (fact.digest, 2 if fact.cut else 1))
        self._db.execute(
            "UPDATE mailbox SET cursor_uidvalidity = NULL WHERE number IN (SELECT mailbox FROM placement p"  # noqa: S608
            f" JOIN message m ON m.id = p.message WHERE {DIGEST_IS})",
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
        complete = fact.complete or (fact.accounts if fact.exit_code == 0 else ())
        self._db.executemany("UPDATE account SET complete_run = ? WHERE name = ?", [(fact.run, a) for a in complete])
