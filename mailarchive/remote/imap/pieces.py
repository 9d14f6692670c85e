"""Reads one message in pieces (partial FETCH, RFC 9051 section 6.4.5), and notices a server that cannot do it."""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mailarchive.errors import FetchRefused, PiecesUnsupported
from mailarchive.mail.body import SpooledBody
from mailarchive.remote.imap import answers
from mailarchive.remote.imap.responses import Untagged
from mailarchive.remote.imap.scan import Value
from mailarchive.remote.imap.wire import Wire

PIECE = 512 << 10
"""Octets asked for by one command. Two are on the way, so that a death costs at most 1 MiB asked again."""
OVERLAP = 64
"""Octets of what is there already that are asked for with each piece, and compared."""
_AHEAD = 2
_NAME = b"BODY[]"


class Pieces:
    """Partial FETCH over one connection.

    The first piece is asked for alone: a server that ignores what was asked sends whole messages, and one is enough.
    What a server got wrong once it is not asked for again.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._is_proven = False
        self._wrong = ""

    def of(self, uid: int, offset: int, before: bytes) -> Iterator[bytes]:
        """Yield the octets of a message from ``offset`` on; those in front of it end with ``before``.

        Raises PiecesUnsupported when an answer does not fit what was asked for or what is known: then nothing that
        was yielded can be trusted. Raises FetchRefused, Throttled.
        """
        if self._wrong:
            raise PiecesUnsupported(self._wrong)
        reading = _Reading(self._wire, uid)
        known = before[-OVERLAP:]
        following = offset - len(known)
        is_whole = False
        try:
            while not is_whole or reading.waiting:
                while not is_whole and len(reading.waiting) < (_AHEAD if self._is_proven else 1):
                    reading.ask(following)
                    following += PIECE - OVERLAP
                try:
                    octets = reading.next()
                except FetchRefused as error:
                    if is_whole and not isinstance(error, PiecesUnsupported):
                        continue  # nothing but what lies beyond the end was refused
                    raise
                if octets[: len(known)] != known or (is_whole and octets != known):
                    raise PiecesUnsupported("the server's pieces of a message do not fit together")  # noqa: TRY301
                if len(octets) > len(known):
                    yield octets[len(known) :]
                is_whole = len(octets) < PIECE
                self._is_proven = self._is_proven or not is_whole
                known = octets[PIECE - OVERLAP :]
            self._wire.heed()
        except PiecesUnsupported as error:
            self._wrong = str(error)
            raise
        finally:
            reading.forget()


class _Reading:
    """The commands on the way for one message, and what has come by the octet that it begins with."""

    def __init__(self, wire: Wire, uid: int) -> None:
        self.waiting: deque[tuple[bytes, int]] = deque()
        self._wire = wire
        self._uid = uid
        self._come: dict[int, bytes] = {}

    def ask(self, start: int) -> None:
        command = b"UID FETCH %d (UID BODY.PEEK[]<%d.%d>)" % (self._uid, start, PIECE)
        self.waiting.append((self._wire.ask_for_mail(command), start))

    def next(self) -> bytes:
        """Return the answer to the oldest command. Raises FetchRefused, PiecesUnsupported."""
        tag, start = self.waiting[0]
        while not self._wire.done(tag):
            answer = self._wire.accept(self._wire.line(), _nowhere)
            if answer is not None and answer.name == b"FETCH":
                self._take(answer)
        status = self._wire.result(tag)
        self.waiting.popleft()
        if not status.ok:
            raise FetchRefused(f"the server refused to send a piece of a message: {status.words}", code=status.code)
        if start not in self._come:
            raise FetchRefused("the server sent no octets for a piece of this message")
        return self._come.pop(start)

    def _take(self, answer: Untagged) -> None:
        for part in answer.parts:
            if isinstance(part, SpooledBody):
                part.close()
        items = answers.read_fetch(answer)
        if answers.number(items.get(b"UID")) != self._uid:
            return
        for name, value in items.items():
            if name.startswith(_NAME):
                self._come[self._start(name)] = _octets(value)

    def _start(self, name: bytes) -> int:
        """Return the octet that an item called ``name`` begins with."""
        for _tag, start in self.waiting:
            if name == b"%b<%d>" % (_NAME, start):
                return start
        raise PiecesUnsupported("the server answers with another part of a message than it was asked for")

    def forget(self) -> None:
        """Take no more interest in what is on the way."""
        for tag, _start in self.waiting:
            self._wire.forget(tag)


def _octets(value: Value) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes) and len(value) <= PIECE:
        return bytes(value)
    raise PiecesUnsupported("the server sends more of a message than it was asked for")


def _nowhere() -> BinaryIO:
    """Return a file for a literal that is far too long for a piece."""
    return Path(os.devnull).open("r+b")
