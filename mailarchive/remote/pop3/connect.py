"""Makes connections to POP3 servers, up to the greeting and TLS (RFC 2595), and asks what the server can do."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailarchive.config import Endpoint
from mailarchive.errors import ConnectionLost, ProtocolViolation
from mailarchive.remote import dial, throttling
from mailarchive.remote.pop3.wire import Pace, Wire
from mailarchive.remote.words import printable

Capabilities = Mapping[str, str]
"""Names and arguments, in capitals (RFC 2449); none if the server does not know CAPA."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that has been greeted with these words."""

    wire: Wire
    greeting: bytes
    capabilities: Capabilities


def connect(endpoint: Endpoint, timeouts: dial.Timeouts, pace: Pace) -> Connected:
    """Connect and, if the endpoint says so, start TLS. Raises SourceUnreachable, TlsFailed, ProtocolViolation."""
    sock = dial.dial(endpoint, timeouts)
    wire = Wire(sock, dial.peer_of(endpoint), pace)
    try:
        greeting = _greeted(wire)
        offered = capabilities(wire)
        if endpoint.security == "starttls":
            _start_tls(wire, endpoint, offered)
            wire = Wire(dial.secured(sock, endpoint), wire.peer, pace)
            offered = capabilities(wire)
        return Connected(wire, greeting, offered)
    except BaseException:
        wire.abandon()
        raise


def capabilities(wire: Wire) -> Capabilities:
    """Return what the server says that it can do now (RFC 2449 section 5)."""
    wire.start(b"CAPA", text=True)
    return told_capabilities(wire)


def told_capabilities(wire: Wire) -> Capabilities:
    """Return what the next answer, which is one to CAPA, says."""
    if not wire.answer().ok:
        return {}
    words = (line.decode("ascii", "replace").upper().partition(" ") for line in wire.lines())
    return {name: arguments for name, _space, arguments in words}


def _greeted(wire: Wire) -> bytes:
    try:
        status = wire.greeting()
    except ProtocolViolation as error:
        raise ProtocolViolation(f"{wire.peer} does not speak POP3: {error}") from error
    if not status.ok:
        raise throttling.demand(wire.peer, "BYE", status.code, status.words, of_account=True) or ConnectionLost(
            f"{wire.peer} turned the connection away: {status.words}"
        )
    return status.text


def _start_tls(wire: Wire, endpoint: Endpoint, offered: Capabilities) -> None:
    if offered and "STLS" not in offered:
        raise dial.no_upgrade(endpoint)
    status = wire.run(b"STLS")
    if not status.ok:
        raise dial.no_upgrade(endpoint, printable(status.words))
    if not wire.is_quiet:
        raise wire.violation(f"{wire.peer} said something before TLS that could pass for what it says under TLS")
