"""Counted by a real Dovecot: what the archive has is not downloaded again, wherever it is found."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from mailarchive.loopback import corpus
from tests.integration.test_dovecot_pull import Pulled
from tests.servers.dovecot import Dovecot

COUNT = 1000
SHARE = 0.05
"""What facts and headers may be of the mail that they stand for."""


class Cost(NamedTuple):
    """What a pull asked of the server."""

    linked: int
    bodies: int
    headers: int
    octets: int


class Mailing(Pulled):
    """An archive of an account whose mail was pulled, and what further pulls cost."""

    def cost(self, url: str = "") -> Cost:
        """Pull, and return what the server counted."""
        server = self.server
        before = server.body_fetches(), server.header_fetches(), server.octets_sent()
        account = self.pull("--gone-alarm", "1", url=url)
        assert account["status"] == "complete"
        after = server.body_fetches(), server.header_fetches(), server.octets_sent()
        return Cost(account["linked"], *(now - then for then, now in zip(before, after, strict=True)))


@pytest.fixture
def mailing(start_dovecot: Callable[..., Dovecot], tmp_path: Path) -> tuple[Mailing, int]:
    """Return an archive of COUNT realistic messages, and their octets."""
    server = start_dovecot(mail_format="maildir")
    total = server.load_all(replace(mail, mailbox="INBOX") for mail in corpus.realistic(COUNT, 5))
    mailing = Mailing(server, tmp_path / "archive")
    first = mailing.cost()
    assert first.bodies == COUNT
    return mailing, total


def test_what_is_in_the_archive_is_not_fetched_again(mailing: tuple[Mailing, int]) -> None:
    pulled, total = mailing
    server = pulled.server
    costs: dict[str, Cost] = {"nothing changed": pulled.cost()}
    server.create("Archive")
    server.doveadm("move", "-u", server.user, "Archive", "mailbox", "INBOX", "all")
    costs["moved"] = pulled.cost()
    server.doveadm("copy", "-u", server.user, "INBOX", "mailbox", "Archive", "all")
    costs["copied"] = pulled.cost()
    for path in server.mail.joinpath(".Archive").glob("dovecot*"):
        path.unlink()
    costs["numbered anew"] = pulled.cost()
    server.doveadm("mailbox", "rename", "-u", server.user, "Archive", "Renamed")
    costs["renamed"] = pulled.cost()
    costs["other host name"] = pulled.cost(f"imap://{server.user}@localhost:{server.port}")
    assert {name: cost.linked for name, cost in costs.items()} == {
        "nothing changed": 0,
        "moved": COUNT,
        "copied": COUNT,
        "numbered anew": COUNT,
        "renamed": 0,
        "other host name": 2 * COUNT,
    }
    assert [cost.bodies for cost in costs.values()] == [0] * len(costs)
    assert [cost.headers for cost in costs.values()] == [cost.linked for cost in costs.values()]
    assert (costs["nothing changed"].octets, costs["renamed"].octets) < (3000, 10_000)
    assert all(cost.octets <= max(10_000, SHARE * total * cost.linked / COUNT) for cost in costs.values())


def test_what_came_over_pop3_is_not_fetched_over_imap(start_dovecot: Callable[..., Dovecot], tmp_path: Path) -> None:
    server = start_dovecot(mail_format="maildir", pop3=True)
    total = server.load_all(replace(mail, mailbox="INBOX") for mail in corpus.realistic(COUNT, 5))
    mailing = Mailing(server, tmp_path / "archive")
    first = mailing.pull(url=f"pop3://{server.user}@127.0.0.1:{server.ports.pop3}")
    assert (first["downloaded_messages"], first["linked"]) == (COUNT, 0)
    cost = mailing.cost()
    assert cost[:3] == (COUNT, 0, COUNT)
    assert cost.octets < SHARE * total


def test_what_came_over_imap_is_not_retrieved_over_pop3(start_dovecot: Callable[..., Dovecot], tmp_path: Path) -> None:
    server = start_dovecot(mail_format="maildir", pop3=True)
    server.load_all(replace(mail, mailbox="INBOX") for mail in corpus.small(COUNT, 5))
    mailing = Mailing(server, tmp_path / "archive")
    assert mailing.cost().bodies == COUNT
    account = mailing.pull(url=f"pop3://{server.user}@127.0.0.1:{server.ports.pop3}")
    assert (account["downloaded_messages"], account["linked"]) == (0, COUNT)
    assert server.retrieved(sessions=1) == 0
