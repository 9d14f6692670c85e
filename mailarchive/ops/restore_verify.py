"""Compare a target with the archive, by sizes, dates and headers or by every octet; nothing is changed anywhere."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from mailarchive.archive.archive import open_for_reading
from mailarchive.archive.messages import MessageReader
from mailarchive.clock import Clock, Stop
from mailarchive.errors import MailboxUnavailable
from mailarchive.model import Digest, HeaderDigest, MessageFacts, RemoteUid
from mailarchive.ops.events import MailboxPlanned, MessagesDone, Notice, Observer
from mailarchive.ops.halving import in_halves
from mailarchive.ops.headers import header_digests
from mailarchive.ops.matching import matches, numbers
from mailarchive.ops.outgoing_mail import Evidence
from mailarchive.ops.restore_common import warn
from mailarchive.ops.restore_options import RestoreOptions, RestoreTarget
from mailarchive.ops.restore_report import exit_code
from mailarchive.ops.restore_scope import scope_of, target_number
from mailarchive.ops.routes import Route, routes
from mailarchive.ops.standing import Have
from mailarchive.ops.wanted import Wanted
from mailarchive.targets.accounts import AccountTarget, OpenTarget

_A_TIME = 500
_MOST_SENTENCES = 1000
_NOT_WELL = ("different", "missing", "removed", "uncompared")


@dataclass(slots=True)
class VerifiedMailbox:
    """Counts of one mailbox: wanted is the sum of all others."""

    mailbox: str
    wanted: int = 0
    same: int = 0
    changed: int = 0
    """The same but for line ends, which the server made CRLF."""
    mended: int = 0
    """A mended copy of them is there."""
    different: int = 0
    missing: int = 0
    removed: int = 0
    """Restored before, and not there any more."""
    damaged: int = 0
    """Damaged in the archive, and so not to be compared."""
    uncompared: int = 0
    """The server does not show them, or the run ended before."""
    error: str = ""


@dataclass(slots=True)
class RestoreVerification:
    """What was compared; ``problems`` are sentences about what is not as it should be, ``unlisted`` is how many more.

    No more of them are kept than a reader can use.
    """

    archive: str
    target: str
    full: bool
    exit_code: int = 0
    seconds: float = 0.0
    mailboxes: list[VerifiedMailbox] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unlisted: int = 0
    warnings: list[str] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Return the sum of a count over all mailboxes."""
        return sum(int(getattr(mailbox, name)) for mailbox in self.mailboxes)

    def problem(self, sentence: str) -> None:
        """Keep a sentence, unless there are enough."""
        if len(self.problems) < _MOST_SENTENCES:
            self.problems.append(sentence)
        else:
            self.unlisted += 1


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
        warn(found.warnings, scope.warnings, observer)
        line = target.connect()
        try:
            abilities, listed = line.do(lambda one: (one.abilities(), one.mailboxes()))
            number = target_number(archive.catalog, target.account)
            for route in routes(archive.catalog, scope, abilities, listed, options, number):
                if stop.is_set():
                    break
                comparison = _Comparison(route, archive.reader, found, full=full)
                try:
                    line.do(comparison.begin)
                    observer(MailboxPlanned(found.target, comparison.name, comparison.messages, comparison.octets))
                    while comparison.messages and not stop.is_set():
                        compared, octets = line.do(comparison.compare_some)
                        line.progress()
                        observer(MessagesDone(found.target, comparison.name, compared, octets))
                except MailboxUnavailable as error:
                    comparison.fail(str(error))
                found.mailboxes.append(comparison.conclude())
        finally:
            line.close()
    found.seconds = round(clock.monotonic() - started, 3)
    is_partial = any(found.total(name) for name in _NOT_WELL) or any(box.error for box in found.mailboxes)
    found.exit_code = exit_code(0, stop.signum, is_partial=is_partial, is_damaged=bool(found.total("damaged")))
    return found


class _Comparison:
    """Compares one mailbox, in steps each of which may be done on another connection."""

    def __init__(self, route: Route, reader: MessageReader, found: RestoreVerification, *, full: bool) -> None:
        self.name = str(route.destination.name)
        self._route = route
        self._reader = reader
        self._evidence = Evidence(reader)
        self._found = found
        self._full = full
        self._report = VerifiedMailbox(self.name, len(route.wanted))
        self._left: list[_Pair] = []
        self._on: tuple[AccountTarget, OpenTarget] | None = None
        self._uidvalidity: int | None = None

    @property
    def messages(self) -> int:
        """How many are still to be compared."""
        return len(self._left)

    @property
    def octets(self) -> int:
        """How many octets are still to be compared."""
        return sum(pair.item.message.size for pair in self._left) if self._full else 0

    def begin(self, target: AccountTarget) -> None:
        """Find out what there is to compare. Raises MailboxUnavailable, SourceError."""
        report = self._report
        whole = [item for item in self._route.wanted if not item.lost]
        report.damaged = len(self._route.wanted) - len(whole)
        if self._route.destination.listed is None:
            report.missing = len(whole)
            moved = self._route.why_not(again=False)
            self.fail(": ".join(moved) if moved else f"mailbox {self.name} is not there")
            return
        opened = self._opened(target)
        uids = numbers(opened.uids()) if opened.cursor.messages else []
        pairs, absent = self._pairs(opened, uids, whole)
        removed = Counter(one.digest for one in self._recorded() if one.uid is not None and one.uid not in set(uids))
        report.missing = report.removed = 0
        for item in absent:
            if not self._reader.is_whole(item.message):
                report.damaged += 1
                self._problem(item, "is damaged in the archive")
                continue
            was_there = removed[item.message.digest] > 0
            removed[item.message.digest] -= was_there
            report.removed += was_there
            report.missing += not was_there
            self._problem(item, "was restored, and has been removed" if was_there else "is missing")
        report.mended = sum(pair.mended for pair in pairs)
        self._left = sorted((pair for pair in pairs if not pair.mended), key=lambda pair: pair.uid)

    def compare_some(self, target: AccountTarget) -> tuple[int, int]:
        """Compare the next messages; return how many they were, and how many of their octets were looked at."""
        opened = self._opened(target)
        some = self._left[:_A_TIME]
        uids = [pair.uid for pair in some]
        facts = {one.uid: one for one in opened.facts(uids)}
        headers = header_digests(opened, uids)
        digests, refused = in_halves(uids, lambda asked: _digests(opened, asked)) if self._full else ({}, {})
        for pair in some:
            if self._full and pair.uid not in digests:
                words = refused.get(pair.uid, "the server leaves it out")
                self._problem(pair.item, f"(uid {pair.uid}) is not shown: {words}")
            else:
                self._compare(pair, facts.get(pair.uid), headers, digests)
        del self._left[:_A_TIME]
        return len(some), sum(pair.item.message.size for pair in some) if self._full else 0

    def fail(self, reason: str) -> None:
        """Note that the mailbox cannot be compared, or not to its end."""
        self._report.error = reason
        self._found.problem(reason)

    def conclude(self) -> VerifiedMailbox:
        """Return the counts, when nothing more is compared."""
        report = self._report
        counted = (report.same, report.changed, report.mended, report.different, report.missing, report.removed)
        report.uncompared = report.wanted - sum(counted) - report.damaged
        return report

    def _compare(
        self,
        pair: _Pair,
        facts: MessageFacts | None,
        headers: Mapping[RemoteUid, HeaderDigest],
        digests: Mapping[RemoteUid, Digest],
    ) -> None:
        item, report = pair.item, self._report
        digest = digests.get(pair.uid)
        is_changed = facts is not None and facts.size != item.message.size and self._has_other_ends(item, facts, digest)
        what = _difference(item, facts, headers.get(pair.uid), is_size_right=is_changed)
        if not what and self._full and not is_changed and digest != item.message.digest:
            what = "has other octets"
        report.different += bool(what)
        report.changed += not what and is_changed
        report.same += not what and not is_changed
        if what:
            self._problem(item, f"(uid {pair.uid}) {what}")

    def _has_other_ends(self, item: Wanted, facts: MessageFacts, digest: Digest | None) -> bool:
        """Return whether a message there is the one of the archive with line ends as servers make them."""
        other = self._evidence.with_other_ends(item.message)
        return facts.size in other and digest in {other[facts.size], None}

    def _problem(self, item: Wanted, what: str) -> None:
        self._found.problem(f"{self.name}: message {item.message.digest.hex()[:12]} {what}")

    def _opened(self, target: AccountTarget) -> OpenTarget:
        """Open the mailbox, unless it is open on this connection. Raises MailboxUnavailable."""
        if self._on is None or self._on[0] is not target:
            listed = self._route.destination.listed
            if listed is None:
                raise MailboxUnavailable(f"mailbox {self.name} is not there")
            self._on = target, target.look(listed)
            uidvalidity = self._on[1].cursor.uidvalidity
            if self._uidvalidity not in {None, uidvalidity}:
                raise MailboxUnavailable(f"{self.name} was made anew while it was compared")
            self._uidvalidity = uidvalidity
        return self._on[1]

    def _recorded(self) -> Sequence[Have]:
        """Return what the archive remembers of the mailbox, if it is still that one."""
        known = self._route.remembered
        return self._route.have if known is not None and known.uidvalidity == self._uidvalidity else ()

    def _pairs(
        self, opened: OpenTarget, uids: Sequence[int], whole: Sequence[Wanted]
    ) -> tuple[list[_Pair], list[Wanted]]:
        """Find what stands for each wanted message: what was written down, else what has the same header."""
        free = set(uids)
        recorded: defaultdict[Digest, list[tuple[int, bool]]] = defaultdict(list)
        for one in self._recorded():
            if one.uid in free and one.uid is not None:
                recorded[one.digest].append((one.uid, one.mended))
                free.discard(one.uid)
        pairs, rest = [], []
        for item in whole:
            if recorded[item.message.digest]:
                pairs.append(_Pair(item, *recorded[item.message.digest].pop(0)))
            else:
                rest.append(item)
        found = matches(opened, sorted(free), rest, None, self._evidence)
        pairs += [_Pair(rest[match.place], match.uid, mended=False) for match in found]
        taken = {match.place for match in found}
        return pairs, [item for place, item in enumerate(rest) if place not in taken]


def _digests(opened: OpenTarget, uids: Sequence[int]) -> Iterator[tuple[RemoteUid, Digest]]:
    """Download messages and yield their digests. Raises FetchRefused."""
    for fetched in opened.fetch(uids, TemporaryFile):
        running = hashlib.sha256()
        for chunk in fetched.body.chunks():
            running.update(chunk)
        fetched.body.close()
        yield fetched.uid, Digest(running.digest())


def _difference(item: Wanted, facts: MessageFacts | None, header: HeaderDigest | None, *, is_size_right: bool) -> str:
    """Return in what a message differs, as far as can be seen without its text; empty if in nothing."""
    if facts is None:
        return "does not tell its size and date"
    if facts.size not in {None, item.message.size} and not is_size_right:
        return f"has {facts.size} octets instead of {item.message.size}"
    if item.date is not None and facts.internaldate != item.date:
        there = facts.internaldate.isoformat() if facts.internaldate else "none"
        return f"has another date: {there} instead of {item.date.isoformat()}"
    if header != item.message.header:
        return "has another header"
    return ""
