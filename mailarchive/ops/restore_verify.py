"""Compare a target with the archive, by sizes, dates and headers or by every octet; nothing is changed anywhere."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from mailarchive.archive.archive import open_for_reading
from mailarchive.archive.messages import MessageReader
from mailarchive.clock import Clock, Stop
from mailarchive.errors import ExitCode, FetchRefused, MailboxUnavailable
from mailarchive.model import Digest, HeaderDigest, MessageFacts
from mailarchive.ops.events import MessagesDone, Notice, Observer
from mailarchive.ops.headers import header_digests
from mailarchive.ops.matching import matches, numbers
from mailarchive.ops.outgoing_mail import Evidence
from mailarchive.ops.restore_options import RestoreOptions, RestoreTarget
from mailarchive.ops.restore_scope import scope_of, target_number
from mailarchive.ops.routes import Route, routes
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import AccountTarget, OpenTarget

_A_TIME = 500
_MOST_SENTENCES = 1000


@dataclass(slots=True)
class VerifiedMailbox:
    """Counts of one mailbox: wanted = same + mended + different + missing + damaged."""

    mailbox: str
    wanted: int = 0
    same: int = 0
    mended: int = 0
    """A mended copy of them is there."""
    different: int = 0
    missing: int = 0
    damaged: int = 0
    """Damaged in the archive, and so not to be compared."""
    error: str = ""


@dataclass(slots=True)
class RestoreVerification:
    """What was compared; ``problems`` are sentences about what is missing or different."""

    archive: str
    target: str
    full: bool
    exit_code: int = 0
    seconds: float = 0.0
    mailboxes: list[VerifiedMailbox] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Return the sum of a count over all mailboxes."""
        return sum(int(getattr(mailbox, name)) for mailbox in self.mailboxes)


class _Pair(NamedTuple):
    """A message of the archive and the one that stands for it; ``mended``: a mended copy."""

    item: Wanted
    uid: int
    mended: bool


def verify_restore(
    directory: Path,
    target: RestoreTarget,
    options: RestoreOptions,
    *,
    full: bool,
    observer: Observer,
    clock: Clock,
    stop: Stop,
) -> RestoreVerification:
    """Compare what is at the target with what ``restore`` would put there.

    Bodies are only downloaded if ``full``. Raises ArchiveError, SourceError, UsageError.
    """
    found = RestoreVerification(str(directory), target.account.name, full)
    started = clock.monotonic()
    with open_for_reading(directory, lambda text: observer(Notice(text))) as archive:
        scope = scope_of(archive.catalog, target.account, options)
        line = target.connect()
        try:
            abilities, listed = line.do(lambda one: (one.abilities(), one.mailboxes()))
            number = target_number(archive.catalog, target.account)
            planned = routes(archive.catalog, scope, abilities, listed, options, number)
            verifier = _Verifier(archive.reader, full=full)
            for route in planned:
                if stop.is_set():
                    break
                box, problems = line.do(partial(verifier.one, route))
                found.mailboxes.append(box)
                found.problems += problems[: max(0, _MOST_SENTENCES - len(found.problems))]
                observer(MessagesDone(target.account.name, box.mailbox, box.wanted, 0))
        finally:
            line.close()
    found.seconds = round(clock.monotonic() - started, 3)
    if any(found.total(name) for name in ("different", "missing", "damaged")) or any(b.error for b in found.mailboxes):
        found.exit_code = ExitCode.PARTIAL
    if stop.signum:
        found.exit_code = 128 + stop.signum
    return found


class _Verifier:
    """Compares one mailbox after the other."""

    def __init__(self, reader: MessageReader, *, full: bool) -> None:
        self._reader = reader
        self._full = full

    def one(self, route: Route, target: AccountTarget) -> tuple[VerifiedMailbox, list[str]]:
        """Return what was found in one mailbox, and sentences about what is not as it should be."""
        name = str(route.destination.name)
        whole = [item for item in route.wanted if not item.lost]
        report = VerifiedMailbox(name, len(route.wanted), damaged=len(route.wanted) - len(whole))
        if route.destination.listed is None:
            report.missing = len(whole)
            report.error = f"mailbox {name} is not there"
            return report, [report.error]
        try:
            opened = target.look(route.destination.listed)
            pairs, missing = self._pairs(opened, route, whole)
        except MailboxUnavailable as error:
            report.missing, report.error = len(whole), str(error)
            return report, [report.error]
        problems = [f"{name}: message {item.message.digest.hex()[:12]} is missing" for item in missing]
        report.missing = len(missing)
        report.mended = sum(pair.mended for pair in pairs)
        for pair, what in self._differences(opened, [pair for pair in pairs if not pair.mended]):
            report.different += 1
            problems.append(f"{name}: message {pair.item.message.digest.hex()[:12]} (uid {pair.uid}) {what}")
        report.same = len(pairs) - report.mended - report.different
        return report, problems

    def _pairs(self, opened: OpenTarget, route: Route, whole: Sequence[Wanted]) -> tuple[list[_Pair], list[Wanted]]:
        """Find what stands for each wanted message: what was written down, else what has the same header."""
        uids = numbers(opened.uids()) if opened.cursor.messages else []
        free = set(uids)
        recorded: defaultdict[Digest, list[tuple[int, bool]]] = defaultdict(list)
        for one in route.have if route.remembered else ():
            if one.uid in free and one.uid is not None:
                recorded[one.digest].append((one.uid, one.mended))
                free.discard(one.uid)
        pairs, rest = [], []
        for item in whole:
            if recorded[item.message.digest]:
                pairs.append(_Pair(item, *recorded[item.message.digest].pop(0)))
            else:
                rest.append(item)
        found = matches(opened, sorted(free), rest, None, Evidence(self._reader).head)
        pairs += [_Pair(rest[match.place], match.uid, mended=False) for match in found]
        taken = {match.place for match in found}
        return pairs, [item for place, item in enumerate(rest) if place not in taken]

    def _differences(self, opened: OpenTarget, pairs: Sequence[_Pair]) -> list[tuple[_Pair, str]]:
        """Return what is different, and in what."""
        found = []
        for start in range(0, len(pairs), _A_TIME):
            some = sorted(pairs[start : start + _A_TIME], key=lambda pair: pair.uid)
            uids = [pair.uid for pair in some]
            facts = {one.uid: one for one in opened.facts(uids)}
            headers = header_digests(opened, uids)
            digests = self._digests(opened, uids) if self._full else {}
            for pair in some:
                what = _difference(pair.item, facts.get(pair.uid), headers.get(pair.uid))
                if not what and self._full and digests.get(pair.uid) != pair.item.message.digest:
                    what = "has other octets"
                if what:
                    found.append((pair, what))
        return found

    @staticmethod
    def _digests(opened: OpenTarget, uids: Sequence[int]) -> dict[object, Digest]:
        found: dict[object, Digest] = {}
        try:
            for fetched in opened.fetch(uids, TemporaryFile):
                running = hashlib.sha256()
                for chunk in fetched.body.chunks():
                    running.update(chunk)
                fetched.body.close()
                found[fetched.uid] = Digest(running.digest())
        except FetchRefused:
            pass
        return found


def _difference(item: Wanted, facts: MessageFacts | None, header: HeaderDigest | None) -> str:
    """Return in what a message differs, as far as can be seen without its text; empty if in nothing."""
    if facts is None:
        return "does not tell its size and date"
    if facts.size is not None and facts.size != item.message.size:
        return f"has {facts.size} octets instead of {item.message.size}"
    if item.date is not None and facts.internaldate != item.date:
        there = facts.internaldate.isoformat() if facts.internaldate else "none"
        return f"has another date: {there} instead of {item.date.isoformat()}"
    if header != item.message.header:
        return "has another header"
    return ""
