"""Asks web servers, under TLS only: small forms out, small answers in."""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from mailarchive import __version__
from mailarchive.errors import ProtocolViolation, SourceError, SourceUnreachable, Stalled, TlsFailed
from mailarchive.remote.tls import verifying_context
from mailarchive.remote.words import printable

SECONDS = 30.0
"""For the connection, and for the whole of an answer."""
LARGEST = 1 << 20
_PIECE = 1 << 16


class Answer(NamedTuple):
    """What a server answered, whatever it means."""

    status: int
    octets: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is sent is a secret: it goes nowhere but where it was meant to go."""

    def redirect_request(self, *_: object) -> None:
        return None


def post(url: str, form: str, ca_file: Path | None = None, seconds: float = SECONDS) -> Answer:
    """Send a form that is encoded already, and return the answer. Errors never show the form.

    Raises SourceUnreachable, Stalled, TlsFailed, ProtocolViolation.
    """
    peer = urlsplit(url).netloc.rpartition("@")[2]
    if urlsplit(url).scheme != "https":
        raise ProtocolViolation(f"{printable(peer)} would be asked without TLS")
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"mailarchive/{__version__}",
    }
    request = urllib.request.Request(url, form.encode(), headers)  # noqa: S310 - the scheme was looked at
    handler = urllib.request.HTTPSHandler(context=verifying_context(ca_file))
    end = time.monotonic() + seconds
    try:
        try:
            with urllib.request.build_opener(handler, _NoRedirect).open(request, timeout=seconds) as opened:
                return Answer(opened.status, _whole(opened, peer, end))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _whole(error, peer, end))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _translated(error, peer) from None


def _whole(stream: IO[bytes], peer: str, end: float) -> bytes:
    """Return all that comes until the moment ``end``."""
    come = b""
    while piece := stream.read(_PIECE):
        come += piece
        if len(come) > LARGEST:
            raise ProtocolViolation(f"{peer} answered with more than {LARGEST} octets")
        if time.monotonic() > end:
            raise Stalled(f"{peer} does not come to the end of its answer")
    return come


def _translated(error: Exception, peer: str) -> SourceError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case ssl.SSLCertVerificationError():
            return TlsFailed(
                f"the certificate of {peer} cannot be trusted: {printable(reason.verify_message)}",
                hint="for a certificate authority of your own there is oauth.ca_file",
            )
        case ssl.SSLError():
            return TlsFailed(f"TLS with {peer} failed: {printable(reason.reason or type(reason).__name__)}")
        case TimeoutError():
            return Stalled(f"{peer} did not answer in time")
        case OSError():
            return SourceUnreachable(f"{peer} cannot be reached: {reason.strerror or type(reason).__name__}")
        case _:
            return ProtocolViolation(f"{peer} did not answer in HTTP: {type(error).__name__}")
