"""Which hosts a domain names in DNS: for services (RFC 2782, RFC 6186), and for its mail (RFC 5321 section 5)."""

from typing import TYPE_CHECKING, Any

from mailarchive.config import is_loopback
from mailarchive.errors import SourceUnreachable
from mailarchive.remote.discovery.network import Network, Service, is_usable

if TYPE_CHECKING:
    from dns.resolver import Resolver

_MOST = 16
"""Hosts of one answer that are heeded."""


def mail_exchangers(domain: str, network: Network) -> list[str]:
    """Return the hosts that receive the domain's mail, the preferred first. Raises SourceUnreachable."""
    records = sorted(_ask(domain, "MX", network), key=lambda record: int(record.preference))
    names = (_name(record.exchange) for record in records)
    return [name for name in names if is_usable(name)][:_MOST]


def services(service: str, domain: str, network: Network) -> list[Service]:
    """Return where ``domain`` has a service like ``imaps``, by priority, then the greatest weight first.

    The weights are for spreading many clients (RFC 2782); a configuration wants the same answer each time.
    Raises SourceUnreachable.
    """
    records = _ask(f"_{service}._tcp.{domain}", "SRV", network)
    found = sorted(records, key=lambda record: (int(record.priority), -int(record.weight), _name(record.target)))
    named = (Service(_name(record.target), int(record.port)) for record in found)
    return [one for one in named if not one.host or (is_usable(one.host) and one.port)][:_MOST]


def is_known(host: str, network: Network) -> bool:
    """Return whether a host may be there: where a name server is set, it has to know an address of a name."""
    if network.nameserver is None or is_loopback(host) or host.replace(".", "").isdecimal() or ":" in host:
        return True
    try:
        return any(_ask(host, kind, network) for kind in ("A", "AAAA"))
    except SourceUnreachable:
        return False


def _ask(name: str, kind: str, network: Network) -> list[Any]:
    """Return the records, none if there are none. Raises SourceUnreachable if nobody can tell."""
    import dns.exception  # noqa: PLC0415 - start-up: few commands ask
    import dns.resolver  # noqa: PLC0415 - start-up: few commands ask

    try:
        return list(_resolver(network).resolve(f"{name}.", kind, lifetime=network.seconds, search=False))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.Timeout:
        raise SourceUnreachable("the name server does not answer in time") from None
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise SourceUnreachable(f"the name server does not tell ({type(error).__name__})") from None


def _resolver(network: Network) -> "Resolver":
    from dns.resolver import Resolver  # noqa: PLC0415 - start-up: few commands ask

    resolver = Resolver(configure=network.nameserver is None)
    if network.nameserver is not None:
        resolver.nameservers = [network.nameserver[0]]
        resolver.port = network.nameserver[1]
    return resolver


def _name(name: Any) -> str:
    return str(name.to_text(omit_final_dot=True)).removesuffix(".").lower()
