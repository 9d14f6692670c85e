"""Tells the server who we are; nothing in here may show the password in an error."""

from collections.abc import Callable

from mailarchive.config import Auth
from mailarchive.errors import AuthenticationFailed
from mailarchive.remote import sasl
from mailarchive.remote.imap.connect import Connected
from mailarchive.remote.imap.responses import Status, Untagged
from mailarchive.remote.imap.wire import Wire, astring

Password = str | Callable[[], str]


def log_in(connected: Connected, user: str, password: Password, auth: Auth) -> frozenset[str]:
    """Log in and return what the server can do then, in capitals.

    Raises AuthenticationFailed with the server's words, Throttled if it refuses only for now.
    """
    wire, offered = connected.wire, connected.capabilities
    if connected.authenticated:
        return _capabilities(wire, None, [])
    wire.is_logging_in = True
    disabled, plain = _check_offer(wire.peer, offered, auth)
    secret = password if isinstance(password, str) else password()
    if "\0" in user + secret:
        raise AuthenticationFailed("a user name or password cannot hold a NUL")
    at_once = "SASL-IR" in offered
    if auth == "xoauth2":
        tag = _authenticate(wire, b"XOAUTH2", sasl.xoauth2(user, secret), at_once=at_once)
        if wire.go_ahead(tag):
            # An error is told as a challenge, to be answered with nothing.
            wire.send_line(b"")
    elif plain and (disabled or not (user + secret).isascii()):
        tag = _authenticate(wire, b"PLAIN", sasl.plain(user, secret), at_once=at_once)
    else:
        wire.literal_plus = literal_plus(offered)
        tag = wire.start(b"LOGIN ", astring(user.encode()), b" ", astring(secret.encode()))
    del secret
    answers = wire.collect(tag)
    status = wire.result(tag, of_account=True)
    if not status.ok:
        hint = sasl.EXPIRED_HINT if auth == "xoauth2" else ""
        raise AuthenticationFailed(f"{wire.peer} refused to log {user} in: {status.words}", hint=hint)
    wire.is_logging_in = False
    return _capabilities(wire, status, answers)


def _check_offer(peer: str, offered: frozenset[str], auth: Auth) -> tuple[bool, bool]:
    """Return whether LOGIN is disabled, and whether PLAIN is offered. Raises AuthenticationFailed if nothing fits."""
    if auth == "xoauth2":
        if "AUTH=XOAUTH2" not in offered:
            raise AuthenticationFailed(f"{peer} accepts no access token (XOAUTH2)", hint="leave out --auth xoauth2")
        return False, False
    disabled, plain = "LOGINDISABLED" in offered, "AUTH=PLAIN" in offered
    if disabled and not plain:
        raise AuthenticationFailed(
            f"{peer} accepts no password on this connection", hint="use imaps://, or imap:// with --starttls"
        )
    return disabled, plain


def _authenticate(wire: Wire, mechanism: bytes, response: bytes, *, at_once: bool) -> bytes:
    """Send AUTHENTICATE, with its answer in the same line where that is allowed (RFC 4959)."""
    if at_once:
        return wire.start(b"AUTHENTICATE " + mechanism + b" " + response)
    tag = wire.start(b"AUTHENTICATE " + mechanism)
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
