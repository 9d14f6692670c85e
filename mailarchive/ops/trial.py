"""Logs in to an account and looks what is there, once and without waiting, to see whether it works."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mailarchive.clock import Clock
from mailarchive.config import Endpoint, account_of
from mailarchive.errors import MailArchiveError
from mailarchive.mail.mailbox_name import is_named
from mailarchive.ops.advice import hint_for, provider_for
from mailarchive.sources.registry import connect_once


class Trial(NamedTuple):
    """What an account showed."""

    mailboxes: tuple[str, ...]

    def unmatched(self, globs: Iterable[str]) -> list[str]:
        """Return those of ``globs`` that no mailbox is named by."""
        return [glob for glob in globs if not any(is_named(name, glob) for name in self.mailboxes)]


def try_account(endpoint: Endpoint, secret: Callable[[], str], clock: Clock) -> Trial:
    """Log in with what ``secret`` returns, list the mailboxes, and leave.

    Raises AuthenticationFailed, SourceUnreachable, TlsFailed, Throttled or ProtocolViolation, with what the provider
    is known to want in its hint.
    """
    try:
        source = connect_once(endpoint, secret, clock)
        try:
            return Trial(tuple(str(mailbox.name) for mailbox in source.mailboxes()))
        finally:
            source.close()
    except MailArchiveError as error:
        error.hint = hint_for(error, provider_for(account_of(endpoint)))
        raise
