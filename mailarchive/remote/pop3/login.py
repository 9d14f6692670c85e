"""Tells a POP3 server who we are; nothing in here may show the password in an error."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

from mailarchive.config import Endpoint
from mailarchive.errors import AuthenticationFailed, SourceError, Throttled
from mailarchive.remote import sasl, throttling
from mailarchive.remote.pop3.connect import Connected
from mailarchive.remote.pop3.wire import Status, Wire

Password = str | Callable[[], str]

_TIMESTAMP = re.compile(rb"<[^<>\s]+@[^<>\s]+>")
_LONGEST_AUTH = 255
"""Octets of an AUTH line with its end (RFC 5034 section 4)."""
_DECIDES = frozenset({"AUTH", "SYS/PERM", "SYS/TEMP", "IN-USE", "LOGIN-DELAY"})


def log_in(connected: Connected, endpoint: Endpoint, password: Password) -> None:
    """Log in. Raises AuthenticationFailed with the server's words; Throttled if it refuses only for now."""
    user = endpoint.user
    secret = password if isinstance(password, str) else password()
    if any(mark in user + secret for mark in "\0\r\n"):
        raise AuthenticationFailed("a user name or password cannot hold a NUL or a line break")
    if endpoint.takes_token:
        status = _with_token(connected, endpoint, secret)
    else:
        status = _with_password(connected, endpoint, secret)
    del secret
    if not status.ok:
        raise _refusal(connected, endpoint, status)


def _with_token(connected: Connected, endpoint: Endpoint, token: str) -> Status:
    offered = connected.capabilities.get("SASL", "").split()
    mechanism = sasl.token_mechanism(offered)
    if mechanism is None and offered:
        raise sasl.no_token_taken(connected.wire.peer, endpoint.auth)
    mechanism = mechanism or "XOAUTH2"
    response = sasl.token_response(mechanism, endpoint, token)
    return _authenticate(connected.wire, mechanism, response, at_once=not _takes_two_steps(connected))


def _with_password(connected: Connected, endpoint: Endpoint, secret: str) -> Status:
    """Log in by what keeps the password safe: APOP where others may read along, what takes any password elsewhere."""
    wire, user, offered = connected.wire, endpoint.user, connected.capabilities
    timestamp = _TIMESTAMP.search(connected.greeting)
    has_plain = "PLAIN" in offered.get("SASL", "").split()
    takes_user = "USER" in offered or not offered
    if timestamp and (endpoint.security == "plain" or not (has_plain or takes_user)):
        proof = hashlib.md5(timestamp[0] + secret.encode(), usedforsecurity=False).hexdigest()
        status = wire.run(f"APOP {user} {proof}".encode())
        if status.ok or status.code in _DECIDES or not (has_plain or takes_user):
            return status
    if has_plain:
        return _authenticate(wire, "PLAIN", sasl.plain(user, secret), at_once=True)
    if not takes_user:
        raise AuthenticationFailed(
            f"{wire.peer} accepts no password on this connection",
            hint="use pop3s://, or pop3:// with --starttls; some servers take only an access token (--auth xoauth2)",
        )
    name, word = b"USER " + user.encode(), b"PASS " + secret.encode()
    if "PIPELINING" in offered:
        wire.start(name, word)
        status = wire.answer()
        return wire.answer() if status.ok else status
    status = wire.run(name)
    return wire.run(word) if status.ok else status


def _authenticate(wire: Wire, mechanism: str, response: bytes, *, at_once: bool) -> Status:
    """Send AUTH (RFC 5034), with its answer in the same line where the server takes that.

    What the server tells of an error before it refuses is added to its words.
    """
    command = b"AUTH " + mechanism.encode()
    whole = command + b" " + response
    if at_once and (mechanism == "XOAUTH2" or len(whole) + 2 <= _LONGEST_AUTH):
        wire.start(whole)
    else:
        wire.start(command)
        if (status := wire.challenged()) is not None:
            return status
        wire.reply(response)
    why = ""
    while (status := wire.challenged()) is None:
        why = sasl.error_words(wire.challenge) or why
        wire.reply(sasl.after_error(mechanism))
    return replace(status, words=f"{status.words} ({why})") if why else status


def _takes_two_steps(connected: Connected) -> bool:
    """Return whether the server breaks the connection at an AUTH line with a token: Microsoft's do."""
    return b"microsoft" in connected.greeting.lower()


def _refusal(connected: Connected, endpoint: Endpoint, status: Status) -> SourceError:
    """Return the error for a log-in that was refused (response codes: RFC 2449 section 8.1, RFC 3206)."""
    peer, user, words = connected.wire.peer, endpoint.user, status.words
    demand = throttling.demand(peer, "NO", status.code, words, of_account=True)
    if isinstance(demand, Throttled) and status.code == "LOGIN-DELAY":
        told = connected.capabilities.get("LOGIN-DELAY", "").partition(" ")[0]
        demand.seconds = float(told) if told.isdecimal() else None
    if demand is not None:
        return demand
    if status.code == "SYS/PERM":
        return SourceError(
            f"{peer} cannot let {user} in, and not because of the password: {words}", hint="ask who runs the server"
        )
    return sasl.refused(peer, endpoint, words)
