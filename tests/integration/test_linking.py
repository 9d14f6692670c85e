"""What the archive has is recognised, and not downloaded again; counted at the server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailarchive.loopback.account import CAPABILITIES
from mailarchive.loopback.gmail import GmailAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.options import PullOptions
from mailarchive.ops.report import PullReport
from tests.fault.archives import held
from tests.integration.sites import COUNT, Site, filled, mail
from tests.servers.faulty import WrongSizes, faulty

PLAIN = CAPABILITIES - {"OBJECTID"}
DATE = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(params=[CAPABILITIES, PLAIN], ids=["with-emailid", "by-header"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with LoopbackServer(filled(capabilities=request.param)) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        server.counts.clear()
        yield site


def again(site: Site, options: PullOptions | None = None) -> PullReport:
    """Pull, see that the archive is what the account is, and that no body was fetched."""
    report = site.pull(options)
    assert report.status == "complete"
    assert not site.server.counts.body_fetches
    site.is_whole()
    return report


def linked(report: PullReport) -> int:
    return sum(mailbox.linked for mailbox in report.accounts[0].mailboxes)


def test_moved_messages_are_linked(site: Site) -> None:
    for uid in range(1, COUNT + 1):
        site.account.move("INBOX", uid, "Other")
    report = again(site)
    assert linked(report) == COUNT
    assert {box.mailbox: (box.new, box.gone) for box in report.accounts[0].mailboxes} == {
        "INBOX": (0, COUNT),
        "Other": (COUNT, 0),
    }


def test_copied_messages_are_linked(site: Site) -> None:
    for uid in (3, 4, 5):
        site.account.copy("INBOX", uid, "Other")
    assert linked(again(site)) == 3


def test_a_mailbox_that_is_numbered_anew_is_linked(site: Site) -> None:
    site.account.reset_uidvalidity("INBOX", first_uid=1000)
    assert linked(again(site)) == COUNT


def test_a_mailbox_that_was_made_anew_with_another_name_is_linked(site: Site) -> None:
    site.account.rename("Other", "Elsewhere")
    site.account.reset_uidvalidity("Elsewhere")
    assert linked(again(site)) == 5


def test_equal_messages_of_a_first_pull_are_fetched_once(tmp_path: Path) -> None:
    account = filled()
    for uid in range(1, COUNT + 1):
        account.copy("INBOX", uid, "Other")
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        report = site.pull(PullOptions(connections=2))
        assert linked(report) == COUNT
        assert sum(server.counts.body_fetches.values()) == COUNT + 5
        site.is_whole()


def test_the_same_account_under_another_host_name_is_linked(site: Site) -> None:
    report = again(site, PullOptions())
    assert linked(report) == 0
    site.host = "localhost"
    assert linked(again(site)) == COUNT + 5


def test_messages_of_equal_header_and_size_are_not_linked_when_both_are_there(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    head = b"Subject: the same\r\nDate: Wed, 1 May 2024 12:00:00 +0000\r\n\r\n"
    account.append("INBOX", head + b"one", internaldate=DATE)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account.append("INBOX", head + b"two", internaldate=DATE)
        account.append("Other", head + b"six", internaldate=DATE + timedelta(seconds=1))
        site.pull()
        site.is_whole()
        account.reset_uidvalidity("INBOX")
        site.pull()
        site.is_whole()


def test_paranoid_downloads_and_compares(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    head = b"Subject: the same\r\nDate: Wed, 1 May 2024 12:00:00 +0000\r\n\r\n"
    account.append("INBOX", head + b"one", internaldate=DATE)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account.append("Other", head + b"two", internaldate=DATE)
        report = site.pull(PullOptions(paranoid=True))
        assert linked(report) == 0
        assert report.accounts[0].downloaded_messages == 1
        assert report.accounts[0].notes == ["message 6 of Other is not what its header looks like"]
        site.is_whole()


def test_a_rehearsal_counts_copies_once_where_the_server_names_them(tmp_path: Path) -> None:
    account = filled()
    for uid in range(1, COUNT + 1):
        account.copy("INBOX", uid, "Other")
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        report = site.pull(PullOptions(dry_run=True))
        assert (report.accounts[0].to_fetch_messages, linked(report)) == (COUNT + 5, COUNT)


def test_mail_without_header_is_never_linked_by_it(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    account.append("INBOX", b"\r\none", internaldate=DATE)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account.append("Other", b"\r\ntwo", internaldate=DATE)
        site.pull()
        site.is_whole()


def test_what_came_in_this_run_is_linked_too(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    account.create("Z")
    for number in range(20):
        account.append("INBOX", mail(number), internaldate=DATE)
        account.append("Z", mail(number), internaldate=DATE)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        assert linked(site.pull()) == 20
        assert sum(server.counts.body_fetches.values()) == 25
        site.is_whole()


def test_a_renamed_mailbox_is_renamed_and_not_even_opened_for_its_mail(site: Site) -> None:
    site.account.rename("INBOX", "Old mail")
    site.account.create("INBOX")
    report = again(site)
    assert any("INBOX was renamed to Old mail" in text for text in site.told)
    assert [(box.new, box.gone) for box in report.accounts[0].mailboxes] == [(0, 0)] * 3
    assert sum("FETCH" in str(line) for line in site.server.counts.commands) == 1


def test_mailboxes_renamed_with_their_parent_are_told_apart_though_they_share_a_uidvalidity(tmp_path: Path) -> None:
    account = filled(0)
    for name in ("a", "a/b", "a/c"):
        account.create(name).uidvalidity = 77
        for number in range(3):
            account.append(name, mail(len(name) * 100 + ord(name[-1]) + number))
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        server.counts.clear()
        account.rename("a", "z")
        report = again(site)
        renamed = {text.split("mailbox ")[1] for text in site.told if "renamed" in text}
        assert renamed == {"a was renamed to z", "a/b was renamed to z/b", "a/c was renamed to z/c"}
        assert sum(box.gone for box in report.accounts[0].mailboxes) == 0


def test_a_mailbox_made_anew_is_no_renamed_one(tmp_path: Path) -> None:
    account = filled(0)
    account.create("a").uidvalidity = 77
    account.append("a", mail(1))
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account.delete("a")
        account.create("b").uidvalidity = 77
        account.append("b", mail(2, 900))
        site.pull()
        assert not any("renamed" in text for text in site.told)
        site.is_whole()


def test_an_alarm_is_raised_when_much_has_vanished(site: Site) -> None:
    site.account.expunge("INBOX", *range(1, 31))
    report = site.pull()
    assert (report.status, report.exit_code) == ("partial", 3)
    assert "30 of 40 messages of INBOX have vanished" in report.accounts[0].warnings[0]
    site.is_whole()
    assert site.pull().status == "complete"


def test_an_alarm_is_raised_for_a_deleted_mailbox(site: Site) -> None:
    site.account.rename("INBOX", "x")
    site.pull()
    site.account.delete("x")
    site.account.create("INBOX") if "INBOX" not in site.account else None
    assert "40 of 40 messages of x have vanished" in site.pull().accounts[0].warnings[0]


@pytest.mark.parametrize(("count", "share"), [(19, 0.0), (20, 0.5), (30, 0.75)])
def test_no_alarm_is_raised_for_less(site: Site, count: int, share: float) -> None:
    site.account.expunge("INBOX", *range(1, count + 1))
    assert site.pull(PullOptions(gone_alarm=share)).status == "complete"


def test_a_rehearsal_knows_what_would_be_linked(site: Site) -> None:
    for uid in range(1, 11):
        site.account.move("INBOX", uid, "Other")
    site.account.append("Other", mail(5000))
    report = site.pull(PullOptions(dry_run=True))
    assert (report.accounts[0].to_fetch_messages, linked(report)) == (1, 10)
    assert not site.server.counts.body_fetches


def test_where_sizes_are_not_true_the_end_of_the_text_decides_and_the_report_says_so(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    for number in range(COUNT):
        account.append("INBOX", mail(number, 50_000), internaldate=DATE)
    head = b"Subject: the same\r\nDate: Wed, 1 May 2024 12:00:00 +0000\r\n\r\n"
    account.append("Other", head + b"one", internaldate=DATE)
    with LoopbackServer(account) as server, faulty(server, WrongSizes()):
        site = Site(server, tmp_path / "archive")
        site.pull()
        server.counts.clear()
        account.reset_uidvalidity("INBOX")
        account.expunge("Other", 6)
        account.append("Other", head + b"two", internaldate=DATE)
        report = site.pull()
        assert linked(report) == COUNT
        assert server.counts.body_octets < 6000 * COUNT
        assert any("true size of 40 messages" in note for note in report.accounts[0].notes)
        site.is_whole()


TWIN = b"Subject: Cron <root@nas>\r\nDate: Wed, 1 May 2024 12:00:00 +0000\r\n\r\n"


@pytest.mark.parametrize("hidden", [False, True])
def test_messages_that_the_servers_ids_tell_apart_are_never_taken_for_one(tmp_path: Path, hidden: bool) -> None:
    account = GmailAccount()
    account.deliver(TWIN + b"disk sda FAILED\r\n", ["a"], internaldate=DATE)
    other = account.deliver(TWIN + b"disk sdb FAILED\r\n", ["b"], internaldate=DATE)
    if hidden:
        account.hide("[Gmail]/All Mail")
    else:
        account.put(other, "\\Trash")
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        site.pull()
        assert set(held(site.root).values()) == {TWIN + b"disk sda FAILED\r\n", TWIN + b"disk sdb FAILED\r\n"}


def test_a_twin_beside_a_message_that_was_numbered_anew_is_no_copy_of_it(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    account.append("INBOX", TWIN + b"one", internaldate=DATE)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account.reset_uidvalidity("INBOX")
        assert linked(site.pull()) == 1
        account.append("INBOX", TWIN + b"two", internaldate=DATE)
        site.pull()
        site.is_whole()


def test_one_id_for_all_messages_is_not_believed(tmp_path: Path) -> None:
    account = filled(0)
    for number in range(5):
        account.append("INBOX", mail(number), internaldate=DATE, email_id="M0")
    account.append("INBOX", mail(0), internaldate=DATE, email_id="M0")
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        site.is_whole()


def test_a_message_of_very_many_mailboxes_is_fetched_once(tmp_path: Path) -> None:
    account = filled(0, PLAIN)
    for number in range(90):
        account.create(f"box {number}")
        account.append(f"box {number}", mail(0), internaldate=DATE)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        assert sum(server.counts.body_fetches.values()) == 5 + 1
        site.is_whole()


def test_an_alarm_is_raised_for_a_mailbox_made_anew(site: Site) -> None:
    site.account.delete("INBOX")
    site.account.create("INBOX")
    site.account.append("INBOX", mail(999))
    assert "40 of 40 messages of INBOX have vanished" in site.pull().accounts[0].warnings[0]
    site.is_whole()
