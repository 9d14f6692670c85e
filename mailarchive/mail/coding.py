"""How a message becomes the text that is stored of it, and comes back: what each layout's coding must do."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Protocol

from mailarchive.model import Eol


class Coding(Protocol):
    """Makes entries of messages and back, exactly. ``final``: the message ends with a line end."""

    def encode(self, text: bytes, *, final: bool, date: datetime | None) -> bytes:
        """Return the entry of a message given as ``eol.lf_text`` returns it."""

    def encode_stream(
        self, chunks: Iterable[bytes], eol: Eol, *, final: bool, date: datetime | None
    ) -> Iterator[bytes]:
        """Yield the entry of the message ``chunks`` in pieces."""

    def decode(self, entry: bytes, eol: Eol, *, final: bool) -> bytes:
        """Return the exact octets of the message of which ``entry`` was made."""

    def decode_at(self, text: bytes, start: int, length: int, eol: Eol, *, final: bool) -> bytes | None:
        """Return the exact octets of the message that ``text``, a whole block, has there; None if it ends before."""

    def decode_stream(self, chunks: Iterable[bytes], eol: Eol, *, final: bool) -> Iterator[bytes]:
        """Yield the exact octets of the message of which the entry ``chunks`` was made."""

    def head(self, entry: bytes) -> bytes:
        """Return the text of a message of which ``entry`` is the beginning, with the line ends that are stored."""
