"""An account is tried by logging in and listing, once; what is wrong is said with what to do."""

import pytest

from mailarchive.clock import SystemClock
from mailarchive.config import Endpoint
from mailarchive.errors import AuthenticationFailed, SourceUnreachable
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.trial import try_account


def test_what_an_account_has_is_listed() -> None:
    account = LoopbackAccount()
    account.create("Work")
    with LoopbackServer(account) as server:
        endpoint = Endpoint("imap", account.user, "127.0.0.1", server.port, "plain")
        assert try_account(endpoint, account.password, SystemClock()).mailboxes == ("INBOX", "Work")
        with pytest.raises(AuthenticationFailed) as caught:
            try_account(endpoint, "wrong", SystemClock())
    assert "wrong" not in str(caught.value) + caught.value.hint
    with pytest.raises(SourceUnreachable):
        try_account(endpoint, account.password, SystemClock())
