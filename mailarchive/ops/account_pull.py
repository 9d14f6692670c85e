"""One account of a pull: list its mailboxes, compare each, and fetch what is new."""

import threading
from collections import deque
from collections.abc import Sequence
from functools import partial

from mailarchive.archive.writer import Writer
from mailarchive.errors import ExitCode, MailboxUnavailable, SourceError
from mailarchive.model import ListedMailbox, MessageFacts
from mailarchive.ops import advice
from mailarchive.ops import plan as plans
from mailarchive.ops.advice import provider_for
from mailarchive.ops.alarm import Emptied, alarms
from mailarchive.ops.budget import budget_of
from mailarchive.ops.events import Detail, MailboxPlanned, MessagesDone, MessagesLinked, Notice
from mailarchive.ops.fetcher import Fetcher
from mailarchive.ops.generation import spoken
from mailarchive.ops.imported import make_room
from mailarchive.ops.labels import Labels
from mailarchive.ops.linking import Linker
from mailarchive.ops.look import Look, first_wanted, look
from mailarchive.ops.mailbox_pull import WINDOW, MailboxPull
from mailarchive.ops.options import Around, PullAccount, PullOptions
from mailarchive.ops.parts import Parts
from mailarchive.ops.report import AccountReport, Failure, MailboxReport
from mailarchive.ops.storing import Answer, Storing, came
from mailarchive.ops.survey import Survey, mailbox_key, survey, unread
from mailarchive.ops.views import is_from_labels
from mailarchive.ops.workers import Workers, worst
from mailarchive.records import KnownMailbox
from mailarchive.sources.base import OpenMailbox, Source

MOST_CONNECTIONS = 4
"""Where nobody says how many. Courier takes no more from one address, Dovecot ten from one user."""
WORTH_A_CONNECTION = 3
"""So many mailboxes or batches must wait before one more connection is opened."""


class AccountPull:
    """Pulls one account into the archive of ``writer``."""

    def __init__(self, writer: Writer, target: PullAccount, options: PullOptions, around: Around) -> None:
        self.report = AccountReport(target.account.name, target.account.protocol, name=target.name)
        self.counts: dict[str, MailboxReport] = {}
        """Counts by mailbox number, of the mailboxes in which something happened."""
        self._writer = writer
        self._account = target.account
        self._options = options
        self._around = around
        self._provider = provider_for(target.account)
        connections = advice.connections(options.connections or MOST_CONNECTIONS, self._provider)
        connections = min(connections, target.most_connections or connections)
        self._is_shared = target.most_connections != 1
        self._workers: Workers[Source] = Workers(target.connect, connections, around.stop, around.clock)
        self._parts = Parts(writer)
        self._linker = Linker(target.account.name, writer.sightings, writer.octets)
        self._budget = budget_of(writer, target.account.name, options.max_download, around.clock.now())
        self._lock = threading.Lock()
        self._queue: deque[ListedMailbox] = deque()
        self._found = Survey([])
        self._labels: Labels | None = None
        self._emptied: list[Emptied] = []
        self._pulls: list[MailboxPull] = []
        self._surveyed = False

    def run(self) -> AccountReport:
        """Pull everything selected and return the counts. Raises ArchiveError only."""
        started = self._around.clock.monotonic()
        self._workers.hire(self._first)
        self._workers.wait()
        self._sum_up()
        self.report.seconds = round(self._around.clock.monotonic() - started, 3)
        return self.report

    def _first(self, source: Source) -> None:
        """Do what there is to do; again and again if the server shows its mail part after part."""
        is_over = False
        while not is_over:
            before = len(self._pulls)
            self._survey(source)
            self._work(source)
            is_over = source.shows == "everything" or self._workers.is_stopping or len(self._pulls) == before
            is_over = is_over or not self._parts.turn(source, self._pulls[-1])
        source.leave(self._writer.checkpoint)

    # -- all mailboxes ---------------------------------------------------------------------------------------------

    def _survey(self, source: Source) -> None:
        """Compare what is listed with the archive; record which mailboxes were renamed or have vanished."""
        if (name := make_room(self._writer, self._account.name)) is not None:
            self._tell(f"what was imported as {self._account.name} is called {name} from now on")
        self._writer.account(self._account)
        found = survey(self._writer.catalog, source, self._account.name, self._options, self._around.clock.now())
        self._found = found
        for old, new in found.renamed:
            self._writer.mailbox(old.number, self._account.name, new, old.uidvalidity)
            self._tell(f"mailbox {old.name} was renamed to {new.name}")
        for box in found.vanished:
            self._record_vanished(box)
        self._add(found.reports, found.failures)
        self.report.notes.extend(found.notes)
        if found.views:
            self._labels = Labels(found.views, self._account.name, self._writer, self._writer.catalog, self._options)
            self._labels.survey(found.listed, found.known)
        self._queue.extend(found.to_open)
        self._surveyed = True
        wanted = self._options.mailboxes
        if wanted and not any(plans.is_selected(str(mailbox.name), wanted, ()) for mailbox in found.listed):
            self.report.warnings.append(f"no mailbox matches {' or '.join(wanted)} (upper and lower case matter)")

    def _record_vanished(self, box: KnownMailbox) -> None:
        with self._writer.catalog() as catalog:
            gone = catalog.present(box.number)
        self._writer.mailbox_vanished(box.number)
        report = MailboxReport(str(box.name), gone=gone)
        self._add([report])
        self.counts[str(box.number)] = report
        self._emptied.append(Emptied(box.number, str(box.name), gone, gone))
        self._tell(f"mailbox {box.name} is no longer at the server; its {gone} messages stay in the archive")

    def _add(self, reports: Sequence[MailboxReport], failures: Sequence[Failure] = ()) -> None:
        with self._lock:
            self.report.mailboxes.extend(reports)
            self.report.failures.extend(failures)

    def _tell(self, text: str) -> None:
        self._around.observer(Notice(f"{self._account.name}: {text}"))

    def _detail(self, text: str) -> None:
        self._around.observer(Detail(f"{self._account.name}: {text}"))

    # -- the workers -----------------------------------------------------------------------------------------------

    def _work(self, source: Source) -> None:
        """Pull mailboxes until none is left, then help with those that others are at."""
        while not self._workers.is_stopping:
            with self._lock:
                mailbox = self._queue.popleft() if self._queue else None
                waiting = len(self._queue)
            self._hire(waiting)
            if mailbox is not None:
                self._pull_mailbox(source, mailbox)
            elif not self._help(source):
                return

    def _hire(self, waiting: int) -> None:
        """Open one more connection if so much work is waiting that it pays, and the processor has time for it."""
        if waiting >= WORTH_A_CONNECTION and (self._options.connections is not None or self._workers.mostly_wait()):
            self._workers.hire(self._work)

    def _pull_mailbox(self, source: Source, mailbox: ListedMailbox) -> None:
        known = self._found.known_as(mailbox)
        try:
            opened, found = self._look(source, mailbox, known)
        except MailboxUnavailable as error:
            self._unavailable(source, mailbox, known, error)
            return
        except SourceError:
            with self._lock:
                self._queue.appendleft(mailbox)
            raise
        self._warn(found)
        number = known.number if known else self._writer.new_mailbox_number()
        self._note_renumbered(found)
        labels = self._labels_of(mailbox)
        pull = MailboxPull(self._writer, self._linker, self._budget, found, number, self._options, labels)
        pull.is_shared = self._is_shared
        pull.write_changes(self._account.name)
        with self._lock:
            self._pulls.append(pull)
            self.counts.setdefault(str(pull.number), pull.report)
        self._around.observer(MailboxPlanned(self._account.name, pull.report.mailbox, len(found.plan.fresh), 0))
        self._fetch(pull, opened)

    def _note_renumbered(self, found: Look) -> None:
        """Note that all messages of a mailbox end under their numbers; those that come again are not missed."""
        known = found.known
        if known and known.present and known.uidvalidity not in {None, found.cursor.uidvalidity}:
            with self._writer.catalog() as catalog:
                before = catalog.present(known.number)
            self._emptied.append(Emptied(known.number, str(found.listed.name), before, before))

    def _labels_of(self, mailbox: ListedMailbox) -> Labels | None:
        """Return the labels, if it is ``mailbox`` that tells them."""
        labels = self._labels
        return labels if labels is not None and labels.source.name.raw == mailbox.name.raw else None

    def _look(self, source: Source, mailbox: ListedMailbox, known: KnownMailbox | None) -> tuple[OpenMailbox, Look]:
        """Open and compare; once more if the server lists fewer messages than it announced."""
        lend, now = self._writer.catalog, self._around.clock.now()
        labelled = self._labels_of(mailbox) is not None
        opened = source.open(mailbox, first_wanted(mailbox, known, WINDOW))
        found = look(lend, opened, mailbox, known, self._options, now, labelled=labelled)
        if found.missing:
            opened = source.open(mailbox)
            found = look(lend, opened, mailbox, known, self._options, now, labelled=labelled)
        if source.shows != "everything":
            self._parts.narrow(found.plan, opened.uids())
        return opened, found

    def _warn(self, found: Look) -> None:
        known, name = found.known, found.listed.name
        numbered = known.uidvalidity if known and known.present and not is_from_labels(known) else None
        if known and numbered not in {None, found.cursor.uidvalidity}:
            before, after = spoken(known.uidvalidity), spoken(found.cursor.uidvalidity)
            how = (
                f"UIDVALIDITY {before} is now {after}" if before != after else "the numbers are those of other messages"
            )
            self._tell(f"the server has numbered the messages of {name} anew ({how})")
        with self._lock:
            advice.remark(found, self._provider, self.report)

    def _unavailable(
        self, source: Source, mailbox: ListedMailbox, known: KnownMailbox | None, error: MailboxUnavailable
    ) -> None:
        """Tell a mailbox that vanished since it was listed from one that cannot be read."""
        try:
            listed = source.mailboxes()
        except SourceError:
            with self._lock:
                self._queue.appendleft(mailbox)
            raise
        if all(mailbox_key(other.name.raw) != mailbox_key(mailbox.name.raw) for other in listed):
            if known is not None and known.present:
                self._record_vanished(known)
            return
        self._add([self._unread(mailbox)], [Failure(str(mailbox.name), "", str(error), 1)])

    def _unread(self, mailbox: ListedMailbox) -> MailboxReport:
        return unread(mailbox, self._found.known_as(mailbox), self._writer.catalog)

    def _help(self, source: Source) -> bool:
        """Take batches of a mailbox that another worker is at; return whether there was one."""
        with self._lock:
            busy = [pull for pull in self._pulls if pull.has_work]
        if not busy:
            return False
        pull = max(busy, key=lambda pull: pull.batches_left)
        try:
            opened = source.open(pull.look.listed)
        except MailboxUnavailable as error:
            pull.give_up(str(error))
            return True
        if opened.cursor.uidvalidity != spoken(pull.look.cursor.uidvalidity):
            pull.give_up("the mailbox was numbered anew while it was read")
            return True
        self._fetch(pull, opened)
        return True

    # -- fetching --------------------------------------------------------------------------------------------------

    def _fetch(self, pull: MailboxPull, opened: OpenMailbox) -> None:
        """Fetch batches of ``pull`` until none is left, or the mailbox is of no more use."""
        fetcher = Fetcher(opened, self._writer, pull.key, pull.sizes, lambda: self._workers.is_stopping, self._detail)
        with Storing(partial(self._store, pull)) as storing:
            try:
                while not self._workers.is_stopping and (batch := self._next_batch(pull, opened, storing)):
                    self._hire(pull.batches_left)
                    self._fetch_batch(pull, fetcher, storing, batch)
            except MailboxUnavailable as error:
                pull.give_up(str(error))
        pull.finish()

    def _next_batch(self, pull: MailboxPull, opened: OpenMailbox, storing: Storing) -> list[MessageFacts] | None:
        batch = pull.take(opened)
        if batch is None:
            storing.wait()
            batch = pull.take(opened)
        if linked := pull.newly_linked():
            self._around.observer(MessagesLinked(self._account.name, pull.report.mailbox, linked))
        return batch

    def _store(self, pull: MailboxPull, answers: Sequence[Answer]) -> None:
        octets = pull.arrived(answers)
        self._around.observer(MessagesDone(self._account.name, pull.report.mailbox, len(answers), octets))

    def _fetch_batch(
        self, pull: MailboxPull, fetcher: Fetcher, storing: Storing, batch: Sequence[MessageFacts]
    ) -> None:
        left = {facts.uid: facts for facts in batch}
        try:
            for group in fetcher.each(batch):
                storing.put([(came(item), left.pop(item.uid)) for item in group], ahead=fetcher.has_more)
                if self._workers.is_stopping:
                    return
        finally:
            pull.give_back(list(left.values()))

    # -- the end ---------------------------------------------------------------------------------------------------

    def _sum_up(self) -> None:
        report, errors = self.report, self._workers.errors
        left = 0
        for pull in self._pulls:
            left += pull.abandon()
            if self.counts[str(pull.number)] is pull.report:
                report.mailboxes.append(pull.report)
            else:
                self.counts[str(pull.number)].add(pull.report)
            report.failures.extend(pull.failures)
            report.downloaded_messages += pull.downloaded_messages
            report.downloaded_bytes += pull.downloaded_bytes
            report.stored_messages += pull.stored_messages
            report.stored_bytes += pull.stored_bytes
            report.notes.extend([*pull.mistaken, *pull.sizes.notes()])
        unopened = [self._unread(mailbox) for mailbox in self._queue]
        report.mailboxes.extend(unopened)
        if self._labels is not None:
            self._sum_up_labels(self._labels)
        report.mailboxes.sort(key=lambda mailbox: mailbox.mailbox)
        if left or unopened:
            report.warnings.append(f"{left} messages and {len(unopened)} mailboxes are left for the next run")
        self._warn_of_losses()
        for error in [*errors, *self._workers.spared]:
            self._around.observer(Detail(f"{self._account.name}: a connection was given up: {error}"))
        if sampled := sum(pull.sampled for pull in self._pulls):
            report.notes.append(
                f"the server does not tell the true size of {sampled} messages; "
                "they were recognised by their header and a sample of their text"
            )
        report.max_download = self._budget.limit
        report.left_messages, report.left_bytes = self._budget.left_messages, self._budget.left_bytes
        report.done_by = self._budget.done_by(self._around.clock.now().date())
        if again := self._parts.fetched_again:
            report.notes.append(
                f"{again} messages that the archive has were fetched again; only then the server shows what comes after"
            )
        self._conclude(cut_short=bool(left or unopened or not self._surveyed))

    def _sum_up_labels(self, labels: Labels) -> None:
        """Report the mailboxes that only show messages of another one."""
        is_unchanged = all(mailbox.name != labels.source.name for mailbox in self._found.to_open)
        for box in labels.conclude(self.report, self._provider, is_unchanged=is_unchanged):
            self._tell(f"mailbox {box.listed.name} is no longer at the server; its messages stay in the archive")
        self.counts |= labels.counts

    def _warn_of_losses(self) -> None:
        reports = [(pull.number, pull.report) for pull in self._pulls]
        pulled = [Emptied(number, box.mailbox, box.known + box.gone, box.gone) for number, box in reports]
        self.report.warnings += alarms(self._writer, pulled + self._emptied, self._options.gone_alarm)

    def _conclude(self, *, cut_short: bool) -> None:
        """Say how it ended. An error counts only if it kept something from being done: others may have done it."""
        report = self.report
        error = worst(self._workers.errors) if cut_short else None
        if error is not None:
            report.error, report.hint = str(error), advice.hint_for(error, self._provider)
        if not self._surveyed:
            report.status = "partial" if error is None or error.exit_code == ExitCode.PARTIAL else "failed"
            report.exit_code = ExitCode.PARTIAL if error is None else error.exit_code
        elif cut_short or report.failures or report.warnings or report.left_messages:
            report.status, report.exit_code = "partial", ExitCode.PARTIAL
