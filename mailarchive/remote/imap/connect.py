"""Makes connections with imapclient, up to the greeting and TLS, and hands them over to our own wire."""

import contextlib
import imaplib
import ssl
from io import BufferedReader
from typing import NamedTuple, cast

import imapclient
from imapclient.imap4 import IMAP4WithTimeout
from imapclient.tls import IMAP4_TLS

from mailarchive.config import Endpoint
from mailarchive.errors import ProtocolViolation, SourceError, SourceUnreachable
from mailarchive.remote import dial, throttling
from mailarchive.remote.imap.responses import read_status
from mailarchive.remote.imap.wire import Wire
from mailarchive.remote.tls import verifying_context
from mailarchive.remote.words import printable

_LONGEST_GREETING = 1 << 20
"""Octets up to log-in; imaplib keeps all of them."""


class Connected(NamedTuple):
    """A connection that has been greeted, with what the server said it can do before log-in."""

    wire: Wire
    capabilities: frozenset[str]
    authenticated: bool


def connect(endpoint: Endpoint, timeouts: dial.Timeouts) -> Connected:
    """Connect and, if the endpoint says so, start TLS. Raises SourceUnreachable, TlsFailed, ProtocolViolation."""
    # Reading the system's authorities takes longer than all else before log-in.
    context = None if endpoint.security == "plain" else verifying_context(endpoint.ca_file)
    client = None
    try:
        client = _Client(
            endpoint.host,
            endpoint.port,
            ssl=endpoint.security == "tls",
            ssl_context=context,
            timeout=imapclient.SocketTimeout(timeouts.connect, timeouts.stall),
        )
        imap: imaplib.IMAP4 = client._imap  # noqa: SLF001 - imapclient shows neither the log level nor the buffer
        # imapclient makes imaplib log every line, log-ins among them.
        imap.debug = 0
        if endpoint.security == "starttls" and context is not None:
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


class _Brief(imaplib.IMAP4):
    """Does not read for ever: what comes before log-in is short."""

    _come = 0

    def read(self, size: int) -> bytes:
        self._count(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._count(len(line))
        return line

    def _count(self, octets: int) -> None:
        self._come += octets
        if self._come > _LONGEST_GREETING:
            raise ProtocolViolation(f"{self.host}:{self.port} does not come to the end of its greeting")


class _BriefPlain(_Brief, IMAP4WithTimeout):  # type: ignore[misc]  # imapclient has no types
    pass


class _BriefTls(_Brief, IMAP4_TLS):  # type: ignore[misc]  # imapclient has no types
    pass


class _Client(imapclient.IMAPClient):  # type: ignore[misc]  # imapclient has no types
    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - imapclient's name
        if self.ssl:
            return _BriefTls(self.host, self.port, self.ssl_context, self._timeout.connect)  # type: ignore[call-arg]
        return _BriefPlain(self.host, self.port, self._timeout.connect)


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
            words = printable(str(error))
            translated = throttling.demand(peer, "BYE", "", words) or SourceUnreachable(
                f"{peer} ended the connection or does not speak IMAP: {words}"
            )
        case imaplib.IMAP4.error():
            translated = _not_greeted(error.args[0] if error.args else "", peer)
        case UnicodeError():
            translated = ProtocolViolation(f"{peer} does not speak IMAP: its greeting is not ASCII")
    return translated


def _not_greeted(words: object, peer: str) -> SourceError | None:
    """Return the error for a first line that is no welcome (RFC 9051 section 7.1.5)."""
    if isinstance(words, bytes) and words[:5].upper() == b"* BYE":
        said = read_status(b"BYE", words[5:])
        return throttling.demand(peer, "BYE", said.code, said.words, of_account=True)
    return ProtocolViolation(f"{peer} does not speak IMAP4rev1: {printable(str(words))}")
