"""Tells a server that takes mail who we are (RFC 4954); nothing in here may show the password in an error."""

import base64
from collections.abc import Callable, Sequence

from mailarchive.config import Endpoint
from mailarchive.errors import AuthenticationFailed, ProtocolViolation
from mailarchive.remote import sasl
from mailarchive.remote.smtp.connect import Extensions
from mailarchive.remote.smtp.refusals import refusal
from mailarchive.remote.smtp.wire import Reply, Wire

Password = str | Callable[[], str]

_LONGEST_COMMAND = 510
"""Octets of a command without its end (RFC 5321 section 4.5.3.1.4); longer ones go in a line of their own."""


def log_in(wire: Wire, endpoint: Endpoint, offered: Extensions, password: Password) -> None:
    """Log in. Raises AuthenticationFailed with the server's words; Throttled if it refuses only for now.

    Raises ProtocolViolation without its words, which may be ours: some answer by repeating what they hear.
    """
    mechanism = _mechanism(wire.peer, endpoint, offered)
    secret = password if isinstance(password, str) else password()
    if any(mark in endpoint.user + secret for mark in "\0\r\n"):
        raise AuthenticationFailed("a user name or password cannot hold a NUL or a line break")
    responses = _responses(mechanism, endpoint.user, secret)
    try:
        reply = _authenticated(wire, mechanism.encode(), responses).without([*responses[-1:], secret.encode()])
    except ProtocolViolation:
        raise ProtocolViolation(f"{wire.peer} answered the log-in with what is no SMTP reply") from None
    del secret
    if reply.ok:
        return
    error = refusal(wire, "login", reply)
    if reply.code >= 500 and reply.enhanced[2:] != "4.5":
        hint = sasl.EXPIRED_HINT if endpoint.auth == "xoauth2" else ""
        error = AuthenticationFailed(f"{wire.peer} refused to log {endpoint.user} in: {reply.words}", hint=hint)
    raise error


def _mechanism(peer: str, endpoint: Endpoint, offered: Extensions) -> str:
    mechanisms = offered.get("AUTH", "").split()
    if endpoint.auth == "xoauth2":
        if "XOAUTH2" not in mechanisms:
            raise AuthenticationFailed(f"{peer} accepts no access token (XOAUTH2)", hint="leave out --auth xoauth2")
        return "XOAUTH2"
    for mechanism in ("PLAIN", "LOGIN"):
        if mechanism in mechanisms:
            return mechanism
    if mechanisms:
        hint = "use smtps://, or smtp:// with --starttls; some servers take only an access token (--auth xoauth2)"
    else:
        hint = "use smtps://, or smtp:// with --starttls; if nobody has to log in there, leave the user out of the URL"
    raise AuthenticationFailed(f"{peer} accepts no password on this connection", hint=hint)


def _responses(mechanism: str, user: str, secret: str) -> list[bytes]:
    if mechanism == "LOGIN":
        return [base64.b64encode(word.encode()) for word in (user, secret)]
    return [sasl.plain(user, secret) if mechanism == "PLAIN" else sasl.xoauth2(user, secret)]


def _authenticated(wire: Wire, mechanism: bytes, responses: Sequence[bytes]) -> Reply:
    """Send AUTH, with the response in the same line where that is allowed, and answer what the server asks."""
    left = list(responses)
    command = b"AUTH " + mechanism
    if mechanism != b"LOGIN" and len(command) + 1 + len(left[0]) <= _LONGEST_COMMAND:
        command += b" " + left.pop(0)
    reply = wire.run(command)
    for _attempt in range(len(left) + 1):
        if not reply.goes_on:
            break
        # XOAUTH2 tells an error as a challenge, to be answered with nothing.
        reply = wire.run(left.pop(0) if left else b"")
    return reply
