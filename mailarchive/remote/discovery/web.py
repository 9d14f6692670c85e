"""Gets one small file by HTTPS: certificates verified, no way around that by a redirect, and never much or for long."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urljoin, urlsplit

from mailarchive.errors import ProtocolViolation, SourceUnreachable, TlsFailed
from mailarchive.remote.discovery.network import Network, is_usable
from mailarchive.remote.tls import verifying_context
from mailarchive.remote.words import printable

LARGEST = 128 * 1024
"""Octets that a file may have."""
_HOPS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def fetch(url: str, network: Network) -> bytes:
    """Return what is at ``url``. Raises SourceUnreachable, TlsFailed, ProtocolViolation if it is not safe."""
    base = ""
    for _hop in range(_HOPS + 1):
        place = _place(base, url)
        with _asked(place, network) as response:
            if response.status == 200:
                return _body(response, place)
            target = response.getheader("Location")
            if response.status not in _REDIRECTS or not target:
                raise SourceUnreachable(f"{place.hostname} answers {response.status}")
            base, url = place.geturl(), target
    raise ProtocolViolation(f"more than {_HOPS} redirects")


def _place(base: str, url: str) -> SplitResult:
    """Return the parts of a URL. Raises ProtocolViolation unless it is https with a host that can be."""
    try:
        place = urlsplit(urljoin(base, url))
        if place.scheme == "https" and place.username is None and is_usable(place.hostname or "") and place.port != 0:
            return place
    except ValueError:
        pass
    raise ProtocolViolation("it leads to where the connection is not safe")


@contextmanager
def _asked(place: SplitResult, network: Network) -> Iterator[HTTPResponse]:
    """Ask for what is at ``place``; yield the answer, and end the connection, soon whatever the server does."""
    host = place.hostname or ""
    try:
        with _connected(host, place.port or 443, network) as sock, _cut_after(sock, 2 * network.seconds):
            connection = HTTPSConnection(host, place.port)
            connection.sock = sock
            target = (place.path or "/") + (f"?{place.query}" if place.query else "")
            connection.request("GET", target, headers={"Accept": "text/xml, application/xml", "Connection": "close"})
            yield connection.getresponse()
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed(f"the certificate of {host} cannot be trusted: {printable(error.verify_message)}") from None
    except TimeoutError:
        raise SourceUnreachable(f"{host} does not answer in time") from None
    except socket.gaierror:
        raise SourceUnreachable(f"there is no host {host}") from None
    except OSError as error:
        raise SourceUnreachable(
            f"{host} cannot be reached: {printable(error.strerror or type(error).__name__)}"
        ) from None
    except (HTTPException, ValueError) as error:
        raise ProtocolViolation(f"{host} does not answer as a web server ({type(error).__name__})") from None


def _connected(host: str, port: int, network: Network) -> ssl.SSLSocket:
    context = verifying_context(network.ca_file)
    sock = socket.create_connection(network.web or (host, port), network.seconds)
    try:
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


@contextmanager
def _cut_after(sock: socket.socket, seconds: float) -> Iterator[None]:
    def cut() -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    late = threading.Timer(seconds, cut)
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


def _body(response: HTTPResponse, place: SplitResult) -> bytes:
    octets = response.read(LARGEST + 1)
    if len(octets) > LARGEST:
        raise ProtocolViolation(f"{place.hostname} sends more than {LARGEST} octets")
    return octets
