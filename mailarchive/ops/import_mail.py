"""Import mail from files: what is in the archive already is recognised, what is new is stored as it is."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mailarchive.archive.archive import Kind, open_for_writing
from mailarchive.archive.placing import BY_IMPORT
from mailarchive.archive.prepare import Prepared, prepare
from mailarchive.archive.writer import Writer
from mailarchive.clock import Clock, Stop
from mailarchive.errors import StorageFailed, UsageError
from mailarchive.mail import client_marks, takeout
from mailarchive.mail.headers import fields
from mailarchive.mail.variants import form_digest, section_of, server_form, wire_size
from mailarchive.model import FROM_FILES, Account, Digest, ListedMailbox, MailboxName, MessageFacts, ServerForm
from mailarchive.ops.events import Notice, Observer, Progress
from mailarchive.ops.import_report import ImportReport
from mailarchive.readers.base import Dialect, Letter, Notes, Place, Reading
from mailarchive.readers.compressed import Unreadable
from mailarchive.readers.places import places, read

__all__ = ["Dialect", "ImportOptions", "ImportReport", "import_mail"]

BATCH_OCTETS, BATCH = 8 << 20, 500
_MOST_ALIKE = 64
_UTC_YEARS = range(1970, 10_000)


class ImportOptions(NamedTuple):
    """``mailbox`` takes everything, whatever the files are called. ``keep_variants`` stores each form of a message."""

    account: str
    mailbox: tuple[str, ...] = ()
    dialect: Dialect | None = None
    keep_variants: bool = False


class _Taken(NamedTuple):
    """A letter that was read: where it goes, and with which flags."""

    letter: Letter
    prepared: Prepared
    size: int
    """With CRLF for its line ends."""
    mailboxes: dict[tuple[str, ...], str]
    flags: frozenset[str]
    date: datetime | None
    thread_id: str | None


def import_mail(
    directory: Path, paths: Sequence[Path], options: ImportOptions, observer: Observer, clock: Clock, stop: Stop
) -> ImportReport:
    """Put all mail at ``paths`` into the archive at ``directory``, which is made if it is missing.

    It may be ended and begun again at any time: what is there is not stored again. A file that cannot be read to its
    end is named, and what comes before its damage is imported.
    Raises UsageError if there is no mail at one of ``paths``, or the account is pulled from a server; StorageFailed.
    """

    def tell(text: str) -> None:
        observer(Notice(text))

    notes = Notes(tell=tell)
    found = [place for path in paths for place in places(path, notes)]
    report = ImportReport(options.account)
    with open_for_writing(directory, "import", clock, tell, make=Kind()) as writer:
        with writer.catalog() as catalog:
            is_pulled = options.account in {one.name for one in catalog.accounts() if one.protocol != FROM_FILES}
        if is_pulled:
            raise UsageError(
                f"the mailboxes of {options.account} follow a server",
                hint="name another account for what is imported; the next pull recognises its mail all the same",
            )
        run = writer.begin("import")
        writer.account(Account(options.account, FROM_FILES))
        reading = Reading(tell=tell, left_out=notes.left_out, spool=writer.spool, dialect=options.dialect)
        importing = _Importing(writer, options, report, run)
        with _ended(writer, run, report, reading, stop):
            for taken in _ahead(_batches(_letters(found, reading, observer, stop)), options):
                importing.take(taken)
    return report


@contextmanager
def _ended(writer: Writer, run: int, report: ImportReport, reading: Reading, stop: Stop) -> Iterator[None]:
    """End the run however the block ends, unless nothing can be written any more."""
    try:
        yield
    except StorageFailed:
        raise
    except BaseException:
        _end(writer, run, report, reading, stop)
        raise
    _end(writer, run, report, reading, stop)


def _end(writer: Writer, run: int, report: ImportReport, reading: Reading, stop: Stop) -> None:
    report.left_out = reading.left_out
    report.found += len(reading.left_out)
    report.interrupted = stop.signum or 0
    writer.end(run, report.exit_code, (report.account,), _totals(report), {})


def _totals(report: ImportReport) -> dict[str, int]:
    counts = {
        "listed": report.found,
        "new": report.new + report.linked + report.variants,
        "known": report.known,
        "failed": len(report.left_out),
        "stored_messages": report.new,
        "stored_bytes": report.octets,
    }
    return {name: count for name, count in counts.items() if count}


def _letters(found: Sequence[Place], reading: Reading, observer: Observer, stop: Stop) -> Iterator[Letter]:
    """Yield the letters of all places until ``stop`` is set; what cannot be read is told to ``reading``."""
    total = sum(_size(place.path) for place in found)
    done = 0
    for place in found:
        try:
            for letter in read(place, reading):
                yield letter
                if stop.is_set():
                    return
        except Unreadable as error:
            reading.cut(str(place.path), str(error))
        except OSError as error:
            reading.cut(str(place.path), error.strerror or "it cannot be opened")
        done += _size(place.path)
        observer(Progress(done, total))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    batch: list[Letter] = []
    octets = 0
    for letter in letters:
        batch.append(letter)
        octets += letter.body.size
        if octets >= BATCH_OCTETS or len(batch) >= BATCH:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch


def _ahead(batches: Iterator[list[Letter]], options: ImportOptions) -> Iterator[list[_Taken]]:
    """Yield the batches, looked at; the next one is read and looked at meanwhile."""

    def look_at_next() -> list[_Taken]:
        return [_taken(letter, options) for letter in next(batches, ())]

    with ThreadPoolExecutor(1, "read") as reader:
        waiting = reader.submit(look_at_next)
        while taken := waiting.result():
            waiting = reader.submit(look_at_next)
            yield taken


@dataclass(slots=True)
class _Seen:
    """What this run has placed: hashes of mailbox and message, and how often those that came more than once."""

    once: set[int]
    more: Counter[int]

    def number(self, mailbox: int, digest: Digest) -> int:
        """Return the how-many-th it is of this message in this mailbox."""
        key = hash((mailbox, digest))
        if key not in self.once:
            self.once.add(key)
            return 1
        self.more[key] += 1
        return self.more[key] + 1


class _Importing:
    """Takes letters into an archive, and counts."""

    def __init__(self, writer: Writer, options: ImportOptions, report: ImportReport, run: int) -> None:
        self._writer = writer
        self._options = options
        self._report = report
        self._run = run
        self._seen = _Seen(set(), Counter())
        with writer.catalog() as catalog:
            boxes = catalog.mailboxes(options.account)
        self._numbers = {box.name.parts: box.number for box in boxes}
        self._made: set[int] = set()
        """Mailboxes that this run made."""
        self._absent: set[Digest] = set()
        """Of the batch at hand."""

    def take(self, taken: Sequence[_Taken]) -> None:
        """Take a batch: after this it survives the death of the process. Raises StorageFailed."""
        self._absent = self._writer.absent([one.prepared.digest for one in taken])
        try:
            with self._writer.together():
                for one in taken:
                    self._take(one)
        finally:
            for one in taken:
                one.letter.body.close()

    def _take(self, one: _Taken) -> None:
        self._report.found += 1
        places = [(self._number(parts, use), one.prepared.digest) for parts, use in one.mailboxes.items()]
        wanted = [(number, _uid(digest, self._seen.number(number, digest))) for number, digest in places]
        missing = [(number, uid) for number, uid in wanted if not self._is_placed(number, uid)]
        if not missing:
            self._report.known += 1
            return
        digest = self._stored(one)
        size = one.size if digest == one.prepared.digest else None
        for number, uid in missing:
            facts = MessageFacts(uid, size, one.date, one.flags, None, (), one.thread_id)
            self._writer.place(number, 0, facts, digest, BY_IMPORT)

    def _stored(self, one: _Taken) -> Digest:
        """Return the message of the archive that this one is, which is now there."""
        exact = one.prepared.digest
        if exact not in self._absent:
            self._report.linked += 1
            return exact
        other = None if self._options.keep_variants else self._variant(one)
        if other is not None:
            self._report.variants += 1
            return other
        self._writer.keep(one.prepared, one.date)
        self._absent.discard(exact)
        self._report.new += 1
        self._report.octets += one.prepared.size
        return exact

    def _is_placed(self, number: int, uid: str) -> bool:
        """Return whether an earlier run has placed this; what this run places has names of its own."""
        return number not in self._made and self._writer.has_placement(number, 0, uid)

    def _variant(self, one: _Taken) -> Digest | None:
        """Return a message of the archive that has the same form at a server; its octets are compared."""
        form = one.prepared.form or ServerForm(one.prepared.header, one.size)
        with self._writer.sightings() as sightings:
            seen = sightings.with_header(form.header)
        alike = sorted({each.digest for each in seen if form.size in {each.size, each.said_size}})[:_MOST_ALIKE]
        if not alike:
            return None
        wanted = form_digest(one.letter.body.chunks(), one.prepared.eol, form.header)
        return next((digest for digest in alike if self._writer.form_of(digest, form.header) == wanted), None)

    def _number(self, parts: tuple[str, ...], special_use: str) -> int:
        if parts not in self._numbers:
            number = self._writer.new_mailbox_number()
            name = MailboxName(parts, "/", "/".join(parts).encode())
            uses = frozenset({special_use} if special_use else ())
            self._writer.mailbox(number, self._options.account, ListedMailbox(name, uses), None)
            self._numbers[parts] = number
            self._made.add(number)
            self._report.mailboxes += 1
        return self._numbers[parts]


def _uid(digest: Digest, number: int) -> str:
    """Return the name of an imported message in its mailbox: the same however often its file is imported."""
    return f"{digest.hex()}" + (f":{number}" if number > 1 else "")


def _taken(letter: Letter, options: ImportOptions) -> _Taken:
    prepared = prepare(letter.body)
    header = section_of(letter.body)
    marks = client_marks.read(header)
    flags = marks.flags if letter.flags is None else letter.flags
    there = tuple(part for part in marks.mailbox.split("/") if part) or tuple(map(_text, letter.mailbox))
    mailboxes = {options.mailbox or there: ""}
    labels = marks.labels if letter.labels is None else letter.labels
    if labels is not None:
        sorted_labels = takeout.sort(labels)
        flags |= sorted_labels.flags - ({"\\Seen"} if marks.is_told else set())
        mailboxes = mailboxes if options.mailbox else sorted_labels.mailboxes
    date = letter.date or _date_of(header)
    size = wire_size(letter.body, prepared.eol)
    prepared = prepared._replace(form=server_form(header, prepared.eol, size, of_mbox=letter.of_mbox))
    return _Taken(letter, prepared, size, mailboxes, flags, date, marks.thread_id)


def _text(name: str) -> str:
    """Return a name of a file as text that can be written down."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _date_of(header: bytes) -> datetime | None:
    """Return when a message was received, by its newest Received field, or else sent."""
    told = fields(header, {"received", "date"})
    for text in chain((told.get("received", "").rpartition(";")[2],), (told.get("date", ""),)):
        try:
            moment = parsedate_to_datetime(text.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if moment.year in _UTC_YEARS:
            return moment if moment.tzinfo else moment.astimezone()
    return None
