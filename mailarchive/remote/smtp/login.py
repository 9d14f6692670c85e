"""Tells a server that takes mail who we are (RFC 4954); nothing in here may show the password in an error."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace

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
    responses = _responses(mechanism, endpoint, secret)
    try:
        reply = _authenticated(wire, mechanism, responses).without([*responses[-1:], secret.encode()])
    except ProtocolViolation:
        raise ProtocolViolation(f"{wire.peer} answered the log-in with what is no SMTP reply") from None
    del secret
    if reply.ok:
        return
    error = refusal(wire, "login", reply)
    if reply.code >= 500 and reply.enhanced[2:] != "4.5":
        error = sasl.refused(wire.peer, endpoint, reply.words)
    raise error


def _mechanism(peer: str, endpoint: Endpoint, offered: Extensions) -> str:
    mechanisms = offered.get("AUTH", "").split()
    if endpoint.takes_token:
        if mechanism := sasl.token_mechanism(mechanisms):
            return mechanism
        raise sasl.no_token_taken(peer, endpoint.auth)
    for mechanism in ("PLAIN", "LOGIN"):
        if mechanism in mechanisms:
            return mechanism
    if mechanisms:
        hint = "use smtps://, or smtp:// with --starttls; some servers take only an access token (--auth xoauth2)"
    else:
        hint = "use smtps://, or smtp:// with --starttls; if nobody has to log in there, leave the user out of the URL"
    raise AuthenticationFailed(f"{peer} accepts no password on this connection", hint=hint)


def _responses(mechanism: str, endpoint: Endpoint, secret: str) -> list[bytes]:
    if mechanism == "LOGIN":
        return [base64.b64encode(word.encode()) for word in (endpoint.user, secret)]
    if mechanism == "PLAIN":
        return [sasl.plain(endpoint.user, secret)]
    return [sasl.token_response(mechanism, endpoint, secret)]


def _authenticated(wire: Wire, mechanism: str, responses: Sequence[bytes]) -> Reply:
    """Send AUTH, with the response in the same line where that is allowed, and answer what the server asks.

    What the server tells of an error before it refuses is added to its words.
    """
    left = list(responses)
    command = b"AUTH " + mechanism.encode()
    if mechanism != "LOGIN" and len(command) + 1 + len(left[0]) <= _LONGEST_COMMAND:
        command += b" " + left.pop(0)
    reply = wire.run(command)
    why = ""
    for _attempt in range(len(left) + 1):
        if not reply.goes_on:
            break
        if not left:
            why = sasl.error_words(b"".join(reply.lines))
        reply = wire.run(left.pop(0) if left else sasl.after_error(mechanism))
    return replace(reply, lines=(*reply.lines, f"({why})".encode())) if why else reply
