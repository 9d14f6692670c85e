"""The loopback server as the target of a restore, spoken to in bare IMAP."""

from collections.abc import Iterator

import pytest

from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.servers.raw import RawClient

MAIL = b"Subject: one\r\n\r\nfirst\r\n"


@pytest.fixture
def account() -> LoopbackAccount:
    return LoopbackAccount(capabilities=CAPABILITIES | {"CREATE-SPECIAL-USE", "BINARY", "QUOTA"})


@pytest.fixture
def server(account: LoopbackAccount) -> Iterator[LoopbackServer]:
    with LoopbackServer(account) as server:
        yield server


@pytest.fixture
def client(server: LoopbackServer) -> Iterator[RawClient]:
    with RawClient(server) as client:
        yield client


def test_subscriptions_are_kept_with_the_account(account: LoopbackAccount, client: RawClient) -> None:
    account.create("Work")
    assert client.run('LSUB "" *') == ['* LSUB () "/" "INBOX"', '* LSUB () "/" "Work"', "OK Lsub completed"]
    assert client.run("SUBSCRIBE Work") == ["OK Subscribe completed"]
    assert account.subscribed == {b"Work"}
    assert client.run('LSUB "" *') == ['* LSUB () "/" "Work"', "OK Lsub completed"]
    assert client.run('LSUB "" I*') == ["OK Lsub completed"]
    assert client.run("SUBSCRIBE Nowhere")[0].startswith("NO [NONEXISTENT]")
    client.run("UNSUBSCRIBE Work")
    assert account.subscribed == set()
