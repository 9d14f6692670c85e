"""Makes connections: the socket, TLS, time-outs, and whatever goes wrong on the way as an error of ours."""

import contextlib
import socket
import ssl
from typing import NamedTuple

from mailarchive.config import Endpoint, default_port, has_tls_from_the_beginning, is_local_socket
from mailarchive.errors import SourceError, SourceUnreachable, TlsFailed
from mailarchive.remote.tls import verifying_context
from mailarchive.remote.words import printable

CONNECT_SECONDS = 30.0
STALL_SECONDS = 60.0
"""How long the server may send nothing; not a limit on the whole of anything."""

_UPGRADES = {"imap": "STARTTLS", "pop3": "STLS", "smtp": "STARTTLS", "lmtp": "STARTTLS"}


class Timeouts(NamedTuple):
    """Seconds for the connection to be made, and for the next octet to arrive."""

    connect: float = CONNECT_SECONDS
    stall: float = STALL_SECONDS


def peer_of(endpoint: Endpoint) -> str:
    """Return what the server is called in errors."""
    return endpoint.host if is_local_socket(endpoint) else f"{endpoint.host}:{endpoint.port}"


def dial(endpoint: Endpoint, timeouts: Timeouts) -> socket.socket:
    """Connect, with TLS if that comes first. Raises SourceUnreachable, TlsFailed."""
    try:
        sock = _local(endpoint.host, timeouts) if is_local_socket(endpoint) else _connected(endpoint, timeouts)
    except OSError as error:
        raise translated(error, endpoint) from error
    if endpoint.security == "tls":
        sock = secured(sock, endpoint)
    tune(sock, timeouts)
    return sock


def _connected(endpoint: Endpoint, timeouts: Timeouts) -> socket.socket:
    return socket.create_connection((endpoint.host, endpoint.port), timeouts.connect)


def _local(path: str, timeouts: Timeouts) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeouts.connect)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def secured(sock: socket.socket, endpoint: Endpoint) -> socket.socket:
    """Return ``sock`` with TLS, the server's certificate verified. Raises TlsFailed, SourceUnreachable."""
    try:
        return verifying_context(endpoint.ca_file).wrap_socket(sock, server_hostname=endpoint.host)
    except (OSError, TlsFailed) as error:
        with contextlib.suppress(OSError):
            sock.close()
        if isinstance(error, TlsFailed):
            raise
        raise translated(error, endpoint) from error


def tune(sock: socket.socket, timeouts: Timeouts) -> None:
    """Set what a connection wants that lasts."""
    sock.settimeout(timeouts.stall)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def translated(error: OSError, endpoint: Endpoint) -> SourceError:
    """Return our error for one of the socket's or of TLS."""
    peer = peer_of(endpoint)
    match error:
        case ssl.SSLCertVerificationError():
            return TlsFailed(f"the certificate of {peer} cannot be trusted: {printable(error.verify_message)}")
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return SourceUnreachable(f"{peer} ended the connection while TLS was being set up")
        case ssl.SSLError():
            return TlsFailed(
                f"TLS with {peer} failed: {printable(error.reason or type(error).__name__)}", hint=_ports(endpoint)
            )
        case TimeoutError():
            return SourceUnreachable(f"{peer} did not answer in time")
        case _:
            hint = "check the path, and whether the server is running" if is_local_socket(endpoint) else ""
            return SourceUnreachable(f"{peer} cannot be reached: {error.strerror or type(error).__name__}", hint=hint)


def no_upgrade(endpoint: Endpoint, refusal: str = "") -> TlsFailed:
    """Return the error for a server that does not offer, or with these words refuses, to start TLS."""
    protocol = endpoint.protocol
    verb = "refused" if refusal else "does not offer"
    words = f": {refusal}" if refusal else ""
    hint = "leave out --starttls only if nobody can listen on the way"
    if has_tls_from_the_beginning(protocol):
        hint = (
            f"try {protocol}s:// (port {default_port(protocol + 's')}), where the connection is encrypted "
            "from the beginning"
        )
    return TlsFailed(f"{peer_of(endpoint)} {verb} {_UPGRADES[protocol]}{words}", hint=hint)


def _ports(endpoint: Endpoint) -> str:
    protocol = endpoint.protocol
    if not has_tls_from_the_beginning(protocol):
        return f"check the port: {protocol}:// usually has {default_port(protocol)}"
    return (
        f"check the port: {protocol}s:// usually has {default_port(protocol + 's')}; "
        f"port {default_port(protocol)} is for {protocol}:// with {_UPGRADES[protocol]}"
    )
