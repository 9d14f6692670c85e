"""Gmail by labels: each body is fetched once, and the archive has the mailboxes that Gmail shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailarchive.archive.archive import open_for_reading, open_for_writing
from mailarchive.archive.writer import Writer
from mailarchive.loopback.gmail import CAPABILITIES, GmailAccount
from mailarchive.loopback.gmail_names import GERMAN
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.options import PullOptions
from mailarchive.ops.report import PullReport
from mailarchive.ops.survey import HIDDEN
from tests.fault.archives import ignore_text
from tests.integration.gmails import ALL, SPAM, TRASH, Gmail, boxes
from tests.integration.sites import mail
from tests.servers.faulty import RefuseCommand, faulty
from tests.servers.still_clock import StillClock

ODD = ["2024", "a b", 'say "hi"', "back\\slash", "Entwürfe", "日本/語 & mehr", "(x)", "Work/Clients", "NIL", "&broken"]
ONE = PullOptions(connections=1)


def fill(account: GmailAccount) -> list[str]:
    """Deliver messages with all kinds of labels; return their ids."""
    kinds: list[list[str]] = [["\\Inbox"], ["\\Inbox", "\\Important", "Work/Clients"], ["\\Sent"], [], ["\\Draft"]]
    names = [account.deliver(mail(n), kinds[n % len(kinds)], flags=["\\Seen"] * (n % 2)) for n in range(20)]
    names += [account.deliver(mail(100 + n), [label, "\\Starred"]) for n, label in enumerate(ODD)]
    names.append(account.deliver(mail(200), ["\\Inbox"]))
    account.put(names[-1], "\\Trash")
    names.append(account.deliver(mail(201)))
    account.put(names[-1], "\\Junk")
    return names


@pytest.fixture(params=[CAPABILITIES, CAPABILITIES - {"CONDSTORE"}], ids=["condstore", "without"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gmail]:
    account = GmailAccount(capabilities=request.param)
    fill(account)
    with LoopbackServer(account) as server:
        yield Gmail(server, tmp_path / "archive")


@pytest.fixture
def site(fresh: Gmail) -> Gmail:
    assert fresh.pull(ONE).status == "complete"
    fresh.server.counts.clear()
    return fresh


def again(site: Gmail, options: PullOptions = ONE) -> PullReport:
    """Rehearse, pull, see that both agree, that no body was fetched, and that the archive is as Gmail is."""
    rehearsed = boxes(site.pull(PullOptions(options.mailboxes, options.exclude, dry_run=True)))
    report = site.pull(options)
    assert rehearsed == boxes(report)
    assert (report.status, report.accounts[0].warnings, site.bodies()) == ("complete", [], 0)
    site.is_gmail()
    return report


def test_each_body_is_fetched_once_and_each_label_is_a_mailbox(fresh: Gmail) -> None:
    rehearsed = boxes(fresh.pull(PullOptions(dry_run=True)))
    report = fresh.pull(PullOptions(connections=2))
    assert report.status == "complete"
    fresh.is_gmail()
    assert fresh.opened() == {ALL, SPAM, TRASH}
    assert fresh.bodies() == report.accounts[0].downloaded_messages == 32
    found = boxes(report)
    assert found[ALL].new == found[ALL].listed == 30
    assert (found["INBOX"].listed, found["INBOX"].new, found["INBOX"].linked) == (8, 8, 8)
    assert {name: box.listed for name, box in rehearsed.items()} == {name: box.listed for name, box in found.items()}


def test_conversations_labels_and_flags_are_kept(site: Gmail) -> None:
    with open_for_reading(site.root, print) as archive:
        numbers = {str(box.name): box.number for box in archive.catalog.mailboxes()}
        there = {record.uid: record for record in archive.catalog.placements(numbers[ALL], gone=False)}
        inbox = list(archive.catalog.placements(numbers["INBOX"], gone=False))
    assert set(there[2].labels) == {"\\Inbox", "\\Important", "Work/Clients"}
    assert there[2].thread_id == there[2].account_id
    assert all(record.thread_id for record in there.values())
    for record in inbox:
        same = there[record.uid]
        assert (record.digest, record.flags, record.date, record.account_id, record.thread_id) == (
            same.digest,
            same.flags,
            same.date,
            same.account_id,
            same.thread_id,
        )
        assert record.labels == ()


def test_without_changes_nothing_is_opened(site: Gmail) -> None:
    report = again(site)
    if "CONDSTORE" in site.account.capabilities:
        assert site.opened() == set()
        assert all(box.unchanged for box in report.accounts[0].mailboxes)
    assert sum(box.new for box in report.accounts[0].mailboxes) == 0
    assert boxes(report)["INBOX"].known == 8


def test_changes_of_labels_and_flags_follow(site: Gmail) -> None:
    site.gmail.label("G1", "New", "Work/Clients", "\\Starred")
    site.gmail.unlabel("G2", "\\Inbox", "\\Important")
    site.account.set_flags(ALL, 6, ["\\Answered"])
    report = again(site)
    found = boxes(report)
    assert (found["New"].new, found["Work/Clients"].new, found["INBOX"].gone, found[ALL].gone) == (1, 1, 1, 0)
    assert found["INBOX"].flags_changed == 2
    assert "INBOX" in site.placed(gone=True)
    with open_for_reading(site.root, print) as archive:
        number = next(box.number for box in archive.catalog.mailboxes() if str(box.name) == "INBOX")
        flags = {record.uid: record.flags for record in archive.catalog.placements(number, gone=False)}
    assert (flags[6], flags[1]) == (("\\Answered",), ("\\Flagged",))
    again(site)


def test_a_message_that_vanishes_leaves_its_labels_too_and_may_come_back(site: Gmail) -> None:
    site.gmail.forget("G2")
    site.gmail.put("G6", "\\Trash")
    report = again(site)
    assert (boxes(report)[ALL].gone, boxes(report)["INBOX"].gone, boxes(report)[TRASH].linked) == (2, 2, 1)
    site.gmail.put("G6", "\\All")
    assert boxes(again(site))["INBOX"].linked == 1


def test_new_mail_is_fetched_once_and_appears_under_its_labels(site: Gmail) -> None:
    site.gmail.deliver(mail(500), ["\\Inbox", "Work/Clients", "Brand new"])
    report = site.pull(ONE)
    assert (site.bodies(), report.accounts[0].downloaded_messages) == (1, 1)
    assert [boxes(report)[name].new for name in (ALL, "INBOX", "Work/Clients", "Brand new")] == [1] * 4
    site.is_gmail()
    site.server.counts.clear()
    again(site)


def test_a_label_that_is_deleted_is_a_mailbox_that_vanished(site: Gmail) -> None:
    site.account.delete("Work/Clients")
    again(site)
    assert any("mailbox Work/Clients is no longer at the server" in text for text in site.told)
    with open_for_reading(site.root, print) as archive:
        present = {str(box.name): box.present for box in archive.catalog.mailboxes()}
    assert not present["Work/Clients"]
    site.gmail.label("G1", "Work/Clients")
    assert boxes(again(site))["Work/Clients"].new == 1


def test_labels_that_imap_does_not_show_are_mailboxes_too(fresh: Gmail) -> None:
    for name in ("Work/Clients", "[Gmail]/Important", "2024", "[Gmail]/Entwürfe"):
        if name in fresh.account:
            fresh.gmail.hide(name)
    assert fresh.pull(ONE).status == "complete"
    fresh.is_gmail()
    fresh.server.counts.clear()
    again(fresh)
    assert fresh.opened() == set() or "CONDSTORE" not in fresh.account.capabilities
    fresh.gmail.show("Work/Clients")
    fresh.gmail.show("[Gmail]/Important")
    assert sum(box.new + box.gone for box in again(fresh).accounts[0].mailboxes) == 0


def test_all_mail_numbered_anew_is_linked(site: Gmail) -> None:
    site.account.reset_uidvalidity(ALL, first_uid=1000)
    report = again(site)
    assert (boxes(report)[ALL].linked, boxes(report)["INBOX"].linked) == (30, 8)
    again(site)


@pytest.mark.parametrize("step", ["labels", "flags", "gone", "mailbox", "cursor", "place", "add"])
def test_a_run_that_dies_in_between_is_done_again(site: Gmail, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site.gmail.label("G1", "New", "Work/Clients")
    site.gmail.unlabel("G2", "\\Inbox")
    site.gmail.label("G2", "\\Starred")
    site.gmail.forget("G6")
    site.gmail.put("G7", "\\Trash")
    site.gmail.deliver(mail(600), ["\\Inbox", "Newer"])

    def die(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Writer, step, die)
        with pytest.raises(KeyboardInterrupt):
            site.pull(ONE)
    assert site.pull(ONE).status == "complete"
    assert site.bodies() == 1 + (step == "add")
    site.is_gmail()
    site.server.counts.clear()
    again(site)


def test_damaged_messages_come_again_and_stay_under_their_labels(site: Gmail) -> None:
    with open_for_reading(site.root, print) as archive:
        lost = [record.digest for record in archive.catalog.placements(1, gone=False)][:3]
    with open_for_writing(site.root, "repair", StillClock(), ignore_text) as writer:
        run = writer.begin("repair")
        for digest in lost:
            writer.lost(digest, "a test says so")
        writer.end(run, 0, [], {}, {})
    report = site.pull(ONE)
    assert (report.status, site.bodies()) == ("complete", 3)
    site.is_gmail()
    site.server.counts.clear()
    again(site)


def test_what_a_budget_leaves_for_later_comes_with_its_labels(fresh: Gmail) -> None:
    limited = PullOptions(connections=1, max_download=5000)
    assert fresh.pull(limited).accounts[0].warnings == []
    fresh.pull(ONE)
    fresh.is_gmail()
    assert fresh.bodies() == 32


def test_if_all_mail_cannot_be_opened_the_labels_are_not_read_and_the_run_says_so(fresh: Gmail) -> None:
    with faulty(fresh.server, RefuseCommand(name="EXAMINE", mailbox=ALL, times=None)):
        report = fresh.pull(ONE)
    assert (report.status, report.exit_code) == ("partial", 3)
    assert boxes(report)["INBOX"].failed == 8
    assert report.accounts[0].warnings == [f"{ALL} was not read, and so neither were the labels"]
    assert fresh.pull(ONE).status == "complete"
    fresh.is_gmail()


def test_another_language_is_a_rename(site: Gmail) -> None:
    for before, after in (
        (ALL, GERMAN["\\All"]),
        ("[Gmail]/Drafts", GERMAN["\\Drafts"]),
        ("[Gmail]/Starred", GERMAN["\\Flagged"]),
        (TRASH, GERMAN["\\Trash"]),
    ):
        site.account.rename(before, after)
    report = again(site)
    assert sum(box.new + box.gone for box in report.accounts[0].mailboxes) == 0
    assert len([text for text in site.told if "was renamed to" in text]) == 4


# -- where all mail is not to be had -----------------------------------------------------------------------------------


def test_with_all_mail_hidden_the_labels_are_read_and_linked(fresh: Gmail) -> None:
    fresh.gmail.hide(ALL)
    assert fresh.pull(PullOptions(dry_run=True)).accounts[0].notes == [HIDDEN]
    report = fresh.pull(PullOptions(connections=2))
    assert (report.status, report.accounts[0].notes) == ("complete", [HIDDEN])
    assert {"INBOX", "[Gmail]/Sent Mail", "Work/Clients"} <= fresh.opened()
    unlabelled = 4
    assert fresh.bodies() == 32 - unlabelled
    expected = {
        name: sorted(octets.values()) for name, octets in fresh.gmail.expected().items() if octets and name != ALL
    }
    assert {name: sorted(octets.values()) for name, octets in fresh.placed().items()} == expected
    fresh.server.counts.clear()
    fresh.gmail.show(ALL)
    report = fresh.pull(ONE)
    assert (report.status, report.accounts[0].notes, fresh.bodies()) == ("complete", [], unlabelled)
    fresh.is_gmail()
    fresh.server.counts.clear()
    again(fresh)
    fresh.gmail.hide(ALL)
    fresh.pull(ONE)
    assert fresh.bodies() == 0
    fresh.gmail.show(ALL)
    again(fresh)


def test_one_label_alone_is_read_where_it_is(fresh: Gmail) -> None:
    only = PullOptions(mailboxes=("INBOX",), connections=1)
    report = fresh.pull(only)
    assert (report.status, fresh.opened(), fresh.bodies()) == ("complete", {"INBOX"}, 8)
    assert set(fresh.placed()) == {"INBOX"}
    fresh.server.counts.clear()
    fresh.pull(ONE)
    assert fresh.bodies() == 32 - 8
    fresh.is_gmail()
    fresh.server.counts.clear()
    fresh.pull(only)
    assert fresh.bodies() == 0
    again(fresh)


def test_a_label_that_is_left_out_gets_no_placements_until_it_is_not(site: Gmail) -> None:
    without = PullOptions(exclude=("Work/*", "INBOX"), connections=1)
    site.gmail.label("G1", "Work/Clients")
    site.gmail.unlabel("G6", "\\Inbox")
    before = site.placed()
    report = site.pull(without)
    assert boxes(report)["INBOX"].excluded == 7
    assert (site.placed()["INBOX"], site.placed()["Work/Clients"]) == (before["INBOX"], before["Work/Clients"])
    report = again(site)
    assert (boxes(report)["INBOX"].gone, boxes(report)["Work/Clients"].new) == (1, 1)
    again(site)


def test_all_mail_alone_keeps_the_labels_for_later(fresh: Gmail) -> None:
    assert fresh.pull(PullOptions(mailboxes=(ALL, SPAM, TRASH))).status == "complete"
    assert set(fresh.placed()) == {ALL, SPAM, TRASH}
    fresh.server.counts.clear()
    report = again(fresh)
    assert boxes(report)["INBOX"].linked == 8


def test_messages_that_all_mail_does_not_show_are_missed(fresh: Gmail) -> None:
    for number in range(6):
        fresh.gmail.deliver(mail(900 + number), [])
    fresh.gmail.limit(5)
    assert len(fresh.pull(PullOptions(dry_run=True)).accounts[0].warnings) == 1
    report = fresh.pull(ONE)
    assert (report.status, report.exit_code) == ("partial", 3)
    (warning,) = report.accounts[0].warnings
    assert f"{ALL} does not show all messages of " in warning
    assert " and " in warning
    assert "some providers limit what IMAP shows" in warning
    fresh.gmail.limit(None)
    assert fresh.pull(ONE).status == "complete"
    fresh.is_gmail()


def test_chats_are_read_where_they_are(fresh: Gmail) -> None:
    fresh.account.create("[Gmail]/Chats")
    fresh.gmail.deliver(mail(700), ["[Gmail]/Chats"])
    assert fresh.pull(ONE).status == "complete"
    assert fresh.opened() == {ALL, SPAM, TRASH, "[Gmail]/Chats"}
    assert fresh.bodies() == 33
    fresh.is_gmail()


def test_a_server_with_one_uidvalidity_for_all_mailboxes(fresh: Gmail) -> None:
    for box in fresh.account.mailboxes():
        box.uidvalidity = 1
    assert fresh.pull(ONE).status == "complete"
    assert fresh.opened() == {ALL, SPAM, TRASH}
    bodies = fresh.bodies()
    fresh.is_gmail()
    fresh.gmail.hide(ALL)
    fresh.pull(ONE)
    fresh.gmail.show(ALL)
    fresh.pull(ONE)
    fresh.gmail.label("G1", "New")
    fresh.pull(ONE)
    assert fresh.bodies() == bodies
    fresh.is_gmail()
