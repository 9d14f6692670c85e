"""A message as a file of its own: its text and nothing else, with LF line ends where all are CRLF."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from mailarchive.mail.eol import to_crlf, to_lf
from mailarchive.model import Eol


def encode(text: bytes, *, final: bool, date: datetime | None) -> bytes:  # noqa: ARG001 - as Coding has it
    """Return ``text``."""
    return text


def encode_stream(
    chunks: Iterable[bytes],
    eol: Eol,
    *,
    final: bool,  # noqa: ARG001 - as Coding has it
    date: datetime | None,  # noqa: ARG001
) -> Iterator[bytes]:
    """Yield the text in pieces about as large as ``chunks``."""
    yield from to_lf(chunks) if eol == "crlf" else chunks


def decode(entry: bytes, eol: Eol, *, final: bool) -> bytes:  # noqa: ARG001 - as Coding has it
    """Return the exact octets of the message whose text is ``entry``."""
    return to_crlf(entry) if eol == "crlf" else entry


def decode_at(text: bytes, start: int, length: int, eol: Eol, *, final: bool) -> bytes:  # noqa: ARG001
    """Return the exact octets of the message whose text is ``text``: a block has one message, and nothing else."""
    return decode(text, eol, final=final)


def decode_stream(chunks: Iterable[bytes], eol: Eol, *, final: bool) -> Iterator[bytes]:
    """Yield the exact octets of the message whose text is ``chunks``."""
    return (decode(chunk, eol, final=final) for chunk in chunks)


def head(entry: bytes) -> bytes:
    """Return ``entry``."""
    return entry
