"""--max-download: no body beyond it is requested, it is remembered over runs and deaths, and the rest comes later."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from mailarchive.archive.archive import open_for_writing, rebuild
from mailarchive.archive.partials import Key
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.options import PullOptions
from mailarchive.ops.report import AccountReport
from tests.fault.archives import Journal, held, ignore_text
from tests.fault.deaths import server as processes
from tests.fault.pacing import OneAtATime
from tests.fault.scripts import pull_at
from tests.integration.sites import COUNT, Site, filled, mail
from tests.servers.faulty import Alter, faulty
from tests.servers.still_clock import START, StillClock

SIZE = len(mail(10))
LIMIT = 10 * SIZE + SIZE // 2


def clock_of(day: int) -> StillClock:
    return StillClock(START + timedelta(days=day))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with LoopbackServer(filled()) as server:
        yield Site(server, tmp_path / "archive")


def limited(site: Site, day: int = 0, limit: int = LIMIT, *, newest_first: bool = False) -> AccountReport:
    site.clock = clock_of(day)
    options = PullOptions(connections=1, max_download=limit, newest_first=newest_first)
    return site.pull(options).accounts[0]


def test_it_stops_before_the_limit_and_says_what_is_left(site: Site) -> None:
    account = limited(site)
    assert (account.status, account.exit_code, account.error, account.warnings) == ("partial", 3, "", [])
    assert account.downloaded_messages == 10
    assert site.server.counts.body_octets == account.downloaded_bytes <= LIMIT
    assert account.left_messages == COUNT + 5 - 10
    total = sum(len(message.octets) for box in ("INBOX", "Other") for message in site.account.messages(box))
    assert account.left_bytes == total - account.downloaded_bytes
    assert str(account.done_by) == "2024-01-05"


def test_it_is_remembered_over_runs_of_a_day_and_forgotten_on_the_next(site: Site) -> None:
    limited(site)
    again = limited(site)
    assert (again.downloaded_messages, again.status, again.left_messages) == (0, "partial", COUNT + 5 - 10)
    counts = [limited(site, day).downloaded_messages for day in range(1, 5)]
    assert counts == [10, 10, 10, 5]
    assert limited(site, 5).status == "complete"
    site.fetched_once()
    site.is_whole()


def test_it_is_remembered_by_a_catalog_that_is_made_anew(site: Site) -> None:
    limited(site)
    catalog, _lines = rebuild(site.root, ignore_text)
    catalog.close()
    assert limited(site).downloaded_messages == 0


def test_it_is_remembered_after_a_death(site: Site) -> None:
    fault = OneAtATime(site.root)
    fault.arm(6, None)
    with faulty(site.server, fault):
        process = processes().Process(target=pull_at, args=(START, site.server.port, site.root, 1, LIMIT))
        process.start()
        assert fault.reached.wait(60)
        process.kill()
        process.join(60)
        recorded = len(Journal.of(site.root).placed())
        fault.go_on.set()
    assert recorded in {5, 6}
    assert limited(site).downloaded_messages == 10 - recorded
    assert limited(site).downloaded_messages == 0


def test_what_has_come_of_a_large_message_counts_on_its_day(site: Site) -> None:
    limited(site, limit=1)
    account = f"user@127.0.0.1:{site.server.port}"
    with open_for_writing(site.root, "test", clock_of(0), ignore_text) as writer:
        with closing(writer.partials.open(Key(account, b"INBOX", 7, 1), 10 << 20)) as partial:
            partial.append(b"x" * (3 * SIZE))
        assert writer.partials.received(account, START) == 3 * SIZE
        assert writer.partials.received(account, START + timedelta(days=1)) == 0
        assert writer.partials.received("another", START) == 0


def test_of_a_large_message_half_received_only_the_rest_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailarchive.ops.plan.LARGE", 20 * SIZE)
    large = mail(7000, 40 * SIZE)
    uid = site.account.append("INBOX", large)
    limited(site, limit=1)
    key = Key(f"user@127.0.0.1:{site.server.port}", b"INBOX", site.account["INBOX"].uidvalidity, uid)
    with (
        open_for_writing(site.root, "test", clock_of(0), ignore_text) as writer,
        closing(writer.partials.open(key, len(large))) as partial,
    ):
        partial.append(large[: 30 * SIZE])
    account = limited(site, limit=len(large), newest_first=True)
    assert account.downloaded_messages == 1
    assert limited(site, limit=len(large)).downloaded_messages == 0
    assert held(site.root)["INBOX", uid] == large


def test_what_came_without_a_limit_counts_too(site: Site) -> None:
    site.clock = clock_of(0)
    site.pull(PullOptions(connections=1, mailboxes=("Other",)))
    assert limited(site).downloaded_messages == 5


def test_a_larger_limit_on_the_same_day_gives_more(site: Site) -> None:
    limited(site)
    assert limited(site, limit=2 * LIMIT).downloaded_messages == 11
    assert limited(site, limit=1 << 40).status == "complete"
    site.fetched_once()


def test_linking_flags_and_what_vanished_go_on(site: Site) -> None:
    site.clock = clock_of(0)
    site.pull()
    for uid in range(1, 21):
        site.account.move("INBOX", uid, "Other")
    site.account.set_flags("INBOX", 30, ["\\Flagged"])
    site.account.append("INBOX", mail(5000))
    account = limited(site, limit=1)
    boxes = {box.mailbox: box for box in account.mailboxes}
    assert (boxes["Other"].linked, boxes["INBOX"].gone, boxes["INBOX"].flags_changed) == (20, 20, 1)
    assert account.downloaded_messages == 0


def test_a_message_larger_than_the_limit_is_named_and_holds_up_nothing(site: Site) -> None:
    site.account.append("INBOX", mail(7000, 100 * SIZE))
    account = limited(site, limit=60 * SIZE)
    assert account.downloaded_messages == COUNT + 5
    (failure,) = account.failures
    assert (failure.mailbox, failure.uid, failure.tries) == ("INBOX", str(COUNT + 1), 0)
    assert "more than may be downloaded in a day" in failure.reason
    assert (account.status, account.left_messages, account.done_by) == ("partial", 0, None)
    assert limited(site, limit=1 << 30).status == "complete"
    site.fetched_once()
    site.is_whole()


def test_sizes_that_lie_are_counted_as_they_come(site: Site) -> None:
    with faulty(site.server, Alter(items={"RFC822.SIZE": b"1"})):
        account = limited(site, limit=10 * SIZE)
        assert (account.downloaded_messages, account.left_messages) == (COUNT, 5)
        assert limited(site, limit=10 * SIZE).downloaded_messages == 0


def test_several_connections_share_what_is_allowed(tmp_path: Path) -> None:
    with LoopbackServer(filled(3000)) as server:
        site = Site(server, tmp_path / "archive")
        site.clock = clock_of(0)
        report = site.pull(PullOptions(connections=4, max_download=1000 * SIZE))
        assert server.counts.body_octets == report.accounts[0].downloaded_bytes <= 1000 * SIZE
        site.fetched_once()


def test_the_newest_of_each_mailbox_come_first(site: Site) -> None:
    limited(site, newest_first=True)
    assert {uid for _box, uid in site.server.counts.body_fetches} == set(range(31, 41))
    limited(site, 1, newest_first=True)
    assert {uid for _box, uid in site.server.counts.body_fetches} == set(range(21, 41))


def test_windows_and_batches_go_from_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailarchive.ops.mailbox_pull.WINDOW", 50)
    monkeypatch.setattr("mailarchive.ops.plan.BATCH_MESSAGES", 20)
    with LoopbackServer(filled(130)) as server:
        site = Site(server, tmp_path / "archive")
        site.pull(PullOptions(connections=1, newest_first=True, mailboxes=("INBOX",)))
        asked = [line.split()[2] for line in server.counts.commands if "BODY.PEEK[]" in line]
        assert asked == ["111:130", "91:110", "81:90", "61:80", "41:60", "31:40", "11:30", "1:10"]
        site.fetched_once()
