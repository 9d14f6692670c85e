"""What people ask a catalog: sums, runs, and what happened in them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from mailarchive.catalog.database import Asked, translated
from mailarchive.catalog.rows import PLACEMENT, name_of, placement_of, time_of
from mailarchive.records import AccountRuns, MailboxState, MailboxSummary, PlacementRecord, RunRecord, Totals


class Overview(Asked):
    """The part of ``catalog.base.Catalog`` that no pull needs."""

    def _placements(self, where: str, argument: int) -> Iterator[PlacementRecord]:
        with translated():
            for row in self._db.execute(PLACEMENT + where, (argument,)):
                yield placement_of(row)

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

    def totals(self) -> Totals:
        (placements, gone, received) = self._all(
            "SELECT COUNT(*), COUNT(gone_run), COALESCE(SUM(size), 0)"
            " FROM placement JOIN message ON message.id = message"
        )[0]
        (unique, octets, lost) = self._all(
            "SELECT COUNT(*), COALESCE(SUM(size), 0), COALESCE(SUM(lost > 0), 0) FROM message"
        )[0]
        return Totals(placements, gone, received, unique, octets, lost)

    def account_runs(self) -> list[AccountRuns]:
        sql = (
            "SELECT name, last.ended, complete.ended FROM account"
            " LEFT JOIN run AS last ON last.number = last_run"
            " LEFT JOIN run AS complete ON complete.number = complete_run ORDER BY name"
        )
        return [AccountRuns(name, time_of(last), time_of(complete)) for name, last, complete in self._all(sql)]

    def run_at(self, moment: datetime) -> int:
        sql = "SELECT COALESCE(MAX(number), 0) FROM run WHERE began <= ?"
        return int(self._all(sql, moment.astimezone(UTC).isoformat())[0][0])

    def runs(self) -> Iterator[RunRecord]:
        for row in self._all("SELECT number, command, began, ended, exit_code, totals FROM run ORDER BY number"):
            number, command, began, ended, exit_code, totals = row
            yield RunRecord(
                number, command, datetime.fromisoformat(began), time_of(ended), exit_code, json.loads(totals)
            )
