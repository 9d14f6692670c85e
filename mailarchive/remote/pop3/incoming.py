"""The octets that a POP3 server sends: lines, and texts up to the lone dot (RFC 1939 section 3), of any length."""

import re
from collections.abc import Iterable, Iterator

from mailarchive.errors import ConnectionLost, ProtocolViolation
from mailarchive.remote.transport import Transport

CHUNK = 256 << 10
LONGEST_LINE = 1 << 20
"""Of an answer; the lines of messages may be longer."""

_KEPT = 8
"""Octets that are held back while more may come: longer than all that is looked for."""
_ANSWERS = (b"\n+OK", b"\n-ERR")
_FOLLOWED = {eol: re.compile(rb"\.(?<!%b\.\.)\r?\n(?:\+OK|-ERR)" % eol) for eol in (b"\r\n", b"\n")}
"""A dot that may be an end, and an answer behind it. Two dots alone on a line are one dot of a text."""
_ANSWER = re.compile(rb"(?:\+OK|-ERR)[^\n]*\n")
_USUAL = re.compile(rb"\+OK(?: [^\r\n]*)?(\r?\n)")
_LONE_DOT = re.compile(rb"\n\.\r*\n")


class Incoming:
    """Reads what comes through ``transport``. Raises ConnectionLost, Stalled or ProtocolViolation.

    ``quiet`` is how many seconds of silence make it worth asking whether a text has ended.
    """

    def __init__(self, transport: Transport, peer: str, quiet: float) -> None:
        self.is_doubtful = False
        """Whether the last text holds what may be its end and the next answer."""
        self._eol_of_texts = b""
        """As listings showed it."""
        self._transport = transport
        self._peer = peer
        self._quiet = quiet
        self._buffer = memoryview(bytearray(CHUNK))
        self._data = b""
        self._at = 0
        self._eol = b"\r\n"

    @property
    def is_empty(self) -> bool:
        """Whether all that has come has been read."""
        return self._at == len(self._data)

    def wait(self) -> None:
        """Wait until something has come that has not been read."""
        if self.is_empty:
            self._data, self._at = self._read(), 0

    def line(self) -> bytes:
        """Return the next line without its end."""
        while (end := self._data.find(b"\n", self._at)) < 0:
            if len(self._data) - self._at > LONGEST_LINE:
                self._transport.cut()
                raise ProtocolViolation(f"{self._peer} sent an answer of more than {LONGEST_LINE >> 20} MiB")
            self._data = self._data[self._at :] + self._read()
            self._at = 0
        line = self._data[self._at : end + 1]
        self._at = end + 1
        self._eol = b"\r\n" if line.endswith(b"\r\n") else b"\n"
        return line.rstrip(b"\r\n")

    def listing(self) -> Iterator[list[bytes]]:
        """Yield the lines that follow a line, up to the lone dot, those that have come in one list."""
        while (line := self.line()) != b".":
            yield [line, *self._lines_before_dot()]
        self._eol_of_texts = self._eol

    def _lines_before_dot(self) -> list[bytes]:
        """Return the lines that have come after a line."""
        begin, end = self._at, self._data.rfind(b"\n") + 1
        if dot := _LONE_DOT.search(self._data, begin - 1, end):
            end = dot.start() + 1
        self._at = end
        return [line.rstrip(b"\r") for line in self._data[begin:end].split(b"\n")[:-1]]

    def whole_texts(self, sizes: Iterable[int | None]) -> list[bytes]:
        """Return the texts that have come whole, each behind an answer of the usual shape, in the order of ``sizes``.

        What is in any way unusual is left to be read by itself; so is a text that may be two, if it is not as large
        as expected. Waits for nothing.
        """
        data, at = self._data, self._at
        found: list[bytes] = []
        for size in sizes:
            answer = _USUAL.match(data, at)
            if answer is None:
                break
            eol = self._eol_of_texts or answer[1]
            begin = answer.end() - len(eol)
            end = data.find(eol + b"." + eol, begin) if data.startswith(eol, begin) else -1
            if end < 0:
                break
            text = _unstuffed(data[begin : end + len(eol)], eol, len(eol))
            if len(text) != size and _is_followed(data, eol, answer.end(), end):
                break
            found.append(text)
            at = end + 2 * len(eol) + 1
        self._at = at
        return found

    def text(self, *, alone: bool) -> Iterator[bytes]:
        """Yield the text that follows a line, in pieces of about CHUNK, without the dots put in front of dots.

        Its lines end as those of listings, or else as that line; other line ends are octets like any. ``alone`` says
        that no further answer is on its way. Then a dot behind a last line without end, as Exchange sends it, or
        with another line end, is the end if the server falls silent and answers another command. If there are
        further answers, and it is doubtful whether one of them was taken for text, silence ends the text.
        """
        eol = self._eol_of_texts or self._eol
        begin = self._at - len(eol)
        end = self._data.find(eol + b"." + eol, begin) if self._data.startswith(eol, begin) else -1
        if end < 0:
            window = eol + self._data[self._at :]
            self._data, self._at = b"", 0
            yield from self._long_text(window, eol, alone=alone)
            return
        self.is_doubtful = _is_followed(self._data, eol, self._at, end)
        self._at = end + 2 * len(eol) + 1
        yield _unstuffed(self._data[begin : end + len(eol)], eol, len(eol))

    def _long_text(self, window: bytes, eol: bytes, *, alone: bool) -> Iterator[bytes]:
        """Yield a text that has not come whole; ``window`` is a line end, and what has come."""
        end_mark = eol + b"." + eol
        known = len(eol)
        has_asked = self.is_doubtful = False
        while (end := window.find(end_mark)) < 0:
            self.is_doubtful = self.is_doubtful or _is_followed(window, eol, known, len(window))
            if (cut := len(window) - _KEPT) > len(end_mark):
                yield _unstuffed(window[:cut], eol, known)
                known = len(eol) + 1
                window = window[cut - known :]
            if self.is_doubtful and not alone:
                if not (more := self._read_within(self._quiet)):
                    return
                window += more
            elif not (alone and window.endswith((b".\n", b".\r\n"))):
                window += self._read()
            elif not has_asked and (more := self._read_within(self._quiet)):
                window += more
            else:
                if not has_asked:
                    self._transport.send(b"NOOP\r\n")
                    has_asked = True
                more = self._read_answer()
                if _ANSWER.fullmatch(more):
                    yield _unstuffed(window[: window.rindex(b".")], eol, known)
                    return
                window += more
        self.is_doubtful = self.is_doubtful or _is_followed(window, eol, known, end)
        self._data = window[end + len(end_mark) :]
        yield _unstuffed(window[: end + len(eol)], eol, known)
        if has_asked:
            self.line()

    def _read(self) -> bytes:
        return self._come(self._transport.readinto(self._buffer))

    def _read_within(self, seconds: float) -> bytes:
        """Return what comes within ``seconds``; nothing if nothing does."""
        count = self._transport.readinto_within(self._buffer, seconds)
        return b"" if count is None else self._come(count)

    def _read_answer(self) -> bytes:
        """Return what comes next; the whole line if it may be an answer."""
        more = self._read()
        while more[:1] in {b"+", b"-"} and b"\n" not in more and len(more) < LONGEST_LINE:
            more += self._read()
        return more

    def _come(self, count: int) -> bytes:
        if not count:
            self._transport.cut()
            raise ConnectionLost(f"{self._peer} ended the connection")
        return bytes(self._buffer[:count])


def _unstuffed(window: bytes, eol: bytes, known: int) -> bytes:
    """Return what follows the first ``known`` octets, with one dot for two at the beginning of a line.

    A single one there was put by no server that doubles dots: Dovecot does not double that of a first line.
    """
    return window.replace(eol + b"..", eol + b".")[known:]


def _is_followed(window: bytes, eol: bytes, start: int, end: int) -> bool:
    """Return whether an end and an answer may be between ``start`` and ``end``; what is before ``start`` counts too."""
    if not any(window.find(answer, start, end) >= 0 for answer in _ANSWERS):
        return False
    return _FOLLOWED[eol].search(window, start, end) is not None
