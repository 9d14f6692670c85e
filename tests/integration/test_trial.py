"""An account is tried by logging in and listing, once; what is wrong is said with what to do."""

from collections.abc import Callable

import pytest

from mailarchive.clock import SystemClock
from mailarchive.config import Endpoint
from mailarchive.errors import AuthenticationFailed, SourceUnreachable, TlsFailed
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.trial import Trial, try_account
from tests.servers.dovecot import Dovecot


def test_what_an_account_has_is_listed() -> None:
    account = LoopbackAccount()
    account.create("Work")
    with LoopbackServer(account) as server:
        endpoint = Endpoint("imap", account.user, "127.0.0.1", server.port, "plain")
        assert try_account(endpoint, lambda: account.password, SystemClock()).mailboxes == ("INBOX", "Work")
        with pytest.raises(AuthenticationFailed) as caught:
            try_account(endpoint, lambda: "wrong", SystemClock())
    assert "wrong" not in str(caught.value) + caught.value.hint
    with pytest.raises(SourceUnreachable):
        try_account(endpoint, lambda: account.password, SystemClock())


def test_pop3_and_tls_are_tried_too(start_dovecot: Callable[..., Dovecot]) -> None:
    dovecot = start_dovecot(pop3=True)
    ports = dovecot.ports
    for endpoint in (
        Endpoint("pop3", dovecot.user, "localhost", ports.pop3s, "tls", dovecot.ca_file),
        Endpoint("pop3", dovecot.user, "localhost", ports.pop3, "starttls", dovecot.ca_file),
        Endpoint("imap", dovecot.user, "localhost", ports.imap, "starttls", dovecot.ca_file),
    ):
        assert "INBOX" in try_account(endpoint, lambda: dovecot.password, SystemClock()).mailboxes
        with pytest.raises(TlsFailed):
            try_account(endpoint._replace(ca_file=None), lambda: dovecot.password, SystemClock())


def test_names_that_no_mailbox_has_are_known() -> None:
    assert Trial(("INBOX", "Work/a")).unmatched(["inbox", "Work/*", "Wrok/*"]) == ["Wrok/*"]
