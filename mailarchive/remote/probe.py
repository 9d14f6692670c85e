"""Reach a server step by step, to find out at which step it fails."""

import socket
from typing import NamedTuple

from mailarchive.config import Endpoint
from mailarchive.errors import SourceUnreachable
from mailarchive.remote.dial import Timeouts, translated
from mailarchive.remote.imap import connect as imap
from mailarchive.remote.pop3 import connect as pop3
from mailarchive.remote.pop3.wire import Pace
from mailarchive.remote.tls import Certificate


class Greeted(NamedTuple):
    """What a server showed before anybody logged in."""

    capabilities: tuple[str, ...]
    certificate: Certificate | None


def addresses(endpoint: Endpoint) -> list[str]:
    """Return the addresses of a host. Raises SourceUnreachable."""
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SourceUnreachable(
            f"the host name {endpoint.host} cannot be resolved: {error.strerror}",
            hint="check how the host name is written, and the network",
        ) from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def knock(endpoint: Endpoint, timeouts: Timeouts | None = None) -> None:
    """Make a TCP connection and end it. Raises SourceUnreachable."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), (timeouts or Timeouts()).connect):
            pass
    except OSError as error:
        raise translated(error, endpoint) from error


def greet(endpoint: Endpoint, timeouts: Timeouts | None = None) -> Greeted:
    """Connect, with TLS, and be greeted; nobody logs in. Raises SourceUnreachable, TlsFailed, ProtocolViolation."""
    if endpoint.protocol == "pop3":
        maildrop = pop3.connect(endpoint, timeouts or Timeouts(), Pace())
        try:
            return Greeted(tuple(sorted(maildrop.capabilities)), maildrop.wire.certificate)
        finally:
            maildrop.wire.abandon()
    account = imap.connect(endpoint, timeouts or Timeouts())
    try:
        return Greeted(tuple(sorted(account.capabilities)), account.wire.certificate)
    finally:
        account.wire.abandon()
