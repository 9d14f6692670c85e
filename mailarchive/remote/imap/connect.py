"""Makes connections with imapclient, up to the greeting and TLS, and hands them over to our own wire."""

import contextlib
import imaplib
import socket
import ssl
from dataclasses import dataclass
from io import BufferedReader
from typing import cast

import imapclient

from mailarchive.config import Endpoint
from mailarchive.errors import ConnectionLost, ProtocolViolation, SourceError, SourceUnreachable, TlsFailed
from mailarchive.remote.imap.wire import Wire
from mailarchive.remote.imap.words import printable
from mailarchive.remote.tls import verifying_context

CONNECT_SECONDS = 30.0
STALL_SECONDS = 60.0
"""How long the server may send nothing; not a limit on the whole of anything."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for the connection to be made, and for the next octet to arrive."""

    connect: float = CONNECT_SECONDS
    stall: float = STALL_SECONDS


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that has been greeted, with what the server said it can do before log-in."""

    wire: Wire
    capabilities: frozenset[str]
    authenticated: bool


def connect(endpoint: Endpoint, timeouts: Timeouts) -> Connected:
    """Connect and, if the endpoint says so, start TLS. Raises SourceUnreachable, TlsFailed, ProtocolViolation."""
    peer = f"{endpoint.host}:{endpoint.port}"
    context = verifying_context(endpoint.ca_file)
    client = None
    try:
        client = imapclient.IMAPClient(
            endpoint.host,
            endpoint.port,
            ssl=endpoint.security == "tls",
            ssl_context=context,
            timeout=imapclient.SocketTimeout(timeouts.connect, timeouts.stall),
        )
        imap: imaplib.IMAP4 = client._imap  # noqa: SLF001 - imapclient shows neither the log level nor the buffer
        # imapclient makes imaplib log every line, log-ins among them.
        imap.debug = 0
        if endpoint.security == "starttls":
            _start_tls(client, context, peer)
        return _hand_over(imap, peer)
    except Exception as error:
        if client is not None:
            with contextlib.suppress(Exception):
                client.shutdown()
        translated = _translated(error, peer)
        if translated is None or translated is error:
            raise
        raise translated from error


def _start_tls(client: imapclient.IMAPClient, context: ssl.SSLContext, peer: str) -> None:
    if not client.has_capability("STARTTLS"):
        raise TlsFailed(
            f"{peer} does not offer STARTTLS",
            hint="try imaps:// (port 993), where the connection is encrypted from the beginning",
        )
    try:
        client.starttls(context)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise TlsFailed(
            f"{peer} refused STARTTLS: {printable(str(error))}",
            hint="try imaps:// (port 993), where the connection is encrypted from the beginning",
        ) from error


def _hand_over(imap: imaplib.IMAP4, peer: str) -> Connected:
    sock = imap.sock
    early = _buffered(imap)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    capabilities = frozenset(str(word).upper() for word in imap.capabilities)
    return Connected(Wire(sock, peer, early), capabilities, imap.state == "AUTH")


def _buffered(imap: imaplib.IMAP4) -> bytes:
    """Take the octets that imaplib has read from the socket and not used."""
    if hasattr(imap, "_readbuf"):
        # Python 3.14 keeps its own list instead of a buffered file.
        return b"".join(imap._readbuf)  # noqa: SLF001 - there is no public way to them
    buffered = cast("BufferedReader", imap.file)
    patience = imap.sock.gettimeout()
    imap.sock.settimeout(0)
    try:
        octets = buffered.read1(1 << 20)
    except (BlockingIOError, ssl.SSLWantReadError):
        octets = b""
    finally:
        imap.sock.settimeout(patience)
        # The file would keep the descriptor open after the socket is closed.
        buffered.close()
    return octets or b""


def _translated(error: Exception, peer: str) -> SourceError | None:
    """Return our error for one of the socket's, of TLS, of imaplib's or imapclient's; None for a bug."""
    translated: SourceError | None = None
    match error:
        case SourceError():
            translated = error
        case ssl.SSLCertVerificationError():
            translated = TlsFailed(f"the certificate of {peer} cannot be trusted: {printable(error.verify_message)}")
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            translated = SourceUnreachable(f"{peer} ended the connection while TLS was being set up")
        case ssl.SSLError():
            translated = TlsFailed(
                f"TLS with {peer} failed: {printable(error.reason or type(error).__name__)}",
                hint="check the port: imaps:// usually has 993; port 143 is for imap:// with STARTTLS",
            )
        case TimeoutError():
            translated = SourceUnreachable(f"{peer} did not answer in time")
        case OSError():
            translated = SourceUnreachable(f"{peer} cannot be reached: {error.strerror or type(error).__name__}")
        case imaplib.IMAP4.abort():
            translated = SourceUnreachable(
                f"{peer} ended the connection or does not speak IMAP: {printable(str(error))}"
            )
        case imaplib.IMAP4.error():
            translated = _not_greeted(error.args[0] if error.args else "", peer)
        case UnicodeError():
            translated = ProtocolViolation(f"{peer} does not speak IMAP: its greeting is not ASCII")
    return translated


def _not_greeted(words: object, peer: str) -> SourceError:
    """Return the error for a first line that is no welcome (RFC 9051 section 7.1.5)."""
    if isinstance(words, bytes) and words[:5].upper() == b"* BYE":
        return ConnectionLost(f"{peer} turned the connection away: {printable(words[5:])}")
    return ProtocolViolation(f"{peer} does not speak IMAP4rev1: {printable(str(words))}")
