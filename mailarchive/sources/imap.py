"""An account at an IMAP server, as a source."""

from collections.abc import Callable

from mailarchive.config import Endpoint
from mailarchive.model import Account, ListedMailbox
from mailarchive.remote.imap import Compression, ImapMailbox, ImapSession, Password, Timeouts, is_whole
from mailarchive.sources.base import Shows


class ImapSource:
    """One connection to an IMAP account."""

    def __init__(
        self,
        account: Account,
        endpoint: Endpoint,
        password: Password,
        timeouts: Timeouts | None = None,
        compression: Compression | None = None,
    ) -> None:
        """Connect and log in. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation."""
        self._account = account
        self._session = ImapSession(endpoint, password, timeouts, compression)

    @property
    def account(self) -> Account:
        return self._account

    @property
    def has_labels(self) -> bool:
        return self._session.offers("X-GM-EXT-1")

    @property
    def shows(self) -> Shows:
        return "everything"

    def mailboxes(self) -> list[ListedMailbox]:
        return self._session.mailboxes()

    def open(self, mailbox: ListedMailbox, first: int | None = None) -> ImapMailbox:
        selected = self._session.examine(mailbox.name, first)
        early = {facts.uid: facts for facts in selected.facts if is_whole(facts)}
        return ImapMailbox(self._session, selected.cursor, early)

    def leave(self, secure: Callable[[], None]) -> None:
        del secure
        self.close()

    def close(self) -> None:
        self._session.close()
