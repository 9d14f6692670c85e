"""Tell a monitor by HTTP that something began, went well, or failed (as healthchecks.io takes it)."""

import http.client
from urllib.parse import urlsplit

from mailarchive.config import is_loopback
from mailarchive.errors import SourceUnreachable, UsageError
from mailarchive.remote.tls import verifying_context

PATIENCE = 10.0
"""Seconds for all of it but the look-up of the name."""


def check_url(url: str) -> None:
    """Raise UsageError unless ``url`` is https, or http to this machine; it is a secret, and is not repeated."""
    try:
        place = urlsplit(url)
        is_fit = bool(place.hostname) and (
            place.scheme == "https" or (place.scheme == "http" and is_loopback(place.hostname or ""))
        )
        _ = place.port
    except ValueError:
        is_fit = False
    if not is_fit:
        raise UsageError("the URL to be pinged is not an https URL", hint="give it like https://hc-ping.com/UUID")


def ping(url: str, outcome: str, body: str) -> None:
    """POST ``body`` to ``url`` with ``outcome`` (empty, ``start`` or ``fail``) at its end.

    Raises SourceUnreachable.
    """
    place = urlsplit(url)
    host, port = place.hostname or "", place.port
    path = "/".join(filter(None, (place.path.rstrip("/") or "/", outcome))).replace("//", "/")
    target = path + (f"?{place.query}" if place.query else "")
    connection: http.client.HTTPConnection
    if place.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=verifying_context(None))
    else:
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("POST", target, body.encode(), {"User-Agent": "mailarchive", "Content-Type": "text/plain"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SourceUnreachable(f"{host} could not be told how the run went: {reason}") from None
    finally:
        connection.close()
    if status >= 300:
        raise SourceUnreachable(f"{host} did not take word of how the run went: status {status}")
