"""Finds out whether a server of mail is at a place, without telling it anything."""

import socket

from mailarchive.config import Endpoint
from mailarchive.errors import SourceError
from mailarchive.remote.dial import Timeouts, dial
from mailarchive.remote.discovery.names import is_known
from mailarchive.remote.discovery.network import Network

_GREETINGS = {"imap": (b"* OK", b"* PREAUTH"), "pop3": (b"+OK",)}
"""RFC 9051 section 7.1, RFC 1939 section 4."""
_LONGEST = 64


def greets(endpoint: Endpoint, network: Network) -> bool:
    """Return whether a server greets as the protocol wants, its certificate verified where TLS comes first."""
    if not is_known(endpoint.host, network):
        return False
    try:
        sock = dial(endpoint, Timeouts(network.seconds, network.seconds))
    except SourceError:
        return False
    with sock:
        return _beginning(sock).upper().startswith(_GREETINGS[endpoint.protocol])


def _beginning(sock: socket.socket) -> bytes:
    octets = b""
    try:
        while b"\n" not in octets and len(octets) < _LONGEST and (more := sock.recv(_LONGEST)):
            octets += more
    except OSError:
        return b""
    return octets
