"""Real tokens of an authorization server, which a real Dovecot asks whether they are good: over IMAP and POP3."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailarchive.config import Endpoint, Protocol, account_of
from mailarchive.configuration import OAuth
from mailarchive.errors import AuthenticationFailed, TokenDenied
from mailarchive.sources.base import Source
from mailarchive.sources.imap import ImapSource
from mailarchive.sources.pop3 import Pop3Source
from mailarchive.sources.registry import connect
from mailarchive.tokens.files import FileStore
from mailarchive.tokens.keeper import Holder, Keeper
from mailarchive.tokens.login import by_device
from tests.servers.authorization import CLIENT, SECRET, AuthorizationServer
from tests.servers.certificates import make_certificate
from tests.servers.dovecot import Dovecot
from tests.servers.still_clock import StillClock

MAIL = b"Subject: hello\r\n\r\nbody\r\n"
BOTH = pytest.mark.parametrize("protocol", ["imap", "pop3"])


@dataclass
class Site:
    """A mail server, the authorization server that it trusts, and who has logged in there."""

    dovecot: Dovecot
    server: AuthorizationServer
    keeper: Keeper
    clock: StillClock

    def source(self, protocol: Protocol, token: str | Callable[[], str]) -> Source:
        port = self.dovecot.ports.imap if protocol == "imap" else self.dovecot.ports.pop3
        endpoint = Endpoint(protocol, "user", "127.0.0.1", port, "plain", auth="oauth")
        opener = ImapSource if protocol == "imap" else Pop3Source
        return opener(account_of(endpoint), endpoint, token)

    def subjects(self, protocol: Protocol) -> list[bytes]:
        """Log in with a token of the keeper's and return the headers of the INBOX."""
        source = self.source(protocol, self.keeper)
        try:
            inbox = next(one for one in source.mailboxes() if str(one.name) == "INBOX")
            opened = source.open(inbox)
            return [header for _uid, header in opened.headers(opened.uids())]
        finally:
            source.close()


def start(
    server: AuthorizationServer,
    start_dovecot: Callable[..., Dovecot],
    directory: Path,
    mechanisms: str = "oauthbearer xoauth2",
) -> Site:
    dovecot = start_dovecot(introspection=server.introspection_url, mechanisms=mechanisms, pop3=True)
    dovecot.load("INBOX", MAIL)
    oauth = OAuth(
        "local",
        directory / "tokens" / "me.json",
        client_id=CLIENT,
        device_url=f"{server.url}/device",
        token_url=f"{server.url}/token",
        scopes=("mail", "offline_access"),
        ca_file=server.certificate.ca,
    )
    holder = Holder("me", "user", oauth, lambda: SECRET)
    clock = StillClock(datetime.now(UTC))
    keeper = Keeper(holder, FileStore(oauth.file), clock)
    keeper.keep(by_device(holder, lambda _code: None, clock, threading.Event()))
    return Site(dovecot, server, keeper, clock)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AuthorizationServer]:
    with AuthorizationServer(make_certificate(tmp_path)) as server:
        yield server


@pytest.fixture
def site(server: AuthorizationServer, start_dovecot: Callable[..., Dovecot], tmp_path: Path) -> Site:
    return start(server, start_dovecot, tmp_path)


@BOTH
def test_a_token_lets_in(site: Site, protocol: Protocol) -> None:
    assert site.subjects(protocol) == [b"Subject: hello\r\n\r\n"]
    assert "method=OAUTHBEARER" in site.dovecot.log()
    assert site.server.counts["introspection"] == 1


@BOTH
def test_where_the_standard_is_not_offered_the_older_way_lets_in(
    server: AuthorizationServer, start_dovecot: Callable[..., Dovecot], tmp_path: Path, protocol: Protocol
) -> None:
    site = start(server, start_dovecot, tmp_path, mechanisms="xoauth2")
    assert site.subjects(protocol) == [b"Subject: hello\r\n\r\n"]
    assert "method=XOAUTH2" in site.dovecot.log()


@BOTH
@pytest.mark.parametrize("mechanisms", ["oauthbearer", "xoauth2"])
def test_a_token_that_is_no_longer_good_is_refused_in_words(
    server: AuthorizationServer,
    start_dovecot: Callable[..., Dovecot],
    tmp_path: Path,
    protocol: Protocol,
    mechanisms: str,
) -> None:
    site = start(server, start_dovecot, tmp_path, mechanisms=mechanisms)
    token = site.keeper()
    server.revoke()
    with pytest.raises(AuthenticationFailed, match="refused to log user in") as caught:
        site.source(protocol, token)
    assert "mailarchive account login" in caught.value.hint
    assert token not in str(caught.value)


@BOTH
def test_a_token_is_renewed_before_it_expires(site: Site, protocol: Protocol) -> None:
    first = site.keeper()
    site.clock.sleep(3600 - 299, threading.Event())
    site.server.tokens.pop(first)
    assert site.subjects(protocol)
    assert site.server.counts["refresh_token"] == 1


@BOTH
def test_a_token_that_was_taken_back_is_replaced(site: Site, protocol: Protocol) -> None:
    site.server.tokens.clear()
    port = site.dovecot.ports.imap if protocol == "imap" else site.dovecot.ports.pop3
    endpoint = Endpoint(protocol, "user", "127.0.0.1", port, "plain", auth="oauth")
    source = connect(endpoint, site.keeper, clock=site.clock, stop=threading.Event())()
    assert source.mailboxes()
    source.close()
    assert site.server.counts["refresh_token"] == 1


def test_when_the_login_has_ended_that_is_said_before_the_mail_server_is_asked(site: Site) -> None:
    site.server.revoke()
    site.clock.sleep(3600, threading.Event())
    with pytest.raises(TokenDenied, match="the login of me has ended") as caught:
        site.source("imap", site.keeper)
    assert "mailarchive account login me" in caught.value.hint
