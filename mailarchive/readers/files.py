"""Messages that are files: .eml, Apple's .emlx, and what MH and Maildir have."""

import plistlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from xml.parsers.expat import ExpatError

from mailarchive.mail.body import CHUNK, MemoryBody
from mailarchive.model import Body
from mailarchive.readers.base import LARGE, Letter, Place, Reading
from mailarchive.readers.compressed import Unreadable, opened
from mailarchive.readers.regular import contents

_LARGEST_EMLX = 1 << 30
_LENGTH = re.compile(rb"[ \t]*(\d{1,12})[ \t]*\r?\n")
_ABOUT = (b"<?xml version", b"<!DOCTYPE plist", b"<plist")
"""How the property list may begin that stands behind the message."""
_APPLE = {0: "\\Seen", 2: "\\Answered", 4: "\\Flagged", 6: "\\Draft", 8: "$Forwarded"}
"""Flags by bit. A message that is deleted has no file any more."""
_SEQUENCE = re.compile(r"^([^:\s]+):(.*)$", re.MULTILINE)
_MH = {"replied": "\\Answered", "flagged": "\\Flagged"}


def body_of(path: Path, reading: Reading) -> Body | None:
    """Return what a file holds, decompressed; None if it is empty or cannot be read, which ``reading`` is told."""
    try:
        with opened(path) as file:
            octets = file.read(LARGE + 1)
            if not octets:
                reading.leave_out(str(path), "it is empty")
                return None
            if len(octets) <= LARGE:
                return MemoryBody(octets)
            return reading.spooled(chain([octets], iter(lambda: file.read(CHUNK), b"")))
    except Unreadable as error:
        reading.leave_out(str(path), str(error))
        return None


def read_eml(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the one message of an .eml file; its time is that of the file only if the message does not tell."""
    body = body_of(place.path, reading)
    if body is not None:
        yield Letter(place.mailbox, body, str(place.path))


def read_emlx(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the one message of an .emlx file: a line with its length, the message, and a property list about it.

    Where the length is not true the message goes up to the property list.
    """
    where = str(place.path)
    try:
        with opened(place.path) as file:
            octets = file.read(_LARGEST_EMLX + 1)
    except Unreadable as error:
        reading.leave_out(where, str(error))
        return
    first = _LENGTH.match(octets)
    if first is None or len(octets) > _LARGEST_EMLX:
        why = "it is larger than 1 GiB" if first else "it does not begin with the length of a message"
        reading.leave_out(where, why)
        return
    rest = octets[first.end() :]
    length = _message_length(rest, int(first[1]))
    if length < int(first[1]):
        reading.cut(where, f"the message should have {int(first[1])} octets, and has {length}")
    elif length > int(first[1]):
        reading.tell(f"{where}: the message is longer than the file says, and was imported whole")
    about = _property_list(rest[length:])
    flags = about.get("flags")
    told = {name for bit, name in _APPLE.items() if isinstance(flags, int) and flags >> bit & 1}
    received = about.get("date-received")
    date = datetime.fromtimestamp(received, UTC) if isinstance(received, int) and received > 0 else None
    yield Letter(place.mailbox, MemoryBody(rest[:length]), where, date, frozenset(told))


def _message_length(rest: bytes, told: int) -> int:
    """Return how long the message is that ``rest`` begins with: as long as ``told`` if the property list is there."""
    behind = rest[told:].lstrip()
    if told <= len(rest) and (not behind or behind.startswith(_ABOUT)):
        return told
    found = next((at for start in _ABOUT if (at := rest.rfind(start)) >= 0), None)
    return len(rest) if found is None else found


def _property_list(octets: bytes) -> dict[str, object]:
    try:
        found = plistlib.loads(octets, fmt=plistlib.FMT_XML)
    except (ValueError, ExpatError, plistlib.InvalidFileException):
        return {}
    return found if isinstance(found, dict) else {}


def read_mh(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the messages of an MH folder by number; its sequences tell which are unseen, replied and flagged."""
    numbers = sorted(int(path.name) for path in place.path.iterdir() if path.name.isdigit() and path.is_file())
    sequences = _sequences(place.path / ".mh_sequences")
    for number in numbers:
        path = place.path / str(number)
        body = body_of(path, reading)
        if body is not None:
            flags = {flag for name, flag in _MH.items() if number in sequences.get(name, ())}
            flags |= set() if number in sequences.get("unseen", ()) or not sequences else {"\\Seen"}
            yield Letter(place.mailbox, body, str(path), None, frozenset(flags))


def _sequences(path: Path) -> dict[str, set[int]]:
    try:
        text = contents(path).decode("utf-8", "replace")
    except OSError:
        return {}
    return {name: set(_numbers(ranges)) for name, ranges in _SEQUENCE.findall(text)}


def _numbers(ranges: str) -> Iterator[int]:
    for part in ranges.split():
        first, _, last = part.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            yield from range(int(first), min(int(last or first), int(first) + 1_000_000) + 1)
