"""Makes connections with imapclient, up to the greeting and TLS, and hands them over to our own wire."""

import contextlib
import imaplib
import ssl
from dataclasses import dataclass
from io import BufferedReader
from typing import cast

import imapclient

from mailarchive.config import Endpoint
from mailarchive.errors import ConnectionLost, ProtocolViolation, SourceError, SourceUnreachable
from mailarchive.remote import dial
from mailarchive.remote.imap.wire import Wire
from mailarchive.remote.tls import verifying_context
from mailarchive.remote.words import printable


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that has been greeted, with what the server said it can do before log-in."""

    wire: Wire
    capabilities: frozenset[str]
    authenticated: bool


def connect(endpoint: Endpoint, timeouts: dial.Timeouts) -> Connected:
    """Connect and, if the endpoint says so, start TLS. Raises SourceUnreachable, TlsFailed, ProtocolViolation."""
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
            _start_tls(client, context, endpoint)
        dial.tune(imap.sock, timeouts)
        return _hand_over(imap, dial.peer_of(endpoint))
    except Exception as error:
        if client is not None:
            with contextlib.suppress(Exception):
                client.shutdown()
        translated = _translated(error, endpoint)
        if translated is None or translated is error:
            raise
        raise translated from error


def _start_tls(client: imapclient.IMAPClient, context: ssl.SSLContext, endpoint: Endpoint) -> None:
    if not client.has_capability("STARTTLS"):
        raise dial.no_upgrade(endpoint)
    try:
        client.starttls(context)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise dial.no_upgrade(endpoint, printable(str(error))) from error


def _hand_over(imap: imaplib.IMAP4, peer: str) -> Connected:
    sock = imap.sock
    early = _buffered(imap)
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


def _translated(error: Exception, endpoint: Endpoint) -> SourceError | None:
    """Return our error for one of the socket's, of TLS, of imaplib's or imapclient's; None for a bug."""
    peer = dial.peer_of(endpoint)
    translated: SourceError | None = None
    match error:
        case SourceError():
            translated = error
        case OSError():
            translated = dial.translated(error, endpoint)
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
