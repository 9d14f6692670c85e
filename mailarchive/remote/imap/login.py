"""Tells the server who we are; nothing in here may show the password in an error."""

import base64
from collections.abc import Callable

from mailarchive.errors import AuthenticationFailed
from mailarchive.remote.imap.connect import Connected
from mailarchive.remote.imap.responses import Status, Untagged
from mailarchive.remote.imap.wire import Wire, astring

Password = str | Callable[[], str]


def log_in(connected: Connected, user: str, password: Password) -> frozenset[str]:
    """Log in and return what the server can do then, in capitals.

    Raises AuthenticationFailed with the server's words, Throttled if it refuses only for now.
    """
    wire, offered = connected.wire, connected.capabilities
    if connected.authenticated:
        return _capabilities(wire, None, [])
    wire.is_logging_in = True
    disabled = "LOGINDISABLED" in offered
    plain = "AUTH=PLAIN" in offered
    if disabled and not plain:
        raise AuthenticationFailed(
            f"{wire.peer} accepts no password on this connection",
            hint="use imaps://, or imap:// with --starttls",
        )
    secret = password if isinstance(password, str) else password()
    if "\0" in user + secret:
        raise AuthenticationFailed("a user name or password cannot hold a NUL")
    if plain and (disabled or not (user + secret).isascii()):
        tag = _authenticate_plain(wire, user, secret, at_once="SASL-IR" in offered)
    else:
        wire.literal_plus = literal_plus(offered)
        tag = wire.start(b"LOGIN ", astring(user.encode()), b" ", astring(secret.encode()))
    del secret
    answers = wire.collect(tag)
    status = wire.result(tag, of_account=True)
    if not status.ok:
        raise AuthenticationFailed(f"{wire.peer} refused to log {user} in: {status.words}")
    wire.is_logging_in = False
    return _capabilities(wire, status, answers)


def _authenticate_plain(wire: Wire, user: str, secret: str, *, at_once: bool) -> bytes:
    """Send AUTHENTICATE PLAIN (RFC 4616), with its answer in the same line where that is allowed (RFC 4959)."""
    response = base64.b64encode(f"\0{user}\0{secret}".encode())
    if at_once:
        return wire.start(b"AUTHENTICATE PLAIN " + response)
    tag = wire.start(b"AUTHENTICATE PLAIN")
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
