"""A mailbox that is reached by sending: SMTP to its address, or LMTP to the server that keeps it."""

from collections.abc import Callable, Iterable
from itertools import chain

from mailarchive.config import Endpoint, default_port, is_local_socket, url_of
from mailarchive.mail.address import is_address
from mailarchive.model import Account
from mailarchive.remote.smtp import Password, SmtpSession, Timeouts


class SmtpTarget:
    """Connects, and logs in if the endpoint names a user; messages go to ``recipient``, an address.

    The envelope says that they come from ``sender``: if None from the user if that is an address, else from
    ``recipient``. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation, Throttled,
    TargetRefused.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        recipient: str,
        password: Password = "",
        *,
        sender: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._account = account_of(endpoint, recipient)
        self._recipient = recipient
        self.sender = sender_of(endpoint, recipient) if sender is None else sender
        self._session = SmtpSession(endpoint, password, timeouts)

    @property
    def account(self) -> Account:
        return self._account

    def send(self, size: int, chunks: Callable[[], Iterable[bytes]], before: bytes = b"") -> str:
        """Send ``before`` and a message of ``size`` octets, and return the server's words of acceptance.

        ``chunks`` gives the octets from the beginning each time that it is called, which is twice; what it raises
        goes through. Raises MessageRefused (the next message may be sent), TargetRefused (no other will do better),
        Throttled, AuthenticationFailed, ConnectionLost, Stalled, ProtocolViolation: the message was not taken;
        Doubtful: nobody knows.
        """
        return self._session.send(self.sender, self._recipient, len(before) + size, lambda: chain([before], chunks()))

    def examine(self, size: int, chunks: Callable[[], Iterable[bytes]], before: bytes = b"") -> None:
        """Raise MessageRefused or TargetRefused if ``send`` would without asking the server; nothing is sent."""
        self._session.examine(self.sender, self._recipient, len(before) + size, lambda: chain([before], chunks()))

    def leave(self) -> None:
        """End the session in good order; never raises."""
        self._session.leave()

    def close(self) -> None:
        """End the session at once, from any thread; never raises."""
        self._session.close()


def account_of(endpoint: Endpoint, recipient: str) -> Account:
    """Return the account that mail for ``recipient`` goes to over this server, whoever logs in there.

    It is named like ``smtp:me@example.org via smtp.example.com``, with ``:port`` if that is not the protocol's own.
    """
    protocol, host = endpoint.protocol, endpoint.host
    if not is_local_socket(endpoint):
        host = f"[{host.lower()}]" if ":" in host else host.lower()
        own_ports = {default_port(protocol), *([default_port("smtps"), 25] if protocol == "smtp" else [])}
        host += "" if endpoint.port in own_ports else f":{endpoint.port}"
    return Account(f"{protocol}:{recipient} via {host}", protocol, url_of(endpoint), endpoint.security)


def sender_of(endpoint: Endpoint, recipient: str) -> str:
    """Return the envelope's sender if nobody names one: what servers take that let send only in one's own name."""
    return endpoint.user if is_address(endpoint.user) else recipient
