"""Which Source an endpoint needs."""

import threading
from collections.abc import Callable

from mailarchive.clock import Clock
from mailarchive.config import Endpoint, url_of
from mailarchive.model import Account
from mailarchive.sources.base import Source, SourceFactory
from mailarchive.sources.imap import ImapSource
from mailarchive.sources.retrying import OnWait, RetryingSource

_DEFAULT_PORTS = {"imap": (143, 993)}

Opener = Callable[[Account, Endpoint, Callable[[], str]], Source]

_OPENERS: dict[str, Opener] = {"imap": ImapSource}


def account_of(endpoint: Endpoint) -> Account:
    """Return the account, named ``user@host``, with ``:port`` if that is not one of the protocol's own."""
    host = endpoint.host.lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if endpoint.port in _DEFAULT_PORTS[endpoint.protocol] else f":{endpoint.port}"
    return Account(f"{endpoint.user}@{host}{port}", endpoint.protocol, url_of(endpoint), endpoint.security)


def connect(
    endpoint: Endpoint,
    password: Callable[[], str],
    *,
    clock: Clock,
    stop: threading.Event,
    on_wait: OnWait | None = None,
) -> SourceFactory:
    """Return what opens connections to ``endpoint`` that survive being lost.

    ``password`` is called for each connection. Setting ``stop`` ends waiting for a better time.
    """
    account = account_of(endpoint)
    opener = _OPENERS[endpoint.protocol]

    def one_connection() -> Source:
        return opener(account, endpoint, password)

    def lasting() -> Source:
        return RetryingSource(one_connection, clock=clock, stop=stop, on_wait=on_wait)

    return lasting
