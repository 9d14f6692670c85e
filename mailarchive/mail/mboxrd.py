"""One message as an entry of mboxrd text and back, exactly (store/FORMAT.md, "mbox text")."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from time import asctime

from mailarchive.mail.eol import to_crlf, to_lf
from mailarchive.model import Eol

ENTRY = b"From MAILER-DAEMON "
"""What each entry begins with."""
_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_FROM_INSIDE = re.compile(rb"(?<=\n)(>*From )")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_QUOTED_INSIDE = re.compile(rb"(?<=\n)>(>*From )")
_ONCE = re.compile(rb"^>(From )", re.MULTILINE)
_ONCE_INSIDE = re.compile(rb"(?<=\n)>(From )")
_FROM_LINE = re.compile(rb"\n(>*From )")
_QUOTED_LINE = re.compile(rb"\n>(>*From )")
_MAY_GO_ON = re.compile(rb">?(?:F(?:r(?:om?)?)?)?\Z")
_EPOCH = datetime(1970, 1, 1).timetuple()  # noqa: DTZ001 - UTC, as asctime has no zone


def from_line(date: datetime | None) -> bytes:
    """Return the ``From `` line of an entry, with its LF; asctime in UTC, in English whatever the locale."""
    try:
        moment = _EPOCH if date is None else date.utctimetuple()
    except OverflowError:
        moment = _EPOCH
    return ENTRY + f"{asctime(moment)[:20]}{moment.tm_year:04d}\n".encode("ascii")


_FROM_LINE_LENGTH = len(from_line(None))


def quote(text: bytes) -> bytes:
    """Return ``text`` with one ``>`` before each line that matches ``^>*From ``."""
    return _at_line_starts(_FROM_LINE, rb"\n>\1", text) if _may_begin_line(text, b"From ") else text


def _may_begin_line(text: bytes, words: bytes) -> bool:
    """Return whether ``words`` stand somewhere at the beginning of a line or behind a ``>``; quick if they do not."""
    at = text.find(words)
    while at > 0 and text[at - 1] not in b"\n>":
        at = text.find(words, at + 1)
    return at >= 0


def _at_line_starts(pattern: re.Pattern[bytes], replacement: bytes, text: bytes) -> bytes:
    """Substitute a pattern that begins with a line end: several times as quick as one that begins with ``^``."""
    lines, count = pattern.subn(replacement, b"\n" + text)
    return lines[1:] if count else text


def unquote(text: bytes) -> bytes:
    """Undo ``quote``."""
    return _at_line_starts(_QUOTED_LINE, rb"\n\1", text) if _may_begin_line(text, b">From ") else text


def encode(text: bytes, *, final: bool, date: datetime | None) -> bytes:
    """Return the entry of a message given as ``eol.lf_text`` returns it, which ends with a line end if ``final``."""
    return b"".join((from_line(date), quote(text), b"\n" if final else b"\n\n"))


def decode(entry: bytes, eol: Eol, *, final: bool) -> bytes:
    """Return the exact octets of the message of which ``entry`` was made."""
    text = unquote(entry[entry.find(b"\n") + 1 : len(entry) - (1 if final else 2)])
    return to_crlf(text) if eol == "crlf" else text


def decode_at(text: bytes, start: int, length: int, eol: Eol, *, final: bool) -> bytes | None:
    """Return the exact octets of the message whose entry is the ``length`` octets of ``text`` from ``start``.

    None if the text ends before.
    """
    if start + length > len(text):
        return None
    return decode(text[start : start + length], eol, final=final)


def entry_length(text: bytes, *, final: bool) -> int:
    """Return the length of what ``encode`` returns."""
    quoted = len(_FROM_LINE.findall(b"\n" + text)) if _may_begin_line(text, b"From ") else 0
    return _FROM_LINE_LENGTH + len(text) + quoted + (1 if final else 2)


def sizes_of_stream(chunks: Iterable[bytes], eol: Eol, *, final: bool) -> tuple[int, int]:
    """Return the length of the text of the message ``chunks``, with the line ends that are stored, and of its entry."""
    lengths = {"text": 0}

    def counted() -> Iterator[bytes]:
        for chunk in to_lf(chunks) if eol == "crlf" else chunks:
            lengths["text"] += len(chunk)
            yield chunk

    entry = sum(map(len, encode_stream(counted(), "lf", final=final, date=None)))
    return lengths["text"], entry


def encode_stream(chunks: Iterable[bytes], eol: Eol, *, final: bool, date: datetime | None) -> Iterator[bytes]:
    """Yield the entry in pieces about as large as ``chunks``; memory does not grow with the message or its lines."""
    yield from_line(date)
    yield from _rewrite(to_lf(chunks) if eol == "crlf" else chunks, _FROM, _FROM_INSIDE, rb">\1")
    yield b"\n" if final else b"\n\n"


def head(entry: bytes) -> bytes:
    """Return the text of a message of which ``entry`` is the beginning."""
    return unquote(entry[entry.find(b"\n") + 1 :])


def decode_stream(chunks: Iterable[bytes], eol: Eol, *, final: bool) -> Iterator[bytes]:
    """Yield the exact octets of the message of which the entry ``chunks`` was made."""
    body = _without_frame(chunks, 1 if final else 2)
    for text in _rewrite(body, _QUOTED, _QUOTED_INSIDE, rb"\1"):
        yield to_crlf(text) if eol == "crlf" else text


def unquote_stream(chunks: Iterable[bytes], *, once: bool = False) -> Iterator[bytes]:
    """Undo ``quote`` in a stream; ``once``: only of lines that begin with ``>From ``, as mboxo quotes."""
    if once:
        return _rewrite(chunks, _ONCE, _ONCE_INSIDE, rb"\1")
    return _rewrite(chunks, _QUOTED, _QUOTED_INSIDE, rb"\1")


def _rewrite(
    chunks: Iterable[bytes], at_line_start: re.Pattern[bytes], inside: re.Pattern[bytes], replacement: bytes
) -> Iterator[bytes]:
    """Apply a substitution at line starts to a stream.

    Only the octets that could be the beginning of ``>From `` are held back. ``line_start`` says whether
    nothing but ``>`` stands between the last line end and the octets at hand, which is all the patterns need.
    """
    held, line_start = b"", True
    for chunk in chunks:
        octets = held + chunk
        cut = _MAY_GO_ON.search(octets, max(0, len(octets) - len(b">From")))
        end = cut.start() if cut else len(octets)
        ready, held = octets[:end], octets[end:]
        if not ready:
            continue
        yield (at_line_start if line_start else inside).sub(replacement, ready) if b"From " in ready else ready
        line = ready[ready.rfind(b"\n") + 1 :]
        line_start = not line.strip(b">") and (line_start or len(line) < len(ready))
    if held:
        yield held


def _without_frame(chunks: Iterable[bytes], trailer: int) -> Iterator[bytes]:
    """Yield an entry without its ``From `` line and its last ``trailer`` octets."""
    source = iter(chunks)
    held = b""
    for chunk in source:
        held += chunk
        if b"\n" in held:
            held = held[held.index(b"\n") + 1 :]
            break
    for chunk in source:
        held += chunk
        yield held[:-trailer]
        held = held[-trailer:]
    yield held[:-trailer]
