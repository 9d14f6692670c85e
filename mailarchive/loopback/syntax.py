"""IMAP's formal syntax (RFC 3501 section 9): command arguments, sequence sets, dates, strings."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone

Token = str | bytes | list["Token"]
"""An argument: an atom as str, a quoted string or literal as bytes, a parenthesized list as list."""

LITERAL = re.compile(rb"(~?)\{(\d+)(\+?)\}$")
_ATOM = re.compile(r'(?:[^\s()"\[]|\[[^\]]*\])+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(r"\s?(\d{1,2})-(\w{3})-(\d{4})(?: (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d))?")


class Literal(bytes):
    """A string that came as a literal; only APPEND cares for the difference."""


class Literal8(Literal):
    """A literal that may hold NUL (RFC 3516 section 4.4)."""


class BadSyntax(Exception):
    """A command that is not understood; ``str()`` is the text of the tagged BAD."""


class Parser:
    """Cuts a command into tokens. ``parts`` are its text stretches, each but the last followed by a literal."""

    def __init__(self, parts: list[bytes], literals: Sequence[Literal]) -> None:
        self._parts = [part.decode("latin-1") for part in parts]
        self._literals = literals
        self._part = 0
        self._at = 0

    def tokens(self) -> list[Token]:
        """Return all tokens. Raises BadSyntax."""
        found = self._group(nested=False)
        if self._part != len(self._literals):
            raise BadSyntax("A literal in the wrong place")
        return found

    def _group(self, *, nested: bool) -> list[Token]:
        found: list[Token] = []
        while True:
            text = self._parts[self._part]
            if self._at == len(text):
                if self._part == len(self._literals):
                    if nested:
                        raise BadSyntax("Missing )")
                    return found
                found.append(self._literals[self._part])
                self._part += 1
                self._at = 0
                continue
            char = text[self._at]
            if char == " ":
                self._at += 1
            elif char == "(":
                self._at += 1
                found.append(self._group(nested=True))
            elif char == ")":
                if not nested:
                    raise BadSyntax("Unexpected )")
                self._at += 1
                return found
            else:
                found.append(self._word(text))

    def _word(self, text: str) -> Token:
        if quoted := _QUOTED.match(text, self._at):
            self._at = quoted.end()
            return re.sub(r"\\(.)", r"\1", quoted.group(1)).encode("latin-1")
        atom = _ATOM.match(text, self._at)
        if atom is None:
            raise BadSyntax(f"Cannot read {text[self._at : self._at + 20]!r}")
        self._at = atom.end()
        return atom.group()


def octets(token: Token) -> bytes:
    """Return an astring argument as octets. Raises BadSyntax for a list."""
    if isinstance(token, list):
        raise BadSyntax("A string was expected")
    return token.encode("latin-1") if isinstance(token, str) else token


def word(token: Token) -> str:
    """Return an argument as upper-case text. Raises BadSyntax for a list."""
    return octets(token).decode("latin-1").upper()


def words(token: Token) -> list[str]:
    """Return a parenthesized list (or a single atom) as text, case kept."""
    tokens = token if isinstance(token, list) else [token]
    return [octets(inner).decode("latin-1") for inner in tokens]


def sequence(text: str, present: list[int]) -> list[int]:
    """Return those of ``present`` (ascending) that the sequence set names. Raises BadSyntax."""
    last = present[-1] if present else 0
    chosen: set[int] = set()
    numbers = set(present)
    for stretch in text.split(","):
        ends = [last if end == "*" else int(end) if end.isdecimal() else -1 for end in stretch.split(":")]
        if len(ends) > 2 or -1 in ends:
            raise BadSyntax(f"Not a sequence set: {text[:40]}")
        low, high = min(ends), max(ends)
        if high - low < 64:
            chosen.update(numbers.intersection(range(low, high + 1)))
        else:
            chosen.update(number for number in present if low <= number <= high)
    return sorted(chosen)


def compressed(numbers: list[int]) -> str:
    """Return ascending ``numbers`` as a sequence set with ranges."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{low}:{high}" if high > low else f"{low}" for low, high in runs)


def string(value: bytes) -> bytes:
    """Return ``value`` as a quoted string, or as a literal when it holds control characters."""
    if any(octet < 0x20 or octet == 0x7F for octet in value):
        return b"{%d}\r\n%b" % (len(value), value)
    return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def date_time(moment: datetime) -> str:
    """Return an aware ``moment`` as date-time, zone kept, without the quotes."""
    zone = moment.strftime("%z")[:5]
    clock = f"{moment:%H:%M:%S}"
    return f"{moment.day:2d}-{_MONTHS[moment.month - 1]}-{moment.year:04d} {clock} {zone}"


def read_date_time(text: str) -> datetime:
    """Return the aware moment that a date-time stands for. Raises BadSyntax."""
    match = _DATE.fullmatch(text)
    if match is None or match.group(4) is None:
        raise BadSyntax(f"Not a date-time: {text[:40]}")
    day = read_date(text[: match.end(3)])
    offset = timedelta(hours=int(match.group(8)), minutes=int(match.group(9)))
    zone = timezone(-offset if match.group(7) == "-" else offset)
    hour, minute, second = (int(match.group(index)) for index in (4, 5, 6))
    try:
        return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)
    except ValueError as error:
        raise BadSyntax(str(error)) from error


def read_date(text: str) -> date:
    """Return the day that ``1-Jan-2024`` stands for. Raises BadSyntax."""
    match = _DATE.fullmatch(text)
    if match is None or match.group(2).title() not in _MONTHS:
        raise BadSyntax(f"Not a date: {text[:40]}")
    try:
        return date(int(match.group(3)), _MONTHS.index(match.group(2).title()) + 1, int(match.group(1)))
    except ValueError as error:
        raise BadSyntax(str(error)) from error
