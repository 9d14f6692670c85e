"""Names from servers as file names: reversible where they fit, and safe on every file system."""

import hashlib
import re
from urllib.parse import quote

LONGEST = 200
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|%\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|COM\d|LPT\d)(?:\..*)?\Z", re.IGNORECASE)


def path_name(name: str) -> str:
    """Return ``name`` with what a file name must not have percent-encoded, and cut to LONGEST octets.

    A cut name ends in a hash of the whole, so that two names never become one.
    """
    safe = _UNSAFE.sub(lambda match: quote(match[0].encode("utf-8", "surrogatepass"), safe=""), name)
    if safe[:1] in {".", " ", "-"} or _RESERVED.match(safe):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if safe[-1:] in {".", " "}:
        safe = f"{safe[:-1]}%{ord(safe[-1]):02X}"
    octets = safe.encode("utf-8")
    if not octets:
        return "%"
    if len(octets) <= LONGEST:
        return safe
    return (
        octets[: LONGEST - 18].decode("utf-8", "ignore")
        + "~"
        + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]
    )
