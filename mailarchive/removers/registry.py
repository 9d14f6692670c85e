"""Which Remover an endpoint needs."""

from collections.abc import Callable

from mailarchive.config import Endpoint, account_of
from mailarchive.errors import UsageError
from mailarchive.remote.renewal import logged_in
from mailarchive.removers.base import Remover


def connect(endpoint: Endpoint, password: Callable[[], str]) -> Remover:
    """Return a connection to ``endpoint`` that can remove messages; it is not made again if it is lost.

    Raises UsageError for a protocol without removers, AuthenticationFailed, SourceUnreachable, TlsFailed,
    ProtocolViolation.
    """
    if endpoint.protocol != "imap":
        raise UsageError(
            f"cleanup removes nothing over {endpoint.protocol}:// yet", hint="reach the same account over IMAP"
        )
    from mailarchive.removers.imap import ImapRemover  # noqa: PLC0415 - start-up: a mistake needs no network

    account = account_of(endpoint)
    return logged_in(lambda given: ImapRemover(account, endpoint, given), password)
