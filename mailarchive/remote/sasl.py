"""What is said to log in by SASL, in base64, whatever the protocol."""

import base64
import binascii
import json
from collections.abc import Container

from mailarchive.config import Auth, Endpoint
from mailarchive.errors import AuthenticationFailed, TokenRefused
from mailarchive.remote.words import printable

_HINTS = {
    "xoauth2": "an access token is good for about an hour, and for one user and one protocol: get a new one, "
    "for example by --password-command",
    "oauth": "perhaps another user than this one was logged in, or the server lets no program in over this protocol; "
    "log in again with: mailarchive account login NAME",
}
_STATUS_WORDS = {
    "invalid_token": "the access token has expired, was revoked, or is for somebody else",
    "insufficient_scope": "the access token is not for mail",
    "invalid_request": "the server did not understand the access token",
    "400": "the access token has expired, was revoked, or is for somebody else",
    "401": "the access token has expired, was revoked, or is for somebody else",
    "403": "the access token is not for mail",
}
"""What servers say of a token that they refuse: the words of RFC 6750 section 3.1, or a status of HTTP (Google)."""


def plain(user: str, password: str) -> bytes:
    """Return the response of PLAIN (RFC 4616)."""
    return base64.b64encode(f"\0{user}\0{password}".encode())


def token_mechanism(offered: Container[str]) -> str | None:
    """Return the mechanism by which a server that offers these takes an OAuth access token; None if by none."""
    return next((mechanism for mechanism in ("OAUTHBEARER", "XOAUTH2") if mechanism in offered), None)


def token_response(mechanism: str, endpoint: Endpoint, token: str) -> bytes:
    """Return the response of OAUTHBEARER (RFC 7628 section 3.1), or of XOAUTH2, which came before it."""
    user = endpoint.user
    if mechanism == "XOAUTH2":
        return base64.b64encode(f"user={user}\1auth=Bearer {token}\1\1".encode())
    name = user.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 section 4
    place = f"host={endpoint.host}\1port={endpoint.port}\1"
    return base64.b64encode(f"n,a={name},\1{place}auth=Bearer {token}\1\1".encode())


def after_error(mechanism: str) -> bytes:
    """Return how a challenge that tells an error is answered (RFC 7628 section 3.2.3; XOAUTH2: with nothing)."""
    return base64.b64encode(b"\1") if mechanism == "OAUTHBEARER" else b""


def error_words(challenge: bytes) -> str:
    """Return what a challenge that tells an error says (RFC 7628 section 3.2.2), in words; empty if it says nothing."""
    try:
        said = json.loads(base64.b64decode(challenge, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    status = said.get("status") if isinstance(said, dict) else None
    if not isinstance(status, str | int):
        return ""
    words = _STATUS_WORDS.get(str(status), f"the access token is refused ({printable(str(status), 40)})")
    scope = said.get("scope")
    return f"{words}; wanted is one for {printable(scope, 100)}" if isinstance(scope, str) and scope else words


def no_token_taken(peer: str, auth: Auth) -> AuthenticationFailed:
    """Return the error for a server that offers neither mechanism."""
    hint = "leave out --auth xoauth2" if auth == "xoauth2" else "leave out auth = 'oauth', and use a password"
    return AuthenticationFailed(f"{peer} accepts no access token (OAUTHBEARER, XOAUTH2)", hint=hint)


def refused(peer: str, endpoint: Endpoint, words: str) -> AuthenticationFailed:
    """Return the error for a log-in that the server refused with these words."""
    kind = TokenRefused if endpoint.takes_token else AuthenticationFailed
    return kind(f"{peer} refused to log {endpoint.user} in: {words}", hint=_HINTS.get(endpoint.auth, ""))
