"""Line ends of a message: which kind it has, and the way to LF and back."""

from collections.abc import Iterable, Iterator

from mailarchive.model import Eol


class EolScanner:
    """Finds out the line ends of a message that comes in pieces."""

    __slots__ = ("_cr", "_crlf", "_last", "_lf")

    def __init__(self) -> None:
        self._cr = self._lf = self._crlf = 0
        self._last = b""

    def feed(self, octets: bytes) -> None:
        """Take the next piece."""
        self._lf += octets.count(b"\n")
        self._cr += octets.count(b"\r")
        self._crlf += octets.count(b"\r\n")
        if self._last == b"\r" and octets.startswith(b"\n"):
            self._crlf += 1
        self._last = octets[-1:] or self._last

    @property
    def eol(self) -> Eol:
        """``crlf`` if every CR and LF is part of a CRLF, ``lf`` if there is no CR, else ``mixed``."""
        if self._cr == 0:
            return "lf"
        return "crlf" if self._cr == self._lf == self._crlf else "mixed"

    @property
    def final(self) -> bool:
        """Whether the message ends with a line end."""
        return self._last == b"\n"


def lf_text(octets: bytes) -> tuple[bytes, Eol]:
    """Return a whole message with its line ends made LF if all are CRLF, else as it is, and which they are."""
    if b"\r" not in octets:
        return octets, "lf"
    text = octets.translate(None, b"\r")
    return (text, "crlf") if to_crlf(text) == octets else (octets, "mixed")


def to_lf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield ``chunks`` with each CRLF made LF, also one that lies across two chunks."""
    held = b""
    for chunk in chunks:
        octets = held + chunk
        held = octets[-1:] if octets.endswith(b"\r") else b""
        yield octets[: len(octets) - len(held)].replace(b"\r\n", b"\n")
    if held:
        yield held


def to_crlf(octets: bytes) -> bytes:
    """Return ``octets`` with each LF made CRLF."""
    return octets.replace(b"\n", b"\r\n")
