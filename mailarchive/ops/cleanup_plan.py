"""Which messages of a mailbox may be removed from the server, and why the others are kept; pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import floor
from typing import NamedTuple

from mailarchive.model import Digest, RemoteUid

STRANGE = "not what the archive has"


class Share(NamedTuple):
    """How many messages of a mailbox may go in one run: a share of those that are there, or a number."""

    percent: float | None = 10
    number: int | None = None

    def of(self, messages: int) -> int:
        """Return how many of ``messages`` may go; of a share at least one."""
        if self.number is not None:
            return min(self.number, messages)
        return min(messages, max(1, floor(messages * (self.percent or 0) / 100)))


class Candidate(NamedTuple):
    """A message at the server, and what the archive has under its UID, None if it has nothing.

    ``date`` and ``flags`` are what the server says now; those of the archive begin with ``kept_``. Sizes are
    RFC822.SIZE. ``by`` says how the archive recognised it, None if it came under this UID.
    """

    uid: RemoteUid
    size: int | None
    date: datetime | None
    flags: frozenset[str]
    digest: Digest | None = None
    kept_size: int | None = None
    kept_date: datetime | None = None
    kept_flags: frozenset[str] = frozenset()
    by: str | None = None


@dataclass(slots=True)
class MailboxPlan:
    """What is removed, the oldest first, and how many are kept for which reason; ``listed`` is the sum of both.

    ``able`` are those that nothing speaks against before they are compared, the oldest first, of which ``most`` may go.
    """

    listed: int = 0
    most: int = 0
    able: list[Candidate] = field(default_factory=list)
    chosen: list[Candidate] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)

    def choose(self, chosen: Sequence[Candidate], strange: int) -> None:
        """Take these of ``able``, when ``strange`` others were found to be something else than the archive has."""
        self.chosen = list(chosen)
        left = len(self.able) - len(self.chosen) - strange
        for why, number in ((STRANGE, strange), ("more than may go in one run", left)):
            if number:
                self.kept[why] += number


def plan(candidates: Iterable[Candidate], before: datetime, share: Share) -> MailboxPlan:
    """Return what may be removed of a mailbox. ``before`` is aware: only what is older than that goes."""
    found = MailboxPlan()
    for one in candidates:
        found.listed += 1
        why = why_kept(one, before)
        if why:
            found.kept[why] += 1
        else:
            found.able.append(one)
    found.able.sort(key=_age)
    found.most = share.of(found.listed)
    return found


def why_kept(one: Candidate, before: datetime) -> str:
    """Return why a message is kept; empty if it may go."""
    if one.digest is None:
        return "not in the archive"
    if _is_flagged(one.flags) or _is_flagged(one.kept_flags):
        return "flagged"
    if one.date is None or one.kept_date is None:
        return "without a date"
    if one.date >= before or one.kept_date >= before:
        return "too young"
    if one.date != one.kept_date or one.size is None or one.size != one.kept_size:
        return STRANGE
    return ""


def differs(one: Candidate, now: Candidate) -> bool:
    """Return whether a message is no longer as it was when it was chosen; seen or not is no matter."""
    return (one.uid, one.size, one.date) != (now.uid, now.size, now.date) or _is_flagged(now.flags)


def batches(chosen: Sequence[Candidate], size: int) -> Iterable[Sequence[Candidate]]:
    """Yield what was chosen in batches of at most ``size``, the oldest first, each ordered by UID."""
    for start in range(0, len(chosen), size):
        yield sorted(chosen[start : start + size], key=lambda one: one.uid if isinstance(one.uid, int) else 0)


def _is_flagged(flags: frozenset[str]) -> bool:
    return any(flag.lower() == "\\flagged" for flag in flags)


def _age(one: Candidate) -> tuple[datetime, int]:
    assert one.date is not None  # noqa: S101 - why_kept keeps those without
    return one.date, one.uid if isinstance(one.uid, int) else 0
