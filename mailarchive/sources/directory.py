"""The contract of a Directory, which tells a domain's servers of mail; and the one that asks the network."""

from typing import Protocol

from mailarchive.config import Endpoint
from mailarchive.remote import discovery
from mailarchive.remote.discovery import Network, Service

__all__ = ["Directory", "Network", "NetworkDirectory", "Service"]


class Directory(Protocol):
    """What is asked is told to others, but never more than the domain (and to its own web server the address).

    All methods but ``greets`` raise SourceUnreachable, TlsFailed or ProtocolViolation if there is no telling.
    """

    def mail_exchangers(self, domain: str) -> list[str]:
        """Return the hosts that receive the domain's mail, the preferred first (MX)."""

    def services(self, service: str, domain: str) -> list[Service]:
        """Return where a service like ``imaps`` is (SRV), the preferred first; no host if there is none on purpose."""

    def autoconfig(self, url: str, address: str) -> list[Endpoint]:
        """Return the servers that the autoconfig file at ``url`` names for ``address``."""

    def greets(self, endpoint: Endpoint) -> bool:
        """Return whether a server of mail answers there. Nobody's name or password is sent."""


class NetworkDirectory:
    """Asks DNS, the web, and the servers themselves."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def mail_exchangers(self, domain: str) -> list[str]:
        return discovery.mail_exchangers(domain, self._network)

    def services(self, service: str, domain: str) -> list[Service]:
        return discovery.services(service, domain, self._network)

    def autoconfig(self, url: str, address: str) -> list[Endpoint]:
        return discovery.read_autoconfig(discovery.fetch(url, self._network), address)

    def greets(self, endpoint: Endpoint) -> bool:
        return discovery.greets(endpoint, self._network)
