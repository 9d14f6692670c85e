"""Sequence sets (RFC 9051 section 9, sequence-set): uids to ranges, ranges to command lines, and back."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from mailarchive.errors import ProtocolViolation

LONGEST = 7_500
"""Octets of one set; with the rest of the command it stays below 8,000 (RFC 7162 section 4)."""

_RANGE = re.compile(rb"(\d{1,10})(?::(\d{1,10}))?")

Range = tuple[int, int]


def ranges(uids: Sequence[int], existing: Sequence[int] = ()) -> list[Range]:
    """Return ascending ranges that name ``uids`` (ascending, distinct) and nothing else that exists.

    A gap between two uids is bridged if ``existing`` (ascending) knows them as neighbours.
    """
    if not uids:
        return []
    found: list[Range] = []
    first = last = uids[0]
    for uid in uids[1:]:
        if uid != last + 1:
            following = bisect_right(existing, last)
            if following == len(existing) or existing[following] != uid:
                found.append((first, last))
                first = uid
        last = uid
    found.append((first, last))
    return found


def command_sets(of: Sequence[Range]) -> Iterator[tuple[bytes, int, int]]:
    """Yield ``of`` as sets of at most ``LONGEST`` octets, each with its smallest and its largest number."""
    pieces: list[bytes] = []
    length = lowest = highest = 0
    for first, last in of:
        piece = b"%d" % first if first == last else b"%d:%d" % (first, last)
        if pieces and length + len(piece) + 1 > LONGEST:
            yield b",".join(pieces), lowest, highest
            pieces, length = [], 0
        if not pieces:
            lowest = first
        highest = last
        pieces.append(piece)
        length += len(piece) + 1
    if pieces:
        yield b",".join(pieces), lowest, highest


def number_sets(uids: Sequence[int]) -> Iterator[tuple[bytes, int]]:
    """Yield ``uids`` (ascending, distinct) as sets, each with how many it names."""
    start = 0
    for numbers, _first, last in command_sets(ranges(uids)):
        end = bisect_right(uids, last)
        yield numbers, end - start
        start = end


def parse_set(octets: bytes) -> list[Range]:
    """Return the ranges of a set as the server wrote it, each with its smaller end first.

    Raises ProtocolViolation if it is none.
    """
    found: list[Range] = []
    for piece in octets.split(b","):
        match = _RANGE.fullmatch(piece)
        if match is None:
            raise ProtocolViolation("the server sent a set of numbers that is none")
        first, last = int(match[1]), int(match[2] or match[1])
        found.append((min(first, last), max(first, last)))
    return found


def size(of: Sequence[Range]) -> int:
    """Return how many numbers the ranges hold, counting repeated ones again."""
    return sum(last - first + 1 for first, last in of)
