"""What is said to log in by SASL, in base64, whatever the protocol."""

import base64

EXPIRED_HINT = (
    "an access token is good for about an hour, and for one user and one protocol: get a new one, "
    "for example by --password-command"
)


def plain(user: str, password: str) -> bytes:
    """Return the response of PLAIN (RFC 4616)."""
    return base64.b64encode(f"\0{user}\0{password}".encode())


def xoauth2(user: str, token: str) -> bytes:
    """Return the response of XOAUTH2, by which Google and Microsoft take an OAuth access token."""
    return base64.b64encode(f"user={user}\1auth=Bearer {token}\1\1".encode())
