"""Which Source an endpoint needs."""

import threading
from collections.abc import Callable
from functools import partial

from mailarchive.clock import Clock
from mailarchive.config import Endpoint, account_of
from mailarchive.model import Account
from mailarchive.remote.compression import Compression
from mailarchive.remote.patience import Crew, OnWait
from mailarchive.remote.renewal import logged_in
from mailarchive.sources.base import Source, SourceFactory
from mailarchive.sources.retrying import RetryingSource

Opener = Callable[[Account, Endpoint, Callable[[], str]], Source]


def _imap(compression: Compression) -> Opener:
    from mailarchive.sources.imap import ImapSource  # noqa: PLC0415 - start-up: one protocol is enough

    return partial(ImapSource, compression=compression)


def _pop3(_compression: Compression) -> Opener:
    from mailarchive.remote.pop3 import Pace  # noqa: PLC0415 - start-up: one protocol is enough
    from mailarchive.sources.pop3 import Pop3Source  # noqa: PLC0415 - start-up: one protocol is enough

    return partial(Pop3Source, pace=Pace())


_OPENERS: dict[str, Callable[[Compression], Opener]] = {"imap": _imap, "pop3": _pop3}
"""What opens the connections to one account, one after the other."""
_MOST_CONNECTIONS = {"pop3": 1}
"""A maildrop is locked by who reads it (RFC 1939 section 3)."""


def most_connections(endpoint: Endpoint) -> int | None:
    """Return how many connections there may be at a time; None if any number."""
    return _MOST_CONNECTIONS.get(endpoint.protocol)


def connect_once(endpoint: Endpoint, password: Callable[[], str], clock: Clock) -> Source:
    """Return one connection to ``endpoint``, which is not made again if it is lost. Raises as SourceFactory does."""
    opener = _OPENERS[endpoint.protocol](Compression("never", clock, None))
    return opener(account_of(endpoint), endpoint, password)


def connect(
    endpoint: Endpoint,
    password: Callable[[], str],
    *,
    clock: Clock,
    stop: threading.Event,
    on_wait: OnWait | None = None,
    waits: bool = False,
    tell: Callable[[str], None] | None = None,
) -> SourceFactory:
    """Return what opens connections to ``endpoint`` that survive being lost.

    ``password`` is called for each connection. Setting ``stop`` ends waiting for a better time; ``waits`` says
    whether to wait as long as a server wants that asks for patience. ``tell`` gets sentences about the connections.
    """
    account = account_of(endpoint)
    crew = Crew()
    opener = _OPENERS[endpoint.protocol](Compression(endpoint.compress, clock, tell))

    def one_connection() -> Source:
        return logged_in(partial(opener, account, endpoint), password)

    def lasting() -> Source:
        return RetryingSource(one_connection, clock=clock, stop=stop, on_wait=on_wait, waits=waits, crew=crew)

    return lasting
