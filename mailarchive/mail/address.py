"""Addresses of mailboxes, as SMTP takes them."""

import re
from email.utils import parseaddr

from mailarchive.errors import UsageError

LONGEST, LONGEST_LOCAL, LONGEST_DOMAIN = 254, 64, 255
"""Octets (RFC 5321 section 4.5.3.1): a path may have 256, of which two are < and >."""

_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_ADDRESS = re.compile(
    r"(?P<local>[^\s\x00-\x20\x7f\"(),:;<>@\[\\\]]+)"
    rf"@(?P<domain>{_LABEL}(?:\.{_LABEL})*|\[(?:[0-9.]+|IPv6:[0-9A-Fa-f:.]+)\])"
)


def is_address(text: str) -> bool:
    """Return whether ``text`` is like ``local@domain`` (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

    Quoted local parts, which hardly anybody has, are not taken.
    """
    match = _ADDRESS.fullmatch(text)
    return (
        match is not None
        and text.isprintable()
        and "" not in match["local"].split(".")
        and all(
            _octets(part) <= most
            for part, most in ((text, LONGEST), (match["local"], LONGEST_LOCAL), (match["domain"], LONGEST_DOMAIN))
        )
    )


def address(text: str, option: str) -> str:
    """Return the address that an option names, without spaces around it. Raises UsageError."""
    found = text.strip()
    if not is_address(found):
        raise UsageError(f"{option} {text!r} is not an address", hint=_hint(found))
    return found


def _hint(text: str) -> str:
    inner = parseaddr(text)[1]
    if inner != text and is_address(inner):
        return f"write only the address: {inner}"
    return "write it like me@example.org"


def _octets(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
