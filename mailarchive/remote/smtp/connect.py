"""Makes connections to servers that take mail, up to the greeting and TLS (RFC 3207); learns what they can do."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailarchive.config import Endpoint
from mailarchive.errors import ProtocolViolation
from mailarchive.remote import dial
from mailarchive.remote.smtp.refusals import refusal
from mailarchive.remote.smtp.wire import Reply, Wire

Extensions = Mapping[str, str]
"""Names and parameters, in capitals (RFC 5321 section 4.1.1.1)."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that has been greeted."""

    wire: Wire
    extensions: Extensions


def connect(endpoint: Endpoint, timeouts: dial.Timeouts) -> Connected:
    """Connect and, if the endpoint says so, start TLS.

    Raises SourceUnreachable, TlsFailed, ProtocolViolation, Throttled, TargetRefused.
    """
    sock = dial.dial(endpoint, timeouts)
    wire = Wire(sock, dial.peer_of(endpoint))
    try:
        _greeted(wire, endpoint)
        offered = extensions(wire, endpoint)
        if endpoint.security == "starttls":
            _start_tls(wire, endpoint, offered)
            wire = Wire(dial.secured(sock, endpoint), wire.peer)
            # What was learned before TLS may be another's word (RFC 3207 section 4.2).
            offered = extensions(wire, endpoint)
        return Connected(wire, offered)
    except BaseException:
        wire.abandon()
        raise


def extensions(wire: Wire, endpoint: Endpoint) -> Extensions:
    """Say who we are (RFC 5321 section 4.1.1.1, RFC 2033 section 4.1), and return what the server can do."""
    verb = b"LHLO " if endpoint.protocol == "lmtp" else b"EHLO "
    host = wire.own_host.encode()
    reply = wire.run(verb + host)
    if reply.ok:
        return _extensions(reply)
    if endpoint.protocol == "lmtp" and reply.code >= 500:
        raise ProtocolViolation(
            f"{wire.peer} does not speak LMTP: {reply.words}", hint="check the port, or try smtp://"
        )
    if reply.code in {500, 501, 502, 504, 550}:
        reply = wire.run(b"HELO " + host)
    if not reply.ok:
        raise refusal(wire, "greeting", reply)
    return {}


def _extensions(reply: Reply) -> Extensions:
    found: dict[str, str] = {}
    for line in reply.lines[1:]:
        # AUTH=PLAIN is how some servers said it before there was a standard.
        name, _space, parameters = line.decode("ascii", "replace").upper().replace("AUTH=", "AUTH ").partition(" ")
        found[name] = f"{found[name]} {parameters}" if name == "AUTH" and name in found else parameters.strip()
    return found


def _greeted(wire: Wire, endpoint: Endpoint) -> None:
    try:
        reply = wire.reply()
    except ProtocolViolation as error:
        raise ProtocolViolation(f"{wire.peer} does not speak {endpoint.protocol.upper()}: {error}") from error
    if reply.code != 220:
        raise refusal(wire, "greeting", reply)


def _start_tls(wire: Wire, endpoint: Endpoint, offered: Extensions) -> None:
    if "STARTTLS" not in offered:
        raise dial.no_upgrade(endpoint)
    reply = wire.run(b"STARTTLS")
    if reply.code != 220:
        raise dial.no_upgrade(endpoint, reply.words)
    if not wire.is_quiet:
        raise wire.violation(f"{wire.peer} said something before TLS that could pass for what it says under TLS")
