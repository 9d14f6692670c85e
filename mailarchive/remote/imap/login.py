"""Tells the server who we are; nothing in here may show the password in an error."""

from collections.abc import Callable

from mailarchive.config import Endpoint
from mailarchive.errors import AuthenticationFailed
from mailarchive.remote import sasl
from mailarchive.remote.imap.connect import Connected
from mailarchive.remote.imap.responses import Status, Untagged
from mailarchive.remote.imap.wire import Wire, astring

Password = str | Callable[[], str]


def log_in(connected: Connected, endpoint: Endpoint, password: Password) -> frozenset[str]:
    """Log in and return what the server can do then, in capitals.

    Raises AuthenticationFailed with the server's words, Throttled if it refuses only for now.
    """
    wire, offered, user = connected.wire, connected.capabilities, endpoint.user
    if connected.authenticated:
        return _capabilities(wire, None, [])
    wire.is_logging_in = True
    mechanism = _mechanism(wire.peer, offered, endpoint)
    secret = password if isinstance(password, str) else password()
    if "\0" in user + secret:
        raise AuthenticationFailed("a user name or password cannot hold a NUL")
    at_once = "SASL-IR" in offered
    why = ""
    if endpoint.takes_token:
        tag = _authenticate(wire, mechanism, sasl.token_response(mechanism, endpoint, secret), at_once=at_once)
        if wire.go_ahead(tag):
            why = sasl.error_words(wire.challenge)
            wire.send_line(sasl.after_error(mechanism))
    elif mechanism and ("LOGINDISABLED" in offered or not (user + secret).isascii()):
        tag = _authenticate(wire, mechanism, sasl.plain(user, secret), at_once=at_once)
    else:
        wire.literal_plus = literal_plus(offered)
        tag = wire.start(b"LOGIN ", astring(user.encode()), b" ", astring(secret.encode()))
    del secret
    answers = wire.collect(tag)
    status = wire.result(tag, of_account=True)
    if not status.ok:
        raise sasl.refused(wire.peer, endpoint, f"{status.words} ({why})" if why else status.words)
    wire.is_logging_in = False
    return _capabilities(wire, status, answers)


def _mechanism(peer: str, offered: frozenset[str], endpoint: Endpoint) -> str:
    """Return the mechanism to log in by, empty if only LOGIN is there. Raises AuthenticationFailed if nothing fits."""
    mechanisms = {word.removeprefix("AUTH=") for word in offered if word.startswith("AUTH=")}
    if endpoint.takes_token:
        if mechanism := sasl.token_mechanism(mechanisms):
            return mechanism
        raise sasl.no_token_taken(peer, endpoint.auth)
    mechanism = "PLAIN" if "PLAIN" in mechanisms else ""
    if "LOGINDISABLED" in offered and not mechanism:
        raise AuthenticationFailed(
            f"{peer} accepts no password on this connection", hint="use imaps://, or imap:// with --starttls"
        )
    return mechanism


def _authenticate(wire: Wire, mechanism: str, response: bytes, *, at_once: bool) -> bytes:
    """Send AUTHENTICATE, with its answer in the same line where that is allowed (RFC 4959)."""
    if at_once:
        return wire.start(b"AUTHENTICATE ", mechanism.encode(), b" ", response)
    tag = wire.start(b"AUTHENTICATE ", mechanism.encode())
    if wire.go_ahead(tag):
        wire.send_line(response)
    return tag


def _capabilities(wire: Wire, status: Status | None, answers: list[Untagged]) -> frozenset[str]:
    """Return the capabilities that came with the log-in, or ask for them (RFC 9051 section 6.1.1)."""
    if status is not None and status.code == "CAPABILITY":
        return _words(status.argument)
    told = [answer.text() for answer in answers if answer.name == b"CAPABILITY"]
    if not told:
        _status, answers = wire.run(b"CAPABILITY")
        told = [answer.text() for answer in answers if answer.name == b"CAPABILITY"]
    return _words(b" ".join(told))


def _words(text: bytes) -> frozenset[str]:
    return frozenset(text.decode("ascii", "replace").upper().split())


def literal_plus(capabilities: frozenset[str]) -> int:
    """Return up to how many octets a literal may be sent without waiting (RFC 7888)."""
    if "LITERAL+" in capabilities:
        return 1 << 20
    return 4096 if "LITERAL-" in capabilities else 0
