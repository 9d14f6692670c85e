"""Mailbox names between the server's modified UTF-7 and text."""

import binascii
import re
from fnmatch import fnmatchcase

from mailarchive.model import MailboxName

_SHIFTED = re.compile(r"&([^-]*)-")
_BASE64 = re.compile(r"[A-Za-z0-9+,]*", re.ASCII)
_TO_SHIFT = re.compile(r"[^\x20-\x7e]+")


def decode_name(raw: bytes) -> str:
    """Return the text of ``raw``, which should be modified UTF-7 (RFC 3501 section 5.1.3).

    Never raises: names with 8-bit octets are taken as UTF-8 or else Latin-1, and a name
    whose encoding is broken stands for itself.
    """
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        return _decode_8bit(raw)
    try:
        return _SHIFTED.sub(_unshift, text)
    except ValueError:
        return text


def decoded(name: str) -> str:
    """Return the text of a file's name, if it is modified UTF-7 as servers write it, and what it is otherwise."""
    try:
        raw = name.encode("ascii")
        text = decode_name(raw)
        return text if encode_name(text) == raw else name
    except ValueError:
        return name


def encode_name(text: str) -> bytes:
    """Return ``text`` in modified UTF-7. Raises ValueError for a lone surrogate."""
    return _TO_SHIFT.sub(_shift, text.replace("&", "&-")).encode("ascii")


def mailbox_name(raw: bytes, delimiter: str | None) -> MailboxName:
    """Return the name that LIST gave as ``raw``; INBOX is written in capitals (RFC 9051 section 5.1)."""
    if raw.upper() == b"INBOX":
        return MailboxName(("INBOX",), delimiter, b"INBOX")
    if not delimiter:
        return MailboxName((decode_name(raw),), None, raw)
    pieces = raw.split(delimiter.encode("latin-1", "replace"))
    return MailboxName(tuple(decode_name(piece) for piece in pieces), delimiter, raw)


def printed_parts(name: str) -> tuple[str, ...]:
    r"""Return the parts of a name as it is printed: ``/`` stands between them, ``\/`` and ``\\`` within one."""
    return tuple(re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"(?:[^/\\]|\\.)+", name))


def is_named(name: str, glob: str) -> bool:
    """Return whether ``glob`` fits the printed mailbox ``name``; INBOX in any case (RFC 9051 section 5.1)."""
    # To a glob, the brackets of Gmail's mailboxes are a choice of characters.
    return name == glob or fnmatchcase(name, glob) or name.upper() == glob.upper() == "INBOX"


def _decode_8bit(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _unshift(run: re.Match[str]) -> str:
    code = run[1]
    if not code:
        return "&"
    if not _BASE64.fullmatch(code):
        raise ValueError(code)
    octets = binascii.a2b_base64(code.replace(",", "/") + "=" * (-len(code) % 4))
    return octets.decode("utf-16-be")


def _shift(run: re.Match[str]) -> str:
    octets = run[0].encode("utf-16-be")
    return "&" + binascii.b2a_base64(octets, newline=False).decode().rstrip("=").replace("/", ",") + "-"
