"""The socket below a session: octets in and out, every failure translated, cut by any thread."""

import contextlib
import io
import selectors
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mailarchive.errors import ConnectionLost, ProtocolViolation, Stalled
from mailarchive.remote.compression import Throughput
from mailarchive.remote.deflate import Deflated
from mailarchive.remote.tls import Certificate, certificate_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_SLICE = 1 << 17
"""Octets that must be on their way within the socket's time-out."""
_PATIENCE = 5.0
"""Seconds that ``cut`` waits for another thread to leave a system call it has just been thrown out of."""


class Transport(io.RawIOBase):
    """A connected socket as a raw stream. ``peer`` names the server in errors.

    ``early`` are octets that were read from the socket before. Reading and sending raise
    ConnectionLost, or Stalled when not one octet moves within the socket's time-out; after ``compress`` reading may
    raise ProtocolViolation. ``throughput`` is told how long each read from the socket took, if it is set.
    """

    def __init__(self, sock: socket.socket, peer: str, early: bytes = b"") -> None:
        super().__init__()
        self._sock = sock
        self._peer = peer
        self._early = early
        self.throughput: Throughput | None = None
        self._deflated: Deflated | None = None
        self._is_held = False
        self._cut = False
        self._in_call = threading.Lock()

    @property
    def certificate(self) -> Certificate | None:
        """What the server showed when TLS was set up; None without TLS."""
        return certificate_of(self._sock)

    @property
    def has_more(self) -> bool:
        """Whether octets have arrived that nobody has read from the socket."""
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(self._sock, selectors.EVENT_READ)
            except (OSError, ValueError):  # it was cut
                return False
            return bool(selector.select(0))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if self._deflated is not None:
            return self._inflate(self._deflated, memoryview(buffer))
        if self._is_held:
            raise BlockingIOError
        if self._early:
            return self._read_early(memoryview(buffer))
        return self._receive(buffer)

    def readinto_within(self, buffer: "WriteableBuffer", seconds: float) -> int | None:
        """Read like ``readinto``; return None if nothing comes within ``seconds``."""
        patience = self._sock.gettimeout()
        try:
            self._sock.settimeout(seconds)
        except OSError as error:
            raise self._lost(error) from error
        try:
            return self.readinto(buffer)
        except Stalled:
            return None
        finally:
            with contextlib.suppress(OSError):
                self._sock.settimeout(patience)

    def send(self, octets: "ReadableBuffer") -> None:
        """Send all of ``octets``."""
        with self._in_call:
            if self._cut:
                raise ConnectionLost(f"the connection to {self._peer} was closed")
            if self._deflated is not None:
                octets = self._deflated.packed(octets)
            view = memoryview(octets)
            try:
                for start in range(0, len(view), _SLICE):
                    self._sock.sendall(view[start : start + _SLICE])
            except TimeoutError as error:
                raise self._stalled() from error
            except OSError as error:
                raise self._lost(error) from error

    def compress(self, above: "io.BufferedReader[Transport]", doubt: Callable[[], None]) -> None:
        """Read and send raw deflate from now on (RFC 4978 section 4).

        What ``above``, a reader of this stream, holds is compressed already, and is taken out of it. ``doubt`` is
        called if the server turns out not to master it.
        """
        early = b""
        self._is_held = True
        with contextlib.suppress(BlockingIOError):
            early = above.read1()
        self._is_held = False

        def doubt_unless_cut() -> None:
            if not self._cut:
                doubt()

        self._deflated = Deflated(self._receive, self._peer, early + self._early, doubt_unless_cut)
        self._early = b""

    def cut(self) -> None:
        """End the connection at once, from any thread: who is reading gets ConnectionLost. Never raises."""
        self._cut = True
        with contextlib.suppress(OSError):
            # SSLSocket.shutdown would drop the TLS layer under a thread that is reading.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        if self._in_call.acquire(timeout=_PATIENCE):
            with contextlib.suppress(OSError):
                self._sock.close()
            self._in_call.release()

    def close(self) -> None:
        if not self.closed:
            self.cut()
        super().close()

    def _receive(self, buffer: "WriteableBuffer") -> int:
        throughput = self.throughput
        began = 0.0 if throughput is None else throughput.moment()
        with self._in_call:
            if self._cut:
                raise ConnectionLost(f"the connection to {self._peer} was closed")
            try:
                size = self._sock.recv_into(buffer)
            except TimeoutError as error:
                raise self._stalled() from error
            except OSError as error:
                raise self._lost(error) from error
        if throughput is not None:
            throughput.came(size, throughput.moment() - began)
        return size

    def _inflate(self, deflated: Deflated, buffer: memoryview) -> int:
        try:
            return deflated.readinto(buffer)
        except ProtocolViolation:
            self.cut()
            raise

    def _read_early(self, buffer: memoryview) -> int:
        octets = self._early[: len(buffer)]
        buffer[: len(octets)] = octets
        self._early = self._early[len(octets) :]
        return len(octets)

    def _stalled(self) -> Stalled:
        return Stalled(f"{self._peer} sent nothing for {self._sock.gettimeout() or 0:.0f} seconds")

    def _lost(self, error: OSError) -> ConnectionLost:
        return ConnectionLost(f"the connection to {self._peer} was lost: {error.strerror or type(error).__name__}")
