"""The journal's files: append, checkpoint, seal, read; each checkpoint carries the hash of all before it."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import BEGINNING, START_OF_CHAIN, Checkpoint, Fact, Part, Position
from mailarchive.files import open_append, replace_durably, storage, write_all
from mailarchive.journal.lines import MalformedLine, from_line, from_lines, to_line

SEAL_SIZE = 1 << 20
_NAME = re.compile(r"(\d{8,})\.jsonl\.zst\Z")

_WHOLE_CHECKPOINT = re.compile(rb'\{"t":"checkpoint","checkpoint":\d+,"sha256":"[0-9a-f]{64}"\}\n')
"""What is malformed before one of these is no torn write: it was synced."""
_CHECKPOINT = b'\n{"t":"checkpoint"'

Codec = Callable[[bytes], bytes]


def tail_path(directory: Path) -> Path:
    """Return where the open part is."""
    return directory / "tail.jsonl"


def part_path(directory: Path, part: int) -> Path:
    """Return where the sealed ``part`` is."""
    return directory / f"{part:08d}.jsonl.zst"


def sealed_parts(directory: Path) -> list[int]:
    """Return the numbers of the sealed parts, ascending."""
    return sorted(int(match[1]) for path in directory.iterdir() if (match := _NAME.match(path.name)))


def create(directory: Path, first: Fact) -> None:
    """Begin a journal: an open part 1 with the ``first`` fact."""
    replace_durably(tail_path(directory), to_line(Part(1, START_OF_CHAIN)) + to_line(first))


class Log:
    """The open part, to append to. One writer at a time (the archive's lock sees to it)."""

    def __init__(self, directory: Path, position: Position, compress: Codec) -> None:
        """Open the tail at ``position``, the last checkpoint; facts after it count as not yet checkpointed.

        Raises ArchiveDamaged if the tail is not what led to ``position``.
        """
        self._directory = directory
        self._compress = compress
        self._path = tail_path(directory)
        self._open(position)

    def _open(self, position: Position) -> None:
        self._fd = open_append(self._path)
        octets = self._path.read_bytes()
        _check_tail(octets, position)
        since = octets[position.offset :]
        self._end = position.offset + len(since)
        self._hash = hashlib.sha256(position.chain + since)
        self._position = position
        self._news = since.count(b"\n") - (1 if position.offset == 0 else 0)

    @property
    def news(self) -> int:
        """How many facts were appended since the last checkpoint."""
        return self._news

    def append(self, *facts: Fact) -> None:
        """Append ``facts`` in one write, all or none. Raises StorageFailed.

        If the process dies in here the tail may end in a torn line, which the next open cuts off.
        """
        octets = b"".join(map(to_line, facts))
        self._write(octets)
        self._hash.update(octets)
        self._news += len(facts)

    def _write(self, octets: bytes) -> None:
        with storage(self._path):
            try:
                write_all(self._fd, octets)
            except BaseException:
                os.ftruncate(self._fd, self._end)
                raise
        self._end += len(octets)

    def _sync(self) -> None:
        with storage(self._path):
            os.fsync(self._fd)

    def checkpoint(self) -> Position:
        """Make all facts durable, write and sync the checkpoint line, seal a large tail. Raises StorageFailed.

        The octets that the facts speak of must be durable already. If the process dies between the two renames
        of sealing, the tail is a copy of a sealed part, which ``drop_sealed_tail`` mends.
        """
        self._sync()
        number, chain = self._position.checkpoints + 1, self._hash.digest()
        self._write(to_line(Checkpoint(number, chain)))
        self._sync()
        self._position = Position(self._position.part, self._end, chain, number)
        self._hash, self._news = hashlib.sha256(chain), 0
        if self._end >= SEAL_SIZE:
            octets = self._compress(self._path.read_bytes())
            replace_durably(part_path(self._directory, self._position.part), octets)
            next_position = begin_part(self._directory, self._position)
            sealed = self._fd
            self._open(next_position)
            os.close(sealed)
        return self._position

    def close(self) -> None:
        """Close the file without a checkpoint."""
        os.close(self._fd)


def _check_tail(octets: bytes, position: Position) -> None:
    """Check the chain from the tail's first line to ``position`` by its hashes alone, without reading the facts."""
    try:
        first = from_line(octets[: octets.find(b"\n") + 1])
        chain, start = first.chain if isinstance(first, Part) else b"", 0
        while start < position.offset:
            line = octets.index(_CHECKPOINT, max(0, start - 1)) + 1
            chain = hashlib.sha256(chain + octets[start:line]).digest()
            start = octets.index(b"\n", line) + 1
            fact = from_line(octets[line:start])
            if not isinstance(fact, Checkpoint) or fact.sha256 != chain:
                break
    except (ValueError, MalformedLine) as error:
        raise ArchiveDamaged("the open part of the journal is damaged") from error
    if (start, chain) != (position.offset, position.chain):
        raise ArchiveDamaged("the open part of the journal does not match its checkpoints")


def begin_part(directory: Path, position: Position) -> Position:
    """Replace the tail, which ends at ``position`` and has been sealed, by a new empty one."""
    part = position.part + 1
    replace_durably(tail_path(directory), to_line(Part(part, position.chain)))
    return Position(part, 0, position.chain, position.checkpoints)


@dataclass(slots=True)
class Replay:
    """Reads facts in order, from a position or from the beginning, and checks the chain on the way.

    After the iteration ``position`` is the last checkpoint, ``end`` the offset in the tail after the last whole line,
    ``torn`` the octets behind that, and ``lines`` the number of lines read. During it ``at``
    is the offset of the line at hand. ``stale_tail`` says that the tail is a
    copy of the last sealed part, and was skipped.
    """

    directory: Path
    decompress: Codec
    position: Position = BEGINNING
    end: int = 0
    torn: bytes = b""
    lines: int = 0
    at: int = 0
    stale_tail: bool = False

    def __iter__(self) -> Iterator[Fact]:
        """Yield each known fact. Raises ArchiveDamaged where the chain does not hold.

        A tail that a writer seals meanwhile is read as the sealed part that it has become.
        """
        while True:
            sealed = sealed_parts(self.directory)
            last = max([*sealed, self.position.part - 1]) + 1
            for part in range(self.position.part, last):
                yield from self._part(part, self._read_sealed(part), is_tail=False)
                self.position = Position(part + 1, 0, self.position.chain, self.position.checkpoints)
            tail = self._read_tail()
            number = _number(tail[: tail.find(b"\n") + 1])
            if number in sealed:
                if self.position.offset:
                    raise ArchiveDamaged(f"part {last} of the journal is missing")
                self.stale_tail = True
                return
            if number == last or not part_path(self.directory, last).exists():
                yield from self._part(last, tail, is_tail=True)
                return

    def check(self) -> None:
        """Read everything without doing anything with it. Raises ArchiveDamaged where the chain does not hold."""
        for _ in self:
            pass

    def _read_sealed(self, part: int) -> bytes:
        try:
            return self.decompress(part_path(self.directory, part).read_bytes())
        except FileNotFoundError:
            raise ArchiveDamaged(f"part {part} of the journal is missing") from None
        except ArchiveDamaged as error:
            raise ArchiveDamaged(f"part {part} of the journal: {error}") from error

    def _read_tail(self) -> bytes:
        try:
            return tail_path(self.directory).read_bytes()
        except FileNotFoundError:
            raise ArchiveDamaged("the open part of the journal (journal/tail.jsonl) is missing") from None

    def _part(self, part: int, octets: bytes, *, is_tail: bool) -> Iterator[Fact]:
        at = self.position.offset
        if at > len(octets):
            raise ArchiveDamaged(f"part {part} of the journal ends before octet {at}")
        covered = at
        lines = from_lines(octets, at)
        while at < len(octets):
            try:
                fact, end = next(lines)
                if at == 0 or isinstance(fact, Part):
                    self._check_place(fact, part, at)
            except MalformedLine as error:
                if not is_tail or _WHOLE_CHECKPOINT.search(octets, at):
                    raise ArchiveDamaged(f"part {part} of the journal is damaged at octet {at}") from error
                break
            if isinstance(fact, Checkpoint):
                chain = hashlib.sha256(self.position.chain + octets[covered:at]).digest()
                self._check_chain(fact, octets[at:end], chain, part, at)
                self.position = Position(part, end, fact.sha256, fact.checkpoint)
                covered = end
            self.at = at
            self.lines += 1
            if fact is not None:
                yield fact
            at = end
        if not is_tail and self.position.offset != at:
            raise ArchiveDamaged(f"part {part} of the journal does not end with a checkpoint")
        self.end, self.torn = at, octets[at:]

    def _check_place(self, fact: Fact | None, part: int, at: int) -> None:
        if (at == 0) != isinstance(fact, Part):
            raise MalformedLine("the part line is the first line, and only that")
        if isinstance(fact, Part) and (fact.part != part or fact.chain != self.position.chain):
            raise ArchiveDamaged(f"part {part} of the journal does not follow the part before it")

    def _check_chain(self, fact: Checkpoint, line: bytes, expected: bytes, part: int, at: int) -> None:
        if to_line(fact) != line or fact.sha256 != expected or fact.checkpoint != self.position.checkpoints + 1:
            raise ArchiveDamaged(
                f"part {part} of the journal: checkpoint {fact.checkpoint} at octet {at} does not match what it covers"
            )


def tail_part(directory: Path) -> int | None:
    """Return the number that the tail says it has, or None if its first line is torn or missing."""
    try:
        with tail_path(directory).open("rb") as file:
            return _number(file.readline())
    except FileNotFoundError:
        return None


def _number(line: bytes) -> int | None:
    """Return the number in a part line, or None if it is none."""
    try:
        fact = from_line(line)
    except MalformedLine:
        return None
    return fact.part if isinstance(fact, Part) else None


def ends_at(directory: Path, position: Position) -> bool:
    """Return whether the journal ends right at ``position``, judged by the last lines of the tail alone."""
    try:
        with tail_path(directory).open("rb") as file:
            if position.offset == 0:
                return file.read(len(line := to_line(Part(position.part, position.chain))) + 1) == line
            line = to_line(Checkpoint(position.checkpoints, position.chain))
            if position.offset < len(line):
                return False
            file.seek(position.offset - len(line))
            return file.read(len(line) + 1) == line and tail_part(directory) == position.part
    except FileNotFoundError:
        return False


def truncate_tail(directory: Path, end: int) -> None:
    """Cut the tail to ``end`` octets, durably."""
    path = tail_path(directory)
    with storage(path), path.open("r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())
