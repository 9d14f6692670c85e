"""Header fields for people: decoding that takes anything and never fails (RFC 5322 section 2.2, RFC 2047)."""

import re
from collections.abc import Collection
from email.errors import HeaderParseError
from email.header import decode_header

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_END = re.compile(rb"(?:\A|\n)\r?\n")


def fields(octets: bytes, names: Collection[str]) -> dict[str, str]:
    """Return the first field of each of ``names`` (lower case) in the header of a message, decoded and on one line."""
    end = _END.search(octets)
    found: dict[str, str] = {}
    for match in _FIELD.finditer(octets[: end.start() + 1] if end else octets):
        name = match[1].decode("ascii").lower()
        if name in names and name not in found:
            found[name] = decode(match[2])
            if len(found) == len(names):
                break
    return found


def decode(value: bytes) -> str:
    """Return an unfolded and decoded field value; what cannot be decoded is shown with replacement characters."""
    line = b" ".join(value.split())
    if b"=?" not in line:
        return text(line, "utf-8")
    try:
        pieces = decode_header(line.decode("latin-1"))
    except (HeaderParseError, ValueError):
        return text(line, "utf-8")
    return (
        "".join(piece if isinstance(piece, str) else text(piece, charset or "utf-8") for piece, charset in pieces)
        .encode("utf-8", "replace")
        .decode("utf-8")
    )


def text(octets: bytes, charset: str) -> str:
    """Decode by ``charset``, whatever a sender may call that."""
    try:
        return octets.decode(charset)
    except (LookupError, ValueError):
        try:
            return octets.decode("utf-8")
        except ValueError:
            return octets.decode("latin-1")
