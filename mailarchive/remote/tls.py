"""How certificates are checked: always, against the system's authorities or a given file."""

import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from mailarchive.errors import TlsFailed


class Certificate(NamedTuple):
    """What a server showed when TLS was set up: until when that is good, for which names, and who vouches for it."""

    version: str
    not_after: datetime
    names: tuple[str, ...]
    issuer: str


def certificate_of(sock: socket.socket) -> Certificate | None:
    """Return the certificate of the other side, which has been verified; None without TLS."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    shown: Mapping[str, Any] = sock.getpeercert() or {}
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    names = tuple(str(name) for _kind, name in shown.get("subjectAltName", ()))
    issuer = {key: value for part in shown.get("issuer", ()) for key, value in part}
    vouches = issuer.get("organizationName") or issuer.get("commonName") or ""
    return Certificate(sock.version() or "TLS", until, names, str(vouches))


def verifying_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies the certificate and the host name.

    ``ca_file`` replaces the system's authorities. Raises TlsFailed if it cannot be used.
    """
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise TlsFailed(
            f"the file of certificate authorities {ca_file} cannot be used: {error}",
            hint="give a readable PEM file with --ca-file",
        ) from error
