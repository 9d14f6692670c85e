"""Values as text for people and programs: escaping, sizes, dates, tables, JSON."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

Align = Literal["<", ">"]

_JOINERS = "\u200c\u200d"
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def clean(text: str) -> str:
    """Return ``text`` as one line that cannot command a terminal.

    Control characters, line ends, bidirectional overrides and other invisible format characters,
    and lone surrogates are written as escapes; joiners, which emoji need, stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) for char in text)


def clean_lines(text: str) -> str:
    """Return ``text`` with its lines kept and each line cleaned; tabs become spaces."""
    return "\n".join(clean(line.removesuffix("\r").expandtabs()) for line in text.split("\n"))


def _escaped(char: str) -> str:
    if char in _JOINERS or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return char
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char) or ascii(char)[1:-1]


def size(octets: int) -> str:
    """Return a number of octets for people, like ``12.3 MiB``; powers of 1024."""
    if octets < 1024:
        return f"{octets} B"
    number = float(octets)
    unit = ""
    for unit in _UNITS:  # noqa: B007 - the last unit serves whatever is larger
        number /= 1024
        if number < 1023.95:
            break
    return f"{number:.1f} {unit}"


def decimal_size(octets: int) -> str:
    """Return a number of octets as providers state their limits, like ``2.5 GB``; powers of 1000."""
    number, unit = float(octets), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if number < 999.95 or unit == "TB":
            break
        number /= 1000
    return f"{number:.1f} {unit}" if unit != "B" else f"{octets} B"


def count(number: int) -> str:
    """Return a whole number with thousands set apart."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, like ``1 message``, ``2,000 messages``, ``0 mailboxes``."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}{'es' if noun.endswith('x') else 's'}"


def when(moment: datetime | None) -> str:
    """Return a moment in local time to the minute, or ``-``."""
    if moment is None:
        return "-"
    try:
        return moment.astimezone().strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError):
        return moment.strftime("%Y-%m-%d %H:%M")


def iso(moment: datetime | None) -> str | None:
    """Return a moment for JSON (RFC 3339), or None."""
    return None if moment is None else moment.isoformat()


def seconds(duration: float) -> str:
    """Return a duration in seconds for people, like ``2.3 s`` or ``1:02:03``."""
    if duration < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(int(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def width(text: str) -> int:
    """Return how many columns a terminal uses for ``text``."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or char in _JOINERS or unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Return ``text`` cut to at most ``columns`` columns, with an ellipsis where something is missing."""
    if width(text) <= columns:
        return text
    kept: list[str] = []
    left = columns - 1
    for char in text:
        left -= _columns(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…"


def pad(text: str, columns: int, align: Align = "<") -> str:
    """Return ``text`` filled with spaces to ``columns`` columns."""
    fill = " " * max(0, columns - width(text))
    return text + fill if align == "<" else fill + text


def table(header: Sequence[str], rows: Iterable[Sequence[str]], aligns: str) -> list[str]:
    """Return the lines of an aligned table; ``aligns`` has one ``<`` or ``>`` a column. Cells are cleaned here."""
    cells = [list(header), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            pad(cell, columns, ">" if align == ">" else "<")
            for cell, columns, align in zip(row, widths, aligns, strict=True)
        ).rstrip()
        for row in cells
    ]


def dump(value: object) -> str:
    """Return ``value`` as one line of JSON in ASCII."""
    return json.dumps(value, ensure_ascii=True, separators=(", ", ": "))
