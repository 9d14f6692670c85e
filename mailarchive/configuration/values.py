"""Sizes and spans of time as people write them."""

import re
from datetime import timedelta

_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([KMGT]?)(I?)B?", re.IGNORECASE)
_SPAN = re.compile(r"(\d{1,5}) *(m|min|h|d|w)")
_MINUTES = {"m": 1, "min": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}


def size_of(value: object) -> int | None:
    """Return the octets of a size like 2GB or 1.5GiB; None if it is none."""
    size = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if size is None or (size[3] and not size[2]):
        return None
    return int(float(size[1]) * (1024 if size[3] else 1000) ** " KMGT".index(size[2].upper() or " ")) or None


def span_of(value: object) -> timedelta | None:
    """Return a span of time like 30m, 1h or 1d; None if it is none."""
    span = _SPAN.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    return timedelta(minutes=int(span[1]) * _MINUTES[span[2]]) or None if span else None


def size_text(octets: int) -> str:
    """Return a size as ``size_of`` reads it."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "KB")):
        if octets % 1000**power == 0:
            return f"{octets // 1000**power}{unit}"
    return f"{octets}B"


def span_text(span: timedelta) -> str:
    """Return a span of time as ``span_of`` reads it."""
    minutes = int(span.total_seconds()) // 60
    for unit in ("w", "d", "h"):
        if minutes % _MINUTES[unit] == 0:
            return f"{minutes // _MINUTES[unit]}{unit}"
    return f"{minutes}m"
