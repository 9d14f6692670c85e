r"""What of a message a target keeps besides its octets: flags, and a date for those that came without; pure.

Flags are never guessed: what the target does not keep (PERMANENTFLAGS, RFC 9051 section 7.1) is left out, and told.
"""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mailarchive.mail import headers
from mailarchive.model import Permanent

_SYSTEM = {flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
"""An atom (RFC 9051 section 9)."""
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def split_flags(
    flags: Iterable[str], permanent: Permanent, never: Collection[str] = ()
) -> tuple[frozenset[str], frozenset[str]]:
    """Return those of ``flags`` that a mailbox keeps, and those that it does not; ``never`` in lower case."""
    kept: set[str] = set()
    dropped: set[str] = set()
    is_told = bool(permanent.flags)
    for flag in flags:
        low = flag.lower()
        if low == "\\recent":
            continue
        is_free = permanent.takes_any and not flag.startswith("\\")
        told = (
            low in permanent.flags if low in _SYSTEM and is_told else is_free or low in permanent.flags | _SYSTEM.keys()
        )
        is_atom = low in _SYSTEM or _KEYWORD.fullmatch(flag.removeprefix("\\"))
        (kept if told and is_atom and low not in never else dropped).add(_SYSTEM.get(low, flag))
    return frozenset(kept), frozenset(dropped)


def date_of(head: bytes) -> datetime | None:
    """Return when a message that has no INTERNALDATE was received, or else written, as its header says; None if not."""
    found = headers.fields(head, ("received", "date"))
    for text in (found.get("received", "").rpartition(";")[2], found.get("date", "")):
        try:
            moment = parsedate_to_datetime(text.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if _EARLIEST <= aware < _LATEST:
            return aware.replace(microsecond=0)
    return None
