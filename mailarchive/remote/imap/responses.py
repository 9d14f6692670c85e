"""Responses as they came: untagged data in parts, and what OK, NO, BAD and BYE say."""

import re
from typing import NamedTuple

from mailarchive.remote.imap.scan import Part, Scanner
from mailarchive.remote.words import printable

_CODE = re.compile(rb" *\[([^\] ]+)(?: ([^\]]*))?\] ?")


class Status(NamedTuple):
    """How a command ended, or what ``* OK`` and its like say: a response code (RFC 9051 section 7.1) and words.

    ``code`` is in capitals, empty if there is none.
    """

    kind: bytes
    code: str
    argument: bytes
    words: str

    @property
    def ok(self) -> bool:
        return self.kind == b"OK"


def read_status(kind: bytes, text: bytes) -> Status:
    """Return what follows OK, NO, BAD, BYE or PREAUTH."""
    code = _CODE.match(text)
    if code is None:
        return Status(kind, "", b"", printable(text))
    name = code[1].upper().decode("ascii", "replace")
    return Status(kind, name, code[2] or b"", printable(text[code.end() :]) or printable(b"[" + code[1] + b"]"))


class Untagged(NamedTuple):
    """One untagged response, whole: its number (FETCH, EXISTS), its name in capitals, and what follows."""

    number: int
    name: bytes
    parts: list[Part]
    start: int

    @property
    def octets(self) -> int:
        """How much of memory it takes, about."""
        return sum(len(part) for part in self.parts if isinstance(part, bytes))

    def scanner(self) -> Scanner:
        """Return a scanner over what follows the name."""
        return Scanner(self.parts, self.start)

    def text(self) -> bytes:
        """Return what follows the name up to the first literal or the end of the line."""
        return self.scanner().rest()

    def status(self) -> Status:
        """Return what an OK, NO, BAD or PREAUTH says."""
        return read_status(self.name, self.text())
