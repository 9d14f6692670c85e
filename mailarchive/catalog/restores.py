"""What a restore asks a catalog: what was in a mailbox at a time, and what a target has of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from mailarchive.catalog.base import CatalogUnusable
from mailarchive.catalog.database import Asked, translated
from mailarchive.catalog.outgoing import Restorable
from mailarchive.catalog.rows import MESSAGE, message_of, moment_of
from mailarchive.model import Digest
from mailarchive.records import KnownTarget, KnownTargetMailbox, RestoredRecord

_COLUMNS = "m." + MESSAGE.replace(", ", ", m.") + ", m.lost, p.uidvalidity, p.uid, p.epoch, p.zone, p.labels"
_NOW = (
    f"SELECT {_COLUMNS}, p.flag_set FROM placement p JOIN message m ON m.id = p.message"  # noqa: S608 - constant
    " WHERE p.mailbox = ?1 AND p.gone_run IS NULL ORDER BY p.uidvalidity, p.uid"
)
_PLACED = "SELECT mailbox, uidvalidity, uid, message, epoch, zone, labels"
_THEN = (
    f"SELECT {_COLUMNS}, COALESCE((SELECT before FROM flag_change c"  # noqa: S608 - constants
    " WHERE (c.mailbox, c.uidvalidity, c.uid) = (p.mailbox, p.uidvalidity, p.uid) AND c.run > ?2"
    " ORDER BY c.run, c.rowid LIMIT 1), p.flag_set)"
    f" FROM ({_PLACED}, flag_set FROM placement"
    " WHERE mailbox = ?1 AND run <= ?2 AND (gone_run IS NULL OR gone_run > ?2)"
    f" UNION ALL {_PLACED}, NULL FROM placement_past WHERE mailbox = ?1 AND run <= ?2 AND gone_run > ?2) p"
    " CROSS JOIN message m ON m.id = p.message ORDER BY p.uidvalidity, p.uid"
)


class Restores(Asked):
    """The part of ``catalog.base.Catalog`` that only a restore needs."""

    def restorable(self, mailbox: int, run: int | None = None) -> Iterator[Restorable]:
        sets = {number: tuple(json.loads(text)) for number, text in self._all("SELECT id, flags FROM flag_set")}
        labels: dict[str | None, tuple[str, ...]] = {None: ()}
        sql, arguments = (_NOW, (mailbox,)) if run is None else (_THEN, (mailbox, run))
        with translated():
            for *row, lost, uidvalidity, uid, epoch, zone, text, flag_set in self._db.execute(sql, arguments):
                if text not in labels:
                    labels[text] = tuple(json.loads(text))
                if flag_set not in sets:
                    raise CatalogUnusable(f"the catalog is damaged (it has no set of flags {flag_set})")
                yield Restorable(
                    message_of(row),
                    bool(lost),
                    uidvalidity,
                    uid,
                    moment_of(epoch, zone),
                    sets[flag_set],
                    labels[text],
                )

    def targets(self) -> list[KnownTarget]:
        sql = "SELECT number, name, protocol, url, security FROM target ORDER BY number"
        return [KnownTarget(*row) for row in self._all(sql)]

    def target_mailboxes(self, target: int) -> list[KnownTargetMailbox]:
        sql = (
            "SELECT box, target, raw, delimiter, uidvalidity, uidnext FROM target_mailbox WHERE target = ? ORDER BY box"
        )
        return [KnownTargetMailbox(*row) for row in self._all(sql, target)]

    def restored(self, box: int) -> list[RestoredRecord]:
        sql = (
            "SELECT m.digest, r.uid, r.how FROM restored r JOIN message m ON m.id = r.message"
            " WHERE r.box = ? ORDER BY r.id"
        )
        return [RestoredRecord(Digest(digest), uid, how) for digest, uid, how in self._all(sql, box)]

    def uploaded(self, target: int, since: datetime) -> int:
        sql = (
            "SELECT COALESCE(SUM(u.octets), 0) FROM run r JOIN upload u ON u.run = r.number"
            " JOIN target_mailbox b ON b.box = u.box WHERE (r.began >= ?1 OR r.ended >= ?1) AND b.target = ?2"
        )
        return int(self._all(sql, since.astimezone(UTC).isoformat(), target)[0][0])
