"""How accounts stand: when each was pulled last as a whole, what the archive has of it, and what could not be had."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from mailarchive.archive.archive import Catalog, open_for_reading
from mailarchive.clock import Clock
from mailarchive.errors import ArchiveMissing, MailArchiveError
from mailarchive.model import FROM_FILES
from mailarchive.ops.browse import ignore_text

PATIENCE = timedelta(days=3)
"""How long an account may go without a complete pull, if nobody says how often it is meant to be pulled."""
_MISSED = 3
"""So many pulls may be missed."""


class Expected(NamedTuple):
    """An account that is meant to be in an archive, and how old its last complete pull may be."""

    name: str
    account: str
    patience: timedelta


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """How one account stands. ``why`` is a sentence if it is ``stale``; ``error`` if its archive cannot be read."""

    name: str
    account: str
    archive: str
    complete: datetime | None = None
    last: datetime | None = None
    messages: int = 0
    gone: int = 0
    failed: int = 0
    stale: bool = False
    why: str = ""
    error: str = ""
    exit_code: int = 0


def patience_of(every: timedelta | None, given: timedelta | None) -> timedelta:
    """Return how old the last complete pull of an account may be that is meant to be pulled ``every`` so often."""
    if given is not None:
        return given
    return max(PATIENCE, _MISSED * every) if every is not None else PATIENCE


def status(
    directory: Path, expected: Sequence[Expected], clock: Clock, others: timedelta | None
) -> list[AccountStatus]:
    """Return how accounts of one archive stand: those that are expected, then all others if they have a patience."""
    try:
        with open_for_reading(directory, ignore_text) as archive:
            return _all_of(archive.catalog, directory, expected, clock.now(), others)
    except ArchiveMissing:
        why = f"there is no archive at {directory} yet"
        return [AccountStatus(one.name, one.account, str(directory), stale=True, why=why) for one in expected]
    except MailArchiveError as error:
        code = error.exit_code
        return [
            AccountStatus(one.name, one.account, str(directory), error=str(error), exit_code=code) for one in expected
        ] or [AccountStatus("", "", str(directory), error=str(error), exit_code=code)]


def _all_of(
    catalog: Catalog, directory: Path, expected: Sequence[Expected], now: datetime, others: timedelta | None
) -> list[AccountStatus]:
    pulled = {account.name for account in catalog.accounts() if account.protocol != FROM_FILES}
    runs = {one.name: one for one in catalog.account_runs() if one.name in pulled}
    strange = sorted(runs.keys() - {one.account for one in expected}) if others is not None else []
    wanted = [*expected, *(Expected(name, name, others or PATIENCE) for name in strange)]
    counts = _counts(catalog)
    found = []
    for one in wanted:
        known = runs.get(one.account)
        complete, last = (known.complete, known.last) if known else (None, None)
        why = _stale(complete, one.patience, now)
        messages, gone = counts.get(one.account, (0, 0))
        failed = sum(1 for _ in catalog.ledger(one.account)) if known else 0
        found.append(
            AccountStatus(one.name, one.account, str(directory), complete, last, messages, gone, failed, bool(why), why)
        )
    return found


def _counts(catalog: Catalog) -> dict[str, tuple[int, int]]:
    """Return by account how many placements there are at the server, and how many vanished from it."""
    found: dict[str, tuple[int, int]] = {}
    for box in catalog.summaries():
        messages, gone = found.get(box.account, (0, 0))
        found[box.account] = messages + box.messages, gone + box.gone
    return found


def _stale(complete: datetime | None, patience: timedelta, now: datetime) -> str:
    if complete is None:
        return "no pull has been complete yet"
    age = now - complete
    return f"no complete pull for {span(age)}" if age > patience else ""


def span(time: timedelta) -> str:
    """Return a span of time in words, like ``3 days``."""
    for seconds, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if (number := int(time.total_seconds()) // seconds) >= 1:
            return f"{number} {unit}" + ("" if number == 1 else "s")
    return "less than a minute"
