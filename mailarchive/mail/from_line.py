"""The lines that separate messages in an mbox, whoever wrote it (RFC 4155 appendix A, and what there is besides)."""

import re
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_DATED = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d{1,2}:\d{2}.*(?:19|20)\d{2}"
    rb"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*(?:19|20)\d{2}.*\d{1,2}:\d{2}"
    rb"|(?:19|20)\d{2}-\d{2}-\d{2}[ T]\d{2}:\d{2}"
)
_ASCTIME = re.compile(
    rb"From \S* *(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    rb" [ \d]?\d \d{2}:\d{2}(?::\d{2})?(?: [-+A-Z][-+\w]*)? \d{4}\s*\Z"
)
_MONTH = re.compile(rb"\b(" + b"|".join(_MONTHS) + rb")\b")
_DAY = re.compile(rb"\b(\d{1,2})(?!\d|:|\d*-)")
_TIME = re.compile(rb"\b(\d{1,2}):(\d{2})(?::(\d{2}))?")
_YEAR = re.compile(rb"\b((?:19|20)\d{2})\b")
_ZONE = re.compile(rb"([-+])(\d{2})(\d{2})\b")
_NAMED_ZONE = re.compile(rb"\b(EST|EDT|CST|CDT|MST|MDT|PST|PDT|CET|CEST)\b")
_HOURS = {b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5, b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7}
"""The zones of RFC 5322 section 4.3."""
_HOURS |= {b"CET": 1, b"CEST": 2}
_ISO = re.compile(rb"((?:19|20)\d{2})-(\d{2})-(\d{2})[ T]")
LONGEST = 1024


def separates(line: bytes, *, after_empty_line: bool) -> bool:
    """Return whether a line that begins with ``From `` begins a message, and is not a sentence of one."""
    return bool(_ASCTIME.match(line)) or (after_empty_line and bool(_DATED.search(line)))


def date_of(line: bytes) -> datetime | None:
    """Return when the message came, in UTC if the line has no zone; None if it does not tell."""
    iso, time = _ISO.search(line), _TIME.search(line)
    if time is None:
        return None
    hour, minute, second = (int(part or 0) for part in time.groups())
    try:
        if iso:
            year, month, day = map(int, iso.groups())
        else:
            rest = line[: time.start()] + b" " + line[time.end() :]
            name, years = _MONTH.search(rest), _YEAR.findall(rest)
            number = _DAY.search(rest, name.end()) or _DAY.search(rest) if name else None
            if name is None or number is None or not years:
                return None
            year, month, day = int(years[-1]), _MONTHS.index(name[1]) + 1, int(number[1])
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=_zone(line[time.end() :]))
    except ValueError:
        return None


def _zone(rest: bytes) -> timezone:
    match, named = _ZONE.search(rest), _NAMED_ZONE.search(rest)
    if match is None:
        return timezone(timedelta(hours=_HOURS[named[1]])) if named else UTC
    minutes = int(match[2]) * 60 + int(match[3])
    return timezone(timedelta(minutes=-minutes if match[1] == b"-" else minutes)) if minutes < 24 * 60 else UTC
