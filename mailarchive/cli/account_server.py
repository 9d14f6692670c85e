"""Which server an account that is added has: given, or found, shown, and chosen."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mailarchive.cli import asking
from mailarchive.cli.render import clean
from mailarchive.cli.terminal import say
from mailarchive.config import Auth, Endpoint, Protocol, Security, default_port, is_host, is_loopback
from mailarchive.errors import UsageError
from mailarchive.providers import provider_of

if TYPE_CHECKING:
    from mailarchive.ops.discovery import Found
    from mailarchive.sources.directory import Network

_PORTS: dict[int, tuple[Protocol, Security]] = {
    993: ("imap", "tls"),
    143: ("imap", "starttls"),
    995: ("pop3", "tls"),
    110: ("pop3", "starttls"),
}
_PROTECTION = {"tls": "TLS", "starttls": "STARTTLS", "plain": "not encrypted"}


class ServerOptions(NamedTuple):
    """What the command line says about the server, and about how to look for it."""

    protocol: Protocol | None
    host: str | None
    port: int | None
    security: Security | None
    user: str | None
    auth: Auth | None
    ca_file: Path | None
    asks_isp_database: bool
    nameserver: str | None
    web_server: str | None


def server_for(address: str, domain: str, given: ServerOptions, *, asks: bool, yes: bool) -> Endpoint:
    """Return the server that mail of ``address`` is pulled from: the one that is given, else one that is found.

    ``asks`` says whether somebody is asked which, ``yes`` whether everything is agreed to. Raises UsageError.
    """
    if given.host is not None:
        endpoint = _named(given.host, address, given)
    else:
        endpoint = _chosen(address, given, asks=asks, yes=yes) or _asked(address, domain, given, asks=asks)
    endpoint = _as_given(endpoint, given)
    if endpoint.security == "plain" and not is_loopback(endpoint.host):
        say(f"Warning: password and mail go to {clean(endpoint.host)} unencrypted; anybody between can read along.")
    return endpoint


def _named(host: str, address: str, given: ServerOptions) -> Endpoint:
    if not is_host(host) or host.startswith("-"):
        raise UsageError(f"{host!r} is not a host name", hint="it looks like imap.example.org")
    usual: tuple[Protocol, Security] = _PORTS.get(given.port or 0, (given.protocol or "imap", "tls"))
    protocol, security = given.protocol or usual[0], given.security or usual[1]
    port = given.port or default_port(protocol + ("s" if security == "tls" else ""))
    return Endpoint(protocol, address, host, port, security)


def _asked(address: str, domain: str, given: ServerOptions, *, asks: bool) -> Endpoint:
    """Return the server that somebody names where none was found. Raises UsageError if there is nobody."""
    if not asks:
        raise UsageError(
            f"no server was found for the mail of {domain}",
            hint="name it with --host HOST (and --protocol, --port, --tls, --user); the provider's help pages tell it",
        )
    say(f"No server was found for the mail of {clean(domain)}. The help pages of the provider tell its name.")
    return _named(asking.ask("Server, like imap.example.org"), address, given)


def _chosen(address: str, given: ServerOptions, *, asks: bool, yes: bool) -> Endpoint | None:
    found = _found(address, given)
    if not found.endpoints:
        return None
    endpoints = found.endpoints
    choices = [_described(endpoint) for endpoint in endpoints]
    place = 0
    if asks and len(choices) > 1:
        place = asking.choose("Which one?", choices)
    else:
        say(f"Taken: {clean(choices[0])}")
    if endpoints[place].host in found.foreign:
        _agree(endpoints[place], asks=asks, yes=yes)
    return endpoints[place]


def _found(address: str, given: ServerOptions) -> "Found":
    from mailarchive.ops.discovery import Wanted, find_servers
    from mailarchive.sources.directory import NetworkDirectory

    def tell(place: str, outcome: str) -> None:
        say(f"  {clean(place)}: {clean(outcome)}")

    say(f"Looking for the servers of {clean(address)}:")
    directory = NetworkDirectory(_network(given))
    wanted = Wanted(given.protocol, given.port, given.security)
    return find_servers(address, directory, tell, wanted, asks_isp_database=given.asks_isp_database)


def _network(given: ServerOptions) -> "Network":
    from mailarchive.sources.directory import Network

    return Network(_place(given.nameserver), _place(given.web_server), given.ca_file)


def _place(text: str | None) -> tuple[str, int] | None:
    """Return the address and port of a server that stands in for all of its kind."""
    if text is None:
        return None
    host, _colon, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"{text!r} is not an address with a port", hint="write it like 127.0.0.1:53")
    return host, int(port)


def _agree(endpoint: Endpoint, *, asks: bool, yes: bool) -> None:
    """Let somebody agree to a host that DNS names outside of the domain (RFC 6186 section 6). Raises UsageError."""
    sentence = f"DNS names {endpoint.host}, which is outside of the domain of the address"
    if yes:
        say(f"{clean(sentence)}.")
    elif not asks:
        raise UsageError(sentence, hint=f"if that is right, say --host {endpoint.host}, or --yes")
    elif not asking.confirm(f"{sentence}. Send the password there?", default=False):
        raise UsageError("nothing was sent, and no account added", hint="name the server with --host HOST")


def _as_given(endpoint: Endpoint, given: ServerOptions) -> Endpoint:
    """Return ``endpoint`` with what is given and what the provider is known to want."""
    provider = provider_of(endpoint.host, endpoint.port)
    wants_token = provider is not None and provider.login == "oauth"
    return Endpoint(
        endpoint.protocol,
        given.user or endpoint.user,
        endpoint.host,
        endpoint.port,
        endpoint.security,
        given.ca_file,
        given.auth or ("oauth" if wants_token else endpoint.auth),
    )


def _described(endpoint: Endpoint) -> str:
    return (
        f"{endpoint.protocol.upper()} {endpoint.host}, port {endpoint.port}, {_PROTECTION[endpoint.security]}, "
        f"user {endpoint.user}"
    )
