"""An archive's whole history, and its messages, once more in another layout."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from mailarchive.archive.archive import Archive, open_for_reading, open_for_writing
from mailarchive.archive.layout import Kind
from mailarchive.archive.prepare import Prepared, prepare
from mailarchive.archive.writer import Writer
from mailarchive.clock import Clock
from mailarchive.errors import ArchiveDamaged, UsageError
from mailarchive.facts import (
    ArchiveMade,
    BlockPacked,
    Checkpoint,
    Fact,
    Lost,
    MessageStored,
    Part,
    Placed,
)
from mailarchive.files import storage, sync_directory
from mailarchive.journal import log
from mailarchive.mail.body import MemoryBody, SpooledBody
from mailarchive.model import Digest, ServerForm
from mailarchive.store import frames
from mailarchive.store.base import STREAMED

Tell = Callable[[str], None]
Advance = Callable[[int, int], None]
"""Is told how many octets of messages have been copied since the last call, and how many there are in all."""

_OF_THE_FILES = (Part, ArchiveMade, BlockPacked, Checkpoint)
"""Facts that speak of the files of one archive, and not of mail."""


def convert(source: Path, destination: Path, kind: Kind, clock: Clock, tell: Tell, advance: Advance) -> int:
    """Make an archive of a ``kind`` at ``destination`` that has all of ``source``; return how many messages.

    Every message is compared with its digest on the way. The archive is made beside its place and renamed when it is
    whole and durable; if the process dies before, there is ``<destination>.converting``, which the next try removes.
    A damaged message ends it. Raises UsageError, ArchiveMissing, ArchiveDamaged, StorageFailed.
    """
    if destination.exists():
        raise UsageError(f"{destination} is there already", hint="name a new directory")
    unfinished = destination.with_name(destination.name + ".converting")
    _clear(unfinished)
    with (
        open_for_reading(source, tell) as archive,
        open_for_writing(unfinished, "convert", clock, tell, make=kind) as writer,
    ):
        copied = _Copying(archive, writer, advance).run()
    with storage(destination):
        unfinished.rename(destination)
        sync_directory(destination.parent)
    return copied


def _clear(unfinished: Path) -> None:
    """Remove what a conversion that did not come to its end has left, if that is what it is."""
    if unfinished.exists():
        if not (unfinished / "journal").is_dir():
            raise UsageError(f"{unfinished} is in the way", hint="move it away, or name another directory")
        with storage(unfinished):
            shutil.rmtree(unfinished)


class _Copying:
    """Replays the journal of one archive into another. What is lost and came again is as if it had not been lost."""

    def __init__(self, archive: Archive, writer: Writer, advance: Advance) -> None:
        self._archive = archive
        self._writer = writer
        self._advance = advance
        self._total = archive.catalog.totals().unique_bytes
        self._seen: set[Digest] = set()

    def run(self) -> int:
        replay = log.Replay(self._archive.layout.journal, frames.decompress)
        upto = self._archive.catalog.position().checkpoints
        stored: MessageStored | None = None
        for fact in _until(replay, upto):
            if stored is not None:
                self._message(stored, fact)
                stored = None
            if isinstance(fact, MessageStored):
                stored = fact
            elif not isinstance(fact, Lost):
                self._writer.record(fact)
        if stored is not None:
            self._message(stored, None)
        return len(self._seen)

    def _message(self, told: MessageStored, following: Fact | None) -> None:
        """Copy a message as it is now; one that is lost is recorded as that."""
        if told.digest in self._seen:
            return
        self._seen.add(told.digest)
        date = following.date if isinstance(following, Placed) and following.digest == told.digest else None
        now = self._archive.catalog.message(told.digest)
        if now is None:
            nowhere = told._replace(block=0, offset=0, length=0)
            self._writer.record(nowhere, Lost(told.digest, "was lost before", cut=True))
            return
        form = None if told.form is None else ServerForm(told.form, told.form_size or 0)
        prepared = self._prepared(now)._replace(form=form)
        try:
            if prepared.digest != told.digest:
                raise ArchiveDamaged(f"message {told.digest.hex()} is damaged", hint="mailarchive repair")
            self._writer.keep(prepared, date)
        finally:
            prepared.body.close()
        self._advance(prepared.size, self._total)

    def _prepared(self, message: MessageStored) -> Prepared:
        octets = self._archive.reader.octets(message)
        if message.size <= STREAMED:
            return prepare(MemoryBody(b"".join(octets)))
        file = self._writer.spool()
        try:
            for piece in octets:
                file.write(piece)
        except BaseException:
            file.close()
            raise
        return prepare(SpooledBody(file, message.size))


def _until(replay: log.Replay, checkpoints: int) -> Iterator[Fact]:
    """Yield the facts up to a checkpoint that speak of mail."""
    for fact in replay:
        if not isinstance(fact, _OF_THE_FILES):
            yield fact
        if replay.position.checkpoints >= checkpoints:
            return
