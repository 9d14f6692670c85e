"""mbox files of every dialect, read as a stream (RFC 4155; mboxrd, mboxo, mboxcl, mboxcl2)."""

import codecs
import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from mailarchive.mail import mboxrd
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.digest import HEADER_LIMIT, header_section
from mailarchive.mail.from_line import LONGEST, date_of, separates
from mailarchive.model import Body
from mailarchive.readers.base import LARGE, Dialect, Letter, Place, Reading
from mailarchive.readers.compressed import FAILURES, opened
from mailarchive.readers.regular import contents

PIECE = 4 << 20
_LF, _QUOTE = b"\n>"
_LENGTH = re.compile(rb"^Content-Length:[ \t]*(\d{1,12})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_QUOTED_ONCE = re.compile(rb"^>(From )", re.MULTILINE)
_INTERNAL = re.compile(rb"^X-IMAP(?:base)?: \d+ \d+", re.MULTILINE)
_INTERNAL_SUBJECT = b"FOLDER INTERNAL DATA"
_SYSTEM_FLAGS = {"answered", "deleted", "draft", "flagged", "recent", "seen"}
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|\r?\n|>From ")
"""What a message begins with that has a header, be it empty."""
_FEW = 4
"""Octets of the empty line behind a message, at most."""


def read(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the messages of an mbox. Raises Unreadable in the middle if the file cannot be read to its end."""
    with opened(place.path) as file:
        text = _Text(file)
        dialect = reading.dialect or _dialect(text)
        flags = _flags_beside(place.path, reading)
        if before := _before_first(text):
            reading.leave_out(str(place.path), f"its first {before} octets come before any message")
        bare = 0
        for number, (at, line, pieces) in enumerate(_entries(text, dialect), 1):
            where = f"{place.path}, message {number}"
            body = _body(text, pieces, dialect, reading)
            if body is None:
                reading.leave_out(where, "it is empty")
            elif _is_internal(body):
                body.close()
            else:
                bare += not _FIELD.match(next(iter(body.chunks()), b""))
                yield Letter(place.mailbox, body, where, date_of(line), flags.get(at), of_mbox=not flags)
        if bare:
            reading.tell(f"{place.path}: {bare} of the messages have no header; each may be the rest of the one before")


def is_mbox(beginning: bytes) -> bool:
    """Return whether a file that begins so is an mbox."""
    start = _begin(beginning)
    return beginning.startswith(b"From ", start) and _is_separator(beginning[start : start + LONGEST], 0)


def has_message(beginning: bytes) -> bool:
    """Return whether a message begins somewhere in what a file begins with."""
    return _first(beginning) is not None


class _Text:
    """A stream: what is at hand is ``octets`` from ``at`` on."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.octets = b""
        self.at = 0
        self.is_whole = False
        """Whether nothing comes behind ``octets``."""
        self.has_quoted = False
        """Whether a ``>From `` is in the message that was taken last."""
        self._failure: Exception | None = None
        """Why nothing can be read behind them."""
        self._before = 0
        """How many octets of the file come before ``octets``."""

    @property
    def left(self) -> int:
        """How many octets are at hand."""
        return len(self.octets) - self.at

    @property
    def position(self) -> int:
        """How many octets of the file were taken."""
        return self._before + self.at

    def need(self, count: int) -> None:
        """Have ``count`` octets at hand, or all that are left, or all that can be read."""
        if self.left >= count or self.is_whole or self._failure is not None:
            return
        pieces, have = [self.octets[self.at :]], self.left
        self._before += self.at
        while have < count and not self.is_whole:
            try:
                piece = self._file.read1(max(PIECE, count - have))
            except FAILURES as error:
                self._failure = error
                break
            self.is_whole = not piece
            have += len(piece)
            pieces.append(piece)
        self.octets, self.at = b"".join(pieces), 0

    def go_on(self) -> None:
        """Raise why nothing can be read behind what is at hand, if that is so: one of FAILURES."""
        if self._failure is not None:
            raise self._failure

    def take(self, count: int) -> bytes:
        """Return the next ``count`` octets, which are at hand, and go on behind them."""
        taken = self.octets[self.at : self.at + count]
        self.at += count
        return taken

    def skip_empty_lines(self) -> None:
        """Go on behind the line ends that are at hand here."""
        few = self.octets[self.at : self.at + _FEW]
        self.at += len(few) - len(few.lstrip(b"\r\n"))


def _dialect(text: _Text) -> Dialect:
    """Return the dialect by what the first octets show; where nothing does, all but mboxcl2 say the same."""
    text.need(PIECE)
    sample = text.octets
    counted = quoted = 0
    at = _first(sample)
    while at is not None and at < len(sample):
        body = sample.find(b"\n", at) + 1
        end = _end_by_length(sample, body)
        if end is None:
            return "mboxrd"
        counted += 1
        inside = sample[body:end]
        if any(_is_separator(inside, found.start()) for found in re.finditer(rb"^From ", inside, re.MULTILINE)):
            return "mboxcl2"
        quoted += bool(_QUOTED_ONCE.search(inside))
        at = _next_line(sample, end)
    return "mboxcl" if counted and quoted else "mboxrd"


def _first(octets: bytes) -> int | None:
    """Return where the first separator begins, whatever comes before it."""
    start = _begin(octets)
    if octets.startswith(b"From ", start):
        return start
    found = (match.start() for match in re.finditer(rb"^From ", octets, re.MULTILINE))
    return next((at for at in found if _is_separator(octets, at)), None)


def _begin(octets: bytes) -> int:
    """Return where what is no byte order mark (U+FEFF in UTF-8) and no line end begins."""
    rest = octets.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    return len(octets) - len(rest)


def _before_first(text: _Text) -> int:
    """Return how many octets come before the first message that are neither byte order mark nor line ends."""
    text.need(PIECE)
    start, first = _begin(text.octets), _first(text.octets)
    return (len(text.octets) if first is None else first) - start


def _next_line(octets: bytes, at: int) -> int | None:
    """Return where the separator behind the empty line at ``at`` begins."""
    few = octets[at : at + _FEW]
    start = at + len(few) - len(few.lstrip(b"\r\n"))
    return start if octets.startswith(b"From ", start) else None


def _end_by_length(octets: bytes, start: int) -> int | None:
    """Return where the message from ``start`` on ends by its Content-Length, if a separator or nothing is there."""
    header = header_section(octets[start : start + HEADER_LIMIT])
    match = _LENGTH.search(header)
    if match is None:
        return None
    end = start + len(header) + int(match[1])
    if end > len(octets):
        return None
    is_last = end + 4 >= len(octets) and not octets[end:].strip(b"\r\n")
    return end if is_last or _next_line(octets, end) is not None else None


def _is_separator(octets: bytes, at: int) -> bool:
    """Return whether the line at ``at``, which begins with ``From ``, begins a message."""
    end = octets.find(b"\n", at, at + LONGEST)
    line = octets[at : end if end >= 0 else at + LONGEST]
    before = octets[max(0, at - 3) : at]
    return separates(line, after_empty_line=at == 0 or before.endswith((b"\n\n", b"\n\r\n")) or before == b"\n")


def _entries(text: _Text, dialect: Dialect) -> Iterator[tuple[int, bytes, Iterator[bytes]]]:
    """Yield where each message begins, its separator, and its text in pieces, to be taken before the next one is."""
    text.need(PIECE)
    start = _first(text.octets)
    if start is None:
        return
    text.take(start)
    while text.left:
        text.need(LONGEST)
        at = text.position
        end = text.octets.find(b"\n", text.at) + 1
        line = text.take(end - text.at if end else text.left)
        rest = _message(text, dialect)
        yield at, line, rest
        for _ in rest:
            pass
        text.need(1)
    text.go_on()


def _message(text: _Text, dialect: Dialect) -> Iterator[bytes]:
    """Yield the text of the message that begins here, without the empty line at its end; go on behind it."""
    if dialect in {"mboxcl", "mboxcl2"}:
        text.need(HEADER_LIMIT)
        match = _LENGTH.search(header_section(text.octets[text.at : text.at + HEADER_LIMIT]))
        if match and int(match[1]) <= LARGE:
            text.need(int(match[1]) + HEADER_LIMIT + LONGEST)
        end = _end_by_length(text.octets, text.at)
        if end is not None:
            whole = text.take(end - text.at)
            text.has_quoted = b">From " in whole
            yield whole
            text.skip_empty_lines()
            return
    yield from _up_to_separator(text)


def _up_to_separator(text: _Text) -> Iterator[bytes]:
    looked, text.has_quoted = 0, False
    text.need(LONGEST)
    if _begins_message(text):
        return
    while True:
        found = _separator_from(text, text.at + looked)
        if found is not None or text.is_whole:
            yield _without_empty_line(text.take(text.left if found is None else found - text.at))
            return
        text.go_on()
        if text.left > LARGE:
            yield text.take(text.left - LONGEST)
        looked = max(0, text.left - LONGEST)
        text.need(text.left + PIECE)


def _begins_message(text: _Text) -> bool:
    """Return whether the separator of the next message stands here already, so that this one is empty."""
    return text.octets.startswith(b"From ", text.at) and _is_separator(text.octets, text.at)


def _separator_from(text: _Text, start: int) -> int | None:
    """Return where the next separator begins whose line is at hand, from ``start`` on, noting quotes before it."""
    octets = text.octets
    at = octets.find(b"From ", max(text.at + 1, start))
    while at >= 0:
        before = octets[at - 1]
        if before == _LF and not text.is_whole and at + LONGEST > len(octets):
            return None
        if before == _LF and _is_separator(octets, at):
            return at
        text.has_quoted = text.has_quoted or before == _QUOTE
        at = octets.find(b"From ", at + 1)
    return None


def _without_empty_line(octets: bytes) -> bytes:
    if octets.endswith(b"\r\n\r\n"):
        return octets[:-2]
    return octets[:-1] if octets.endswith(b"\n\n") or octets == b"\n" else octets


def _body(text: _Text, pieces: Iterator[bytes], dialect: Dialect, reading: Reading) -> Body | None:
    """Return the octets of a message, unquoted; None if there are none."""
    first = next(pieces, b"")
    second = next(pieces, None)
    if second is None:
        return MemoryBody(_unquoted(first, dialect) if text.has_quoted else first) if first else None
    return reading.spooled(_unquoted_stream(chain([first, second], pieces), dialect))


def _unquoted(octets: bytes, dialect: Dialect) -> bytes:
    if dialect == "mboxcl2":
        return octets
    return mboxrd.unquote(octets) if dialect == "mboxrd" else _QUOTED_ONCE.sub(rb"\1", octets)


def _unquoted_stream(pieces: Iterator[bytes], dialect: Dialect) -> Iterator[bytes]:
    if dialect == "mboxcl2":
        return pieces
    return mboxrd.unquote_stream(pieces, once=dialect != "mboxrd")


def _flags_beside(path: Path, reading: Reading) -> dict[int, frozenset[str]]:
    """Return the flags that imap-backup keeps beside an mbox, by where the messages begin; none if it is not its."""
    beside = path.with_suffix(".imap")
    try:
        messages = json.loads(contents(beside))["messages"]
        return {int(one["offset"]): frozenset(map(_flag, one.get("flags", ()))) for one in messages}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        reading.leave_out(str(beside), "it cannot be understood, so the flags that it keeps are not known")
        return {}


def _flag(name: str) -> str:
    """Return a flag as IMAP has it; imap-backup writes system flags without their backslash."""
    return f"\\{name}" if name.lower() in _SYSTEM_FLAGS else name


def _is_internal(body: Body) -> bool:
    """Return whether it is what UW-IMAP keeps at the beginning of an mbox, and no mail."""
    if body.size > PIECE or not isinstance(body, MemoryBody):
        return False
    header = header_section(body.octets)
    return _INTERNAL_SUBJECT in header and bool(_INTERNAL.search(header))
