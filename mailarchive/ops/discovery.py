"""Finds the servers of a mail address: what is known of providers, what its domain says of itself, then guesses."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from mailarchive.config import Auth, Endpoint, Protocol, Security, default_port, is_loopback
from mailarchive.errors import SourceError
from mailarchive.ops.abreast import side_by_side
from mailarchive.providers import Provider, provider_by_mx, provider_of_domain
from mailarchive.sources.directory import Directory

Tell = Callable[[str, str], None]
"""Is told where was looked, and what came of it."""

_SERVICES: tuple[tuple[str, Protocol, Security], ...] = (
    ("imaps", "imap", "tls"),
    ("imap", "imap", "starttls"),
    ("pop3s", "pop3", "tls"),
    ("pop3", "pop3", "starttls"),
)
"""RFC 6186 section 3; without TLS from the beginning it has to be switched on."""
_GUESSES: tuple[tuple[tuple[str, ...], Protocol, Security], ...] = (
    (("imap.", "mail.", ""), "imap", "tls"),
    (("imap.", "mail.", ""), "imap", "starttls"),
    (("pop.", "mail.", ""), "pop3", "tls"),
)
_ISP_DATABASE = "https://autoconfig.thunderbird.net/v1.1/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is known already of the servers that are looked for; None: it may be anything."""

    protocol: Protocol | None = None
    port: int | None = None
    security: Security | None = None

    def fits(self, endpoint: Endpoint) -> bool:
        """Return whether a server is as it is wanted, and safe: without TLS only on this machine, unless wanted so."""
        is_safe = endpoint.security != "plain" or self.security == "plain" or is_loopback(endpoint.host)
        return is_safe and all(
            (
                self.protocol in {None, endpoint.protocol},
                self.port in {None, endpoint.port},
                self.security in {None, endpoint.security},
            )
        )


class Found(NamedTuple):
    """Servers, the best first; ``foreign`` are hosts that unsigned answers name outside of the domain."""

    endpoints: tuple[Endpoint, ...] = ()
    foreign: tuple[str, ...] = ()


def find_servers(
    address: str, directory: Directory, tell: Tell, wanted: Wanted, *, asks_isp_database: bool = False
) -> Found:
    """Return the servers to get the mail of ``address`` from; none if none were found.

    Looked for in turn, until some are found. ``asks_isp_database`` lets Thunderbird's be asked too, which tells
    somebody else the domain. Raises nothing: what cannot be looked at is told.
    """
    search = _Search(address, directory, tell, wanted)
    steps = (search.by_domain, search.by_mx, search.by_srv, search.by_autoconfig)
    for step in (*steps, *([search.by_isp_database] if asks_isp_database else []), search.by_guesses):
        found = step()
        if found.endpoints:
            return found
    return Found()


def servers_of(provider: Provider, address: str) -> list[Endpoint]:
    """Return where a provider has the mail of ``address``, IMAP first."""
    auth: Auth = "oauth" if provider.login == "oauth" else "password"
    named: list[tuple[Protocol, str | None]] = [
        ("imap", provider.imap),
        ("imap", provider.export),
        ("pop3", provider.pop3),
    ]
    found = []
    for protocol, place in named:
        if place:
            security: Security = "starttls" if protocol in provider.starttls else "tls"
            host, _colon, port = place.partition(":")
            usual = default_port(protocol + ("s" if security == "tls" else ""))
            found.append(Endpoint(protocol, address, host, int(port or usual), security, auth=auth))
    return found


class _Search:
    """The places to look in for one address."""

    def __init__(self, address: str, directory: Directory, tell: Tell, wanted: Wanted) -> None:
        self._address = address
        self._domain = address.rpartition("@")[2].lower().removesuffix(".")
        self._directory = directory
        self._tell = tell
        self._wanted = wanted
        self._denied: set[tuple[Protocol, Security]] = set()

    def by_domain(self) -> Found:
        provider = provider_of_domain(self._domain)
        return self._of_provider("known providers", provider, f"nothing about {self._domain}")

    def by_mx(self) -> Found:
        try:
            hosts = self._directory.mail_exchangers(self._domain)
        except SourceError as error:
            return self._nothing("mail exchangers (MX)", str(error))
        provider = next(filter(None, map(provider_by_mx, hosts)), None)
        otherwise = f"{', '.join(hosts[:3])}: no provider that is known" if hosts else "none"
        return self._of_provider("mail exchangers (MX)", provider, otherwise)

    def by_srv(self) -> Found:
        found = []
        for service, protocol, security in _SERVICES:
            try:
                places = self._directory.services(service, self._domain)
            except SourceError as error:
                self._nothing(f"DNS SRV _{service}", str(error))
                break
            if any(not place.host for place in places):
                self._denied.add((protocol, security))
                self._nothing(f"DNS SRV _{service}", "not offered")
                continue
            found += [Endpoint(protocol, self._address, place.host, place.port, security) for place in places]
        there = self._answering(self._fitting("DNS SRV", found, "none"))
        hosts = dict.fromkeys(one.host for one in there.endpoints if not self._is_own(one.host))
        return there._replace(foreign=tuple(hosts))

    def by_autoconfig(self) -> Found:
        query = f"?emailaddress={quote(self._address, safe='')}"
        for url in (
            f"https://autoconfig.{self._domain}/mail/config-v1.1.xml",
            f"https://{self._domain}/.well-known/autoconfig/mail/config-v1.1.xml",
        ):
            found = self._autoconfig(url, query)
            if found.endpoints:
                return found
        return Found()

    def by_isp_database(self) -> Found:
        return self._autoconfig(f"{_ISP_DATABASE}{quote(self._domain, safe='')}", "")

    def by_guesses(self) -> Found:
        guesses = list(dict.fromkeys(self._guesses()))
        answers = side_by_side(guesses, self._directory.greets) if guesses else []
        there = [guess for guess, answer in zip(guesses, answers, strict=True) if answer]
        return self._fitting("usual names", there, "no server of mail answers there")

    def _guesses(self) -> Iterator[Endpoint]:
        wanted = self._wanted
        for prefixes, protocol, usual in _GUESSES:
            security = wanted.security if wanted.port and wanted.security else usual
            if (protocol, security) in self._denied or wanted.protocol not in {None, protocol}:
                continue
            port = wanted.port or default_port(protocol + ("s" if security == "tls" else ""))
            for prefix in prefixes:
                guess = Endpoint(protocol, self._address, prefix + self._domain, port, security)
                if wanted.fits(guess):
                    yield guess

    def _autoconfig(self, url: str, query: str) -> Found:
        try:
            servers = self._directory.autoconfig(url + query, self._address)
        except SourceError as error:
            return self._nothing(url, str(error))
        return self._answering(self._fitting(url, servers, "names no server that fits"))

    def _of_provider(self, place: str, provider: Provider | None, otherwise: str) -> Found:
        if provider is None:
            return self._nothing(place, otherwise)
        return self._fitting(
            f"{place}: {provider.name}", servers_of(provider, self._address), "has no server that fits"
        )

    def _fitting(self, place: str, endpoints: Iterable[Endpoint], otherwise: str) -> Found:
        found = tuple(dict.fromkeys(_in_order([one for one in endpoints if self._wanted.fits(one)])))
        if not found:
            return self._nothing(place, otherwise)
        self._tell(place, ", ".join(dict.fromkeys(f"{one.host}:{one.port}" for one in found)))
        return Found(found)

    def _answering(self, found: Found) -> Found:
        """Return what was found with those first that answer, where there are several (RFC 6186 section 4)."""
        if len(found.endpoints) < 2:
            return found
        answers = side_by_side(found.endpoints, self._directory.greets)
        pairs = sorted(zip(answers, found.endpoints, strict=True), key=lambda pair: not pair[0])
        for answer, endpoint in pairs:
            if not answer:
                self._tell(f"{endpoint.host}:{endpoint.port}", "does not answer, or not as it should")
        return Found(tuple(endpoint for _answer, endpoint in pairs))

    def _nothing(self, place: str, outcome: str) -> Found:
        self._tell(place, outcome)
        return Found()

    def _is_own(self, host: str) -> bool:
        return host == self._domain or host.endswith(f".{self._domain}")


def _in_order(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Return IMAP before POP3, which has one mailbox only; what is in the clear last; else as they come."""
    return sorted(endpoints, key=lambda one: (one.security == "plain", one.protocol != "imap"))
