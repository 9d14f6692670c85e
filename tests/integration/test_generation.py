"""UIDs that name other messages under the same UIDVALIDITY: nothing is taken for what it is not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.model import Cursor, UidValidity
from mailarchive.ops.generation import SAMPLE, following, spoken, spread
from tests.fault.archives import no_damage
from tests.integration.sites import Site, filled, mail
from tests.servers.faulty import WrongSizes, faulty

START = datetime(2021, 1, 1, tzinfo=UTC)
PLAIN = CAPABILITIES - {"OBJECTID", "CONDSTORE"}


def make(account: LoopbackAccount, first: int, count: int) -> None:
    """Make ``Box`` with ``count`` messages; its UIDVALIDITY is always 1."""
    account.create("Box").uidvalidity = 1
    for number in range(first, first + count):
        account.append("Box", mail(number, 640 + number), internaldate=START + timedelta(hours=number))


def in_archive(site: Site) -> None:
    site.is_whole()
    no_damage(site.root)


@pytest.mark.parametrize("capabilities", [CAPABILITIES, PLAIN], ids=["ids", "plain"])
@pytest.mark.parametrize("count", [1, 5, 11, 30])
def test_a_mailbox_made_anew_under_the_same_uidvalidity(tmp_path: Path, capabilities: set[str], count: int) -> None:
    account = filled(0, capabilities)
    make(account, 100, 12)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account.delete("Box")
        make(account, 200, count)
        site.pull()
        in_archive(site)
        account.append("Box", mail(999))
        server.counts.clear()
        site.pull()
        assert sum(server.counts.body_fetches.values()) == 1
        in_archive(site)


def test_a_mailbox_that_vanished_and_came_back_with_other_messages(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    make(account, 100, 5)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account.delete("Box")
        site.pull()
        make(account, 200, 5)
        site.pull()
        in_archive(site)
        account.delete("Box")
        site.pull()
        server.counts.clear()
        make(account, 200, 5)
        site.pull()
        assert not server.counts.body_fetches
        in_archive(site)


def change_flags(account: LoopbackAccount) -> None:
    account.set_flags("Box", 3, ["\\Seen"])


def expunge(account: LoopbackAccount) -> None:
    account.expunge("Box", 3, 4)


def append(account: LoopbackAccount) -> None:
    account.append("Box", mail(700), internaldate=START)


@pytest.mark.parametrize("change", [change_flags, expunge, append])
def test_a_mailbox_that_changes_as_mailboxes_do_is_no_other(
    tmp_path: Path, change: Callable[[LoopbackAccount], None]
) -> None:
    account = filled(0, PLAIN)
    make(account, 100, 5)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        change(account)
        site.pull()
        assert not any("anew" in text for text in site.told)
        in_archive(site)


def test_generations_are_told_apart_and_spoken_alike() -> None:
    first = Cursor(UidValidity(7), 1, None, 0)
    second = following(first)
    assert (second.uidvalidity, spoken(second.uidvalidity), spoken(None)) == (7 + 2**32, 7, None)


@pytest.mark.parametrize("count", [0, 1, 2, SAMPLE - 1, SAMPLE, SAMPLE + 1, 1000])
def test_a_sample_is_spread_over_all(count: int) -> None:
    sample = spread(range(count))
    assert len(sample) == len(set(sample)) == min(count, SAMPLE)
    assert sample[:1] == list(range(count))[:1]
    assert sample[-1:] == list(range(count))[-1:]


@pytest.mark.parametrize(("hours", "more"), [(1, 0), (0, 500)], ids=["dates", "sizes"])
def test_messages_that_differ_only_in_date_or_size_are_others_by_their_headers(
    tmp_path: Path, hours: int, more: int
) -> None:
    account = filled(0, PLAIN)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        for first, pull in ((0, True), (100, False)):
            account.create("Box").uidvalidity = 1
            for number in range(12):
                moment = START + timedelta(hours=number + (0 if pull else hours))
                account.append("Box", mail(100 + first + number, 640 + (0 if pull else more)), internaldate=moment)
            if pull:
                site.pull()
                account.delete("Box")
        account.append("Box", mail(999))
        site.pull()
        in_archive(site)


def test_a_server_that_now_tells_other_sizes_shows_the_same_messages(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    make(account, 100, 12)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account.append("Box", mail(999))
        server.counts.clear()
        with faulty(server, WrongSizes()):
            site.pull()
        assert sum(server.counts.body_fetches.values()) >= 1
        assert set(server.counts.body_fetches) == {("Box", 13)}
        assert not any("anew" in text for text in site.told)
