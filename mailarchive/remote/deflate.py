"""Raw deflate in both directions over a connection (RFC 4978 section 4), in bounded memory whatever comes."""

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from mailarchive.errors import ConnectionLost, ProtocolViolation

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ROOM = 1 << 16
_MOST_AT_ONCE = 1 << 20
"""Octets that are inflated at a time: some thousand times as many may be waiting in a few that came."""
_PROVEN = 1 << 20
_RAW = -zlib.MAX_WBITS


class Deflated:
    """What is above a connection once it is compressed. Not thread-safe in either direction.

    ``receive`` fills a buffer with what comes, as ``readinto`` does; ``early`` are octets that came before. ``doubt``
    is called when the server seems not to master it: its octets are no deflate stream, or they end before they have
    brought anything worth mentioning.
    """

    def __init__(
        self, receive: Callable[[memoryview], int], peer: str, early: bytes, doubt: Callable[[], None]
    ) -> None:
        self._receive = receive
        self._peer = peer
        self._doubt = doubt
        self._room = memoryview(bytearray(_ROOM))
        self._come: bytes | memoryview = early
        self._inflated = 0
        self._inflater = zlib.decompressobj(_RAW)
        self._deflater = zlib.compressobj(wbits=_RAW)

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer`` with at least one octet; return 0 at the end of the stream.

        Raises ProtocolViolation for octets that cannot be inflated, and what ``receive`` raises.
        """
        most = min(len(buffer), _MOST_AT_ONCE)
        # Without anything to feed it the inflater gives what it had no room for the last time.
        while not (octets := self._inflate(most)):
            if self._inflater.eof or not self._more():
                self._ended()
                return 0
        buffer[: len(octets)] = octets
        self._inflated += len(octets)
        return len(octets)

    def packed(self, octets: "ReadableBuffer") -> bytes:
        """Return what to send, so that the other side can read all of ``octets``."""
        return self._deflater.compress(octets) + self._deflater.flush(zlib.Z_SYNC_FLUSH)

    def _inflate(self, most: int) -> bytes:
        try:
            octets = self._inflater.decompress(self._come, most)
        except zlib.error as error:
            self._doubt()
            raise ProtocolViolation(f"{self._peer} sent compressed octets that cannot be read") from error
        self._come = self._inflater.unconsumed_tail
        return octets

    def _more(self) -> bool:
        """Wait for octets; return False at their end."""
        try:
            size = self._receive(self._room)
        except ConnectionLost:
            self._ended()
            raise
        self._come = self._room[:size]
        return size > 0

    def _ended(self) -> None:
        if self._inflated < _PROVEN:
            self._doubt()
