"""Where an account is and how to reach it."""

import ipaddress
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from mailarchive.errors import UsageError
from mailarchive.model import Account

Protocol = Literal["imap", "pop3", "smtp", "lmtp"]
Security = Literal["tls", "starttls", "plain"]
Auth = Literal["password", "xoauth2", "oauth"]
"""How to log in: with a password, with an OAuth access token in its place, or with one that we get and renew."""
Compress = Literal["auto", "always", "never"]
"""Whether to compress connections where the server offers it; ``auto``: where the network is slow."""

RECENT = "recent:"
"""Before a user name of POP3: Gmail then shows the mail of the last 30 days, whoever has fetched it before."""

_EXPECTED = (
    "a URL looks like imaps://user@host, imap://user@host:port or pop3s://user@host; "
    "an @ in the user name may stand as it is"
)
_EXPECTED_TARGET = (
    "a URL looks like imaps://user@host, imap://user@host:port, smtps://user@host, smtp://user@host:port, "
    "lmtp://host or lmtp:///path/to/socket; an @ in the user name may stand as it is"
)
_SCHEMES: dict[str, tuple[Protocol, int]] = {
    "imaps": ("imap", 993),
    "imap": ("imap", 143),
    "pop3s": ("pop3", 995),
    "pop3": ("pop3", 110),
    "smtps": ("smtp", 465),
    "smtp": ("smtp", 587),
    "lmtp": ("lmtp", 24),
}
_SOURCES = frozenset({"imap", "pop3"})
_TARGETS = frozenset({"imap", "smtp", "lmtp"})
_WITHOUT_USER = frozenset({"smtp", "lmtp"})
_LONGEST_SOCKET = 107
"""Octets of the path of a UNIX socket, on Linux."""
_ALIASES = {"pops": "pop3s", "pop": "pop3"}
_LONGEST_LABEL = 63


class Endpoint(NamedTuple):
    """A server, a user there, and how the connection is protected. Never holds a password.

    For ``smtp`` and ``lmtp`` the user may be empty: nobody logs in. For ``lmtp`` the host may be the absolute path
    of a UNIX socket, with port 0.
    """

    protocol: Protocol
    user: str
    host: str
    port: int
    security: Security
    ca_file: Path | None = None
    auth: Auth = "password"
    compress: Compress = "auto"

    @property
    def takes_token(self) -> bool:
        """Whether the secret to log in with is an OAuth access token."""
        return self.auth != "password"


def default_port(scheme: str) -> int:
    """Return the port of ``imaps``, ``imap``, ``pop3s``, ``pop3``, ``smtps``, ``smtp`` or ``lmtp``."""
    return _SCHEMES[scheme][1]


def has_tls_from_the_beginning(protocol: Protocol) -> bool:
    """Return whether the protocol has a scheme of that kind, like ``imaps``."""
    return protocol + "s" in _SCHEMES


def parse_url(
    text: str,
    *,
    starttls: bool = False,
    insecure_plaintext: bool = False,
    ca_file: Path | None = None,
    auth: Auth = "password",
    compress: Compress = "auto",
) -> Endpoint:
    """Return the endpoint to pull from that a URL names (RFC 5092 without path; the like for POP3, RFC 2384).

    ``imap://`` means STARTTLS (``pop3://`` STLS), or plain text to a loopback address unless ``starttls``;
    elsewhere plain text needs ``insecure_plaintext``; ``imaps://`` and ``pop3s://`` heed neither.
    Raises UsageError, which never repeats a password.
    """
    scheme, rest = _scheme(text)
    if _SCHEMES[scheme][0] not in _SOURCES:
        raise UsageError(f"over {scheme} mail can be sent, and none be had", hint=_EXPECTED)
    user, host, port = _parts(scheme, rest)
    security = _security(scheme, host, starttls=starttls, insecure_plaintext=insecure_plaintext)
    _check_file(ca_file)
    return Endpoint(_SCHEMES[scheme][0], user, host, port, security, ca_file, auth, compress)


def parse_target_url(
    text: str,
    *,
    starttls: bool = False,
    insecure_plaintext: bool = False,
    ca_file: Path | None = None,
    auth: Auth = "password",
) -> Endpoint:
    """Return the endpoint to restore to that a URL names; ``smtp``, ``smtps`` and ``lmtp`` need no user.

    ``smtp://`` is protected like ``imap://`` for ``parse_url``; so is ``lmtp://`` where somebody logs in, and
    otherwise it is plain text unless ``starttls``. Raises UsageError, which never repeats a password.
    """
    try:
        scheme, rest = _scheme(text)
        _check_target(scheme)
        user, host, port = _target_parts(scheme, rest)
        needs_no_tls = host.startswith("/") or (scheme == "lmtp" and not user and not starttls)
        is_plain = insecure_plaintext or needs_no_tls
        security = _security(scheme, host, starttls=starttls and not host.startswith("/"), insecure_plaintext=is_plain)
    except UsageError as error:
        if error.hint == _EXPECTED:
            error.hint = _EXPECTED_TARGET
        raise
    if auth != "password" and not user:
        raise UsageError("the URL names no user for the access token", hint=_EXPECTED_TARGET)
    _check_file(ca_file)
    return Endpoint(_SCHEMES[scheme][0], user, host, port, security, ca_file, auth)


def url_of(endpoint: Endpoint) -> str:
    """Return the URL from which ``parse_url`` or ``parse_target_url`` makes ``endpoint``, with the same options."""
    scheme = endpoint.protocol + ("s" if endpoint.security == "tls" else "")
    if is_local_socket(endpoint):
        return f"{scheme}://{quote(endpoint.host)}"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    port = "" if endpoint.port == default_port(scheme) else f":{endpoint.port}"
    user = f"{quote(endpoint.user, safe='')}@" if endpoint.user else ""
    return f"{scheme}://{user}{host}{port}"


def is_local_socket(endpoint: Endpoint) -> bool:
    """Return whether the endpoint is a UNIX socket, whose path is the host."""
    return endpoint.host.startswith("/")


def account_of(endpoint: Endpoint) -> Account:
    """Return the account, named ``user@host``, with ``:port`` if that is not one of the protocol's own.

    Over POP3 it is ``pop3:user@host``, another account: the same mailbox has other uids there.
    """
    protocol, user, host = endpoint.protocol, endpoint.user, endpoint.host.lower()
    host = f"[{host}]" if ":" in host else host
    own_ports = {default_port(protocol), default_port(protocol + "s")}
    port = "" if endpoint.port in own_ports else f":{endpoint.port}"
    prefix = ""
    if protocol == "pop3":
        prefix, user = "pop3:", user.removeprefix(RECENT)
    return Account(f"{prefix}{user}@{host}{port}", protocol, url_of(endpoint), endpoint.security)


def is_loopback(host: str) -> bool:
    """Return whether ``host`` (no brackets) is ``localhost``, in 127.0.0.0/8, or ``::1``."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _scheme(text: str) -> tuple[str, str]:
    """Return the scheme, one of ``_SCHEMES``, and what follows it."""
    scheme, separator, rest = text.partition("://")
    scheme = _ALIASES.get(scheme.lower(), scheme.lower())
    if not separator:
        what = "the account" if ":" in text else repr(text)
        raise UsageError(f"{what} is not a URL", hint=_EXPECTED)
    if scheme not in _SCHEMES:
        what = f"the protocol {scheme}" if scheme.isalnum() else "the protocol of the URL"
        raise UsageError(f"{what} is not supported", hint=_EXPECTED)
    return scheme, rest


def _parts(scheme: str, rest: str) -> tuple[str, str, int]:
    """Return user, host and port."""
    user_part, at, place = rest.rpartition("@")
    if any(mark in place for mark in "/?#"):
        place = _without_end(place)
    protocol, port = _SCHEMES[scheme]
    if not user_part and (at or protocol not in _WITHOUT_USER):
        raise UsageError("the URL names no user", hint=_EXPECTED)
    user = _user(user_part, protocol)
    return user, *_place(place, port)


def _target_parts(scheme: str, rest: str) -> tuple[str, str, int]:
    """Return user, host and port; of a UNIX socket no user, its path, and 0."""
    if scheme == "lmtp" and rest.startswith("/"):
        return "", _socket_path(rest), 0
    return _parts(scheme, rest)


def _check_target(scheme: str) -> None:
    if _SCHEMES[scheme][0] not in _TARGETS:
        raise UsageError(f"over {scheme} mail can be had, and none be put anywhere", hint=_EXPECTED_TARGET)


def _check_file(ca_file: Path | None) -> None:
    if ca_file is not None and not ca_file.is_file():
        raise UsageError(f"there is no file {ca_file}", hint="--ca-file names a PEM file of certificate authorities")


def _socket_path(part: str) -> str:
    path = _decoded(part, "path")
    if not path.strip("/") or any(mark in part for mark in "?#"):
        raise UsageError("the URL names no UNIX socket", hint=_EXPECTED)
    if len(path.encode()) > _LONGEST_SOCKET:
        raise UsageError(f"the path of a UNIX socket may have {_LONGEST_SOCKET} octets", hint=_EXPECTED)
    return path


def _without_end(place: str) -> str:
    """Return ``place`` without one final slash; refuse path, query and fragment."""
    bare = place.removesuffix("/")
    if any(mark in bare for mark in "/?#"):
        raise UsageError(
            "the URL names more than a user and a host",
            hint="choose mailboxes with --mailbox GLOB; in a user name write / as %2F, ? as %3F and # as %23",
        )
    return bare


def _user(part: str, protocol: Protocol) -> str:
    if ":" in (part.removeprefix(RECENT) if protocol == "pop3" else part):
        raise UsageError(
            "the URL holds a password, or a : in the user name that must be written as %3A",
            hint="leave the password out (others on this machine can see arguments) and use --password-command, "
            "--password-file, MAILARCHIVE_PASSWORD, the keyring, or the prompt",
        )
    return _decoded(part, "user name")


def _decoded(part: str, what: str) -> str:
    try:
        text = unquote_to_bytes(part.encode("utf-8")).decode("utf-8")
    except UnicodeError:
        raise UsageError(f"the {what} in the URL is not UTF-8", hint=_EXPECTED) from None
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise UsageError(f"the {what} in the URL holds a control character", hint=_EXPECTED)
    return text


def _place(place: str, default_port: int) -> tuple[str, int]:
    """Return host (without brackets, RFC 3986 section 3.2.2) and port."""
    if place.startswith("["):
        host, bracket, tail = place[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")) or not _is_ipv6(host):
            raise UsageError(f"{place!r} is not an IPv6 address in brackets", hint=_EXPECTED)
        colon, port_text = tail[:1], tail[1:]
    else:
        host, colon, port_text = place.partition(":")
        if ":" in port_text and _is_ipv6(place):
            raise UsageError(f"the IPv6 address {place!r} needs brackets", hint=f"write [{place}]")
    host = _decoded(host, "host name")
    if not host or any(char.isspace() for char in host):
        raise UsageError("the URL names no host" if not host else f"{host!r} is not a host name", hint=_EXPECTED)
    _check_labels(host)
    if not colon:
        return host, default_port
    if not (port_text.isascii() and port_text.isdecimal() and len(port_text) <= 5 and 0 < int(port_text) < 65536):
        raise UsageError("the port in the URL is not valid", hint="a port is a number from 1 to 65535")
    return host, int(port_text)


def is_host(text: str) -> bool:
    """Return whether ``text`` can be the name or address of a host (an IPv6 address without brackets)."""
    try:
        _check_labels(text)
    except UsageError:
        return False
    return not any(char.isspace() or char in "/@:" for char in text) or _is_ipv6(text)


def _check_labels(host: str) -> None:
    """Raise UsageError for what no name server can be asked for (RFC 1035 section 2.3.4, RFC 3490)."""
    if _is_ipv6(host):
        return
    if any(len(label) > _LONGEST_LABEL for label in host.split(".")):
        raise UsageError(
            f"{host!r} is not a host name: no part between dots may be longer than {_LONGEST_LABEL} characters",
            hint=_EXPECTED,
        )
    if not _is_name(host):
        raise UsageError(f"{host!r} is not a host name", hint=_EXPECTED)


def _is_name(host: str) -> bool:
    if host.isascii():
        return "" not in host.split(".")[:-1]
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _security(scheme: str, host: str, *, starttls: bool, insecure_plaintext: bool) -> Security:
    if scheme.endswith("s"):
        return "tls"
    if starttls and insecure_plaintext:
        raise UsageError("--starttls and --insecure-plaintext exclude each other")
    if starttls or not (insecure_plaintext or is_loopback(host)):
        return "starttls"
    return "plain"
