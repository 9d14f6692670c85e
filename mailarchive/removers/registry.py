"""Which Remover an endpoint needs."""

from collections.abc import Callable
from functools import partial

from mailarchive.config import Endpoint, account_of
from mailarchive.remote.renewal import logged_in
from mailarchive.removers.base import Remover


def connect(endpoint: Endpoint, password: Callable[[], str]) -> Remover:
    """Return a connection to ``endpoint`` that can remove messages; it is not made again if it is lost.

    Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation.
    """
    account = account_of(endpoint)
    if endpoint.protocol == "pop3":
        from mailarchive.remote.pop3.removing import RemovingSession  # noqa: PLC0415 - start-up: one is enough
        from mailarchive.removers.pop3 import Pop3Remover  # noqa: PLC0415 - start-up: one protocol is enough

        return Pop3Remover(account, lambda: logged_in(partial(RemovingSession, endpoint), password))
    from mailarchive.removers.imap import ImapRemover  # noqa: PLC0415 - start-up: one protocol is enough

    return logged_in(partial(ImapRemover, account, endpoint), password)
