"""Make blocks and segments whole after a crash.

Only to be called by the holder of the lock. Nothing that a fact refers to is ever removed; octets without a fact
are copied to ``aside/`` before they are cut, unless they are the one entry or frame that a crash explains.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mailarchive.archive.messages import MessageReader
from mailarchive.catalog.base import Catalog
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BlockPacked, Fact, Lost, MessageStored
from mailarchive.files import remove, storage
from mailarchive.mail import mboxrd
from mailarchive.store import frames
from mailarchive.store.blocks import plain_blocks, plain_path
from mailarchive.store.reader import PackedBlocks
from mailarchive.store.segments import pack, segment_path, segments, surplus, torn_block


def _begins(path: Path, offset: int, wanted: bytes) -> bool:
    """Return whether ``path`` goes on at ``offset`` like ``wanted``, as far as it goes (zeros: a power failure)."""
    with path.open("rb") as file:
        file.seek(offset)
        found = file.read(len(wanted)).rstrip(b"\0")
    return wanted.startswith(found)


def is_clean(mail: Path, catalog: Catalog) -> bool:
    """Return whether the files have the sizes that the catalog says, so that nothing needs to be done."""
    if {number: size for number, size in segments(mail).items() if size} != catalog.segment_ends():
        return False
    plain = plain_blocks(mail)
    newest = catalog.newest_block()
    if any(number < newest or catalog.block(number) for number in plain):
        return False
    if newest not in plain and not catalog.block(newest) and catalog.block_end(newest):
        return False
    return all(plain_path(mail, number).stat().st_size == catalog.block_end(number) for number in plain)


@dataclass(slots=True)
class BlockSettling:
    """One run of it over the files below ``mail``.

    ``tell`` gets each repair in a sentence, ``aside`` a name and octets that are to be kept.
    """

    mail: Path
    tell: Callable[[str], None]
    aside: Callable[[str, bytes], None]
    facts: list[Fact] = field(default_factory=list)
    """What was found out about blocks, to be recorded."""
    strange: list[str] = field(default_factory=list)
    """What was put right although no crash explains it, in sentences."""
    packed: list[int] = field(default_factory=list)
    """Blocks whose frame is whole and recorded: their plain files can go."""

    def sync(self) -> None:
        """Make durable what a fact is about to be recorded of. Raises StorageFailed."""
        for number in plain_blocks(self.mail):
            path = plain_path(self.mail, number)
            with storage(path), path.open("rb") as file:
                os.fsync(file.fileno())

    def finish(self) -> None:
        """Remove what is not needed once ``facts`` are recorded. Raises StorageFailed."""
        for number in self.packed:
            remove(plain_path(self.mail, number))

    def settle(self, catalog: Catalog) -> None:
        """Compare the files with what the journal says, and put right what differs. Raises StorageFailed."""
        ends = catalog.segment_ends()
        sizes = segments(self.mail)
        plain = plain_blocks(self.mail)
        for segment, size in sizes.items():
            if size > ends.get(segment, 0):
                self._settle_surplus(catalog, segment, ends.get(segment, 0), set(plain))
        adopted = {fact.block for fact in self.facts if isinstance(fact, BlockPacked)}
        for number in sorted({*catalog.blocks(), *plain} - adopted):
            frame = catalog.block(number)
            if frame and number in plain:
                self._settle_both(frame)
            elif frame and sizes.get(frame.segment, 0) >= frame.end:
                continue
            elif number in plain:
                self._settle_plain(catalog, number)
            else:
                where = segment_path(self.mail, frame.segment) if frame else plain_path(self.mail, number)
                self._lose(catalog.messages_in(number), where)

    def _settle_both(self, frame: BlockPacked) -> None:
        """Of a packed block whose plain file is still there keep the frame if it is whole, else pack it again."""
        if not self._is_whole_frame(frame):
            self.tell(f"block {frame.block} was not packed whole, and is packed again")
            segment = max(segments(self.mail), default=1)
            frame = pack(self.mail, frame.block, segment, segments(self.mail).get(segment, 0))
            self.facts.append(frame)
        self.packed.append(frame.block)

    def _is_whole_frame(self, frame: BlockPacked) -> bool:
        try:
            with segment_path(self.mail, frame.segment).open("rb") as file:
                file.seek(frame.offset)
                return sum(map(len, frames.stream_frame(file, frame.length))) == frame.size
        except (ArchiveDamaged, FileNotFoundError):
            return False

    def _settle_plain(self, catalog: Catalog, number: int) -> None:
        """Make a plain block as long as the journal says; what it lacks is lost."""
        path = plain_path(self.mail, number)
        end, size = catalog.block_end(number), path.stat().st_size
        if size > end:
            if not self._begins_an_entry(path, end):
                self.strange.append(f"{path} had {size - end} octets at its end that are no message")
            self._cut(path, end)
        elif size < end:
            messages = catalog.messages_in(number)
            self._lose([message for message in messages if message.offset + message.length > size], path)
            self._cut(path, max((m.offset + m.length for m in messages if m.offset + m.length <= size), default=0))

    @staticmethod
    def _begins_an_entry(path: Path, offset: int) -> bool:
        """Return whether what stands there may be what a crash left of an entry."""
        return _begins(path, offset, mboxrd.ENTRY)

    def _begins_a_frame(self, path: Path, offset: int, plain: set[int]) -> bool:
        """Return whether what stands there may be what a crash left of packing one of the ``plain`` blocks."""
        sizes = {number: plain_path(self.mail, number).stat().st_size for number in plain}
        return any(_begins(path, offset, frames.block_header(number, size)) for number, size in sizes.items())

    def _settle_surplus(self, catalog: Catalog, segment: int, end: int, plain: set[int]) -> None:
        """Record anew the whole frames after ``end`` whose plain file is gone; cut the rest."""
        reader = MessageReader(PackedBlocks(self.mail), catalog)
        for frame in surplus(self.mail, segment, end):
            known = catalog.messages_in(frame.block)
            if frame.block in plain or catalog.block(frame.block) or not known:
                break
            if not all(reader.is_whole(message, frame) for message in known):
                break
            self.tell(f"block {frame.block} was found packed in segment {segment}, and recorded")
            self.facts.append(frame)
            end = frame.end
        path = segment_path(self.mail, segment)
        if path.stat().st_size > end:
            if torn_block(self.mail, segment, end) in plain:
                self._truncate(path, end)
            else:
                if not self._begins_a_frame(path, end, plain):
                    size = path.stat().st_size
                    self.strange.append(f"{path} had {size - end} octets at its end that no fact explains")
                self._cut(path, end, always_aside=True)

    def _lose(self, messages: list[MessageStored], path: Path) -> None:
        if messages:
            self.tell(
                f"{path} is shorter than it was, and {len(messages)} messages are lost with its end; "
                "the next pull fetches again those that the server still has"
            )
        self.facts.extend(Lost(message.digest, f"{path.name} was cut", cut=True) for message in messages)

    def _cut(self, path: Path, end: int, *, always_aside: bool = False) -> None:
        with path.open("rb") as file:
            file.seek(end)
            rest = file.read()
        if not rest:
            return
        if always_aside or rest.count(b"\nFrom MAILER-DAEMON ") > 0:
            self.aside(path.name, rest)
        self.tell(f"the last write was cut short: {len(rest)} octets without a fact were cut from the end of {path}")
        self._truncate(path, end)

    def _truncate(self, path: Path, end: int) -> None:
        with storage(path):
            os.truncate(path, end)
