"""What the scripted tests of the IMAP source share."""

from collections.abc import Iterator
from contextlib import contextmanager

from mailarchive.config import Endpoint, account_of
from mailarchive.model import ListedMailbox, MailboxName
from mailarchive.remote.imap import Timeouts
from mailarchive.remote.imap.mailbox import ImapMailbox
from mailarchive.sources.imap import ImapSource
from tests.servers.scripted_imap import Rule, ScriptedServer

EXAMINE: Rule = (
    rb"EXAMINE",
    b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n* OK [UIDNEXT 100] next\r\n%T OK [READ-ONLY] done\r\n",
)
INBOX = ListedMailbox(MailboxName(("INBOX",), "/", b"INBOX"))
BASIC = b"IMAP4rev1"


def source_of(server: ScriptedServer, *, stall: float = 5.0, password: str = "secret", user: str = "me") -> ImapSource:
    endpoint = Endpoint("imap", user, "127.0.0.1", server.port, "plain")
    return ImapSource(account_of(endpoint), endpoint, password, Timeouts(connect=5.0, stall=stall))


@contextmanager
def scripted(
    *rules: Rule, capabilities: bytes = BASIC, stall: float = 5.0
) -> Iterator[tuple[ImapSource, ScriptedServer]]:
    """Connect to a server that plays ``rules``."""
    with ScriptedServer([*rules], capabilities) as server:
        source = source_of(server, stall=stall)
        try:
            yield source, server
        finally:
            source.close()


@contextmanager
def opened(
    *rules: Rule, capabilities: bytes = BASIC, stall: float = 5.0
) -> Iterator[tuple[ImapMailbox, ScriptedServer]]:
    """Open a mailbox of three messages at a server that plays ``rules``."""
    with scripted(*rules, EXAMINE, capabilities=capabilities, stall=stall) as (source, server):
        yield source.open(INBOX), server
