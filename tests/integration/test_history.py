"""What happened at the server is told as what it was: a move as a move, a rename as a rename."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailarchive.loopback.account import CAPABILITIES
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops import browse
from mailarchive.ops.history import MessageChange, history
from mailarchive.ops.pull import PullOptions
from mailarchive.ops.selection import Selection
from tests.integration.sites import Site, filled, mail

COUNT = 10


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with LoopbackServer(filled(COUNT, CAPABILITIES - {"OBJECTID"})) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        yield site


def told(site: Site, *, pull: bool = True) -> list[tuple[object, ...]]:
    """Pull, and return in short what the last run did to mailboxes, then to messages."""
    if pull:
        assert site.pull(PullOptions(gone_alarm=1)).status == "complete"
    (last,) = history(site.root, 1)
    assert last.left_out == 0
    mailboxes = [(one.event, one.was, one.mailbox, one.messages) for one in last.mailboxes]
    return [*mailboxes, *map(in_short, last.messages)]


def in_short(change: MessageChange) -> tuple[object, ...]:
    return change.event, change.was, change.mailbox, change.subject


def test_the_first_run_brings_messages_and_no_news_of_mailboxes(site: Site) -> None:
    assert [one[0] for one in told(site, pull=False)] == ["new"] * (COUNT + 5)
    assert told(site) == []


def test_a_move_is_a_move_and_a_copy_is_new_and_recognised(site: Site) -> None:
    site.account.move("INBOX", 3, "Other")
    site.account.copy("INBOX", 4, "Other")
    site.account.expunge("INBOX", 1)
    site.account.append("INBOX", mail(500))
    assert told(site) == [
        ("moved", "INBOX", "Other", "2"),
        ("new", None, "INBOX", "500"),
        ("new", None, "Other", "3"),
        ("gone", None, "INBOX", "0"),
    ]
    (last,) = history(site.root, 1)
    assert [one.linked for one in last.messages] == [True, False, True, False]


@pytest.mark.parametrize(("first", "second"), [("INBOX", "Other"), ("Other", "INBOX")])
def test_a_move_that_two_runs_saw_half_each_is_one_of_the_second(site: Site, first: str, second: str) -> None:
    site.account.move("INBOX", 3, "Other")
    site.pull(PullOptions(mailboxes=(first,)))
    half = ("gone", None, "INBOX", "2") if first == "INBOX" else ("new", None, "Other", "2")
    assert told(site, pull=False) == [half]
    site.pull(PullOptions(mailboxes=(second,)))
    assert told(site, pull=False) == [("moved", "INBOX", "Other", "2")]
    assert [run.messages[0].event for run in history(site.root, 2)] == [half[0], "moved"]


def test_a_renamed_mailbox_is_that_and_nothing_else(site: Site) -> None:
    site.account.rename("Other", "Elsewhere")
    assert told(site) == [("renamed", "Other", "Elsewhere", 0)]


def test_an_inbox_that_was_renamed_left_its_messages_elsewhere(site: Site) -> None:
    site.account.rename("INBOX", "Elsewhere")
    site.account.create("INBOX")
    site.account.reset_uidvalidity("Elsewhere")
    site.account.expunge("Elsewhere", 1)
    site.account.append("Elsewhere", mail(500))
    assert told(site) == [
        ("numbered anew", None, "INBOX", 0),
        ("appeared", None, "Elsewhere", 0),
        *(("moved", "INBOX", "Elsewhere", str(number)) for number in range(1, COUNT)),
        ("new", None, "Elsewhere", "500"),
        ("gone", None, "INBOX", "0"),
    ]


def test_a_mailbox_made_anew_under_another_name_is_renamed_if_it_has_most_of_the_messages(site: Site) -> None:
    site.account.rename("Other", "Elsewhere")
    site.account.reset_uidvalidity("Elsewhere")
    site.account.move("Elsewhere", 1, "INBOX")
    site.account.append("Elsewhere", mail(500))
    assert told(site) == [
        ("renamed", "Other", "Elsewhere", 4),
        ("moved", "Other", "INBOX", "1000"),
        ("new", None, "Elsewhere", "500"),
    ]


def test_a_mailbox_with_fewer_of_the_messages_is_another_one(site: Site) -> None:
    site.account.rename("Other", "Elsewhere")
    site.account.reset_uidvalidity("Elsewhere")
    site.account.expunge("Elsewhere", 1, 2)
    changes = told(site)
    assert changes[:2] == [("vanished", None, "Other", 5), ("appeared", None, "Elsewhere", 0)]
    assert sorted(str(one[0]) for one in changes[2:]) == ["gone"] * 2 + ["moved"] * 3


def test_a_mailbox_numbered_anew_is_told_with_what_came_along(site: Site) -> None:
    site.account.expunge("INBOX", 1)
    site.account.reset_uidvalidity("INBOX", first_uid=70)
    assert told(site) == [("numbered anew", None, "INBOX", COUNT - 1), ("gone", None, "INBOX", "0")]


def test_a_deleted_mailbox_has_vanished_and_comes_back_as_one_that_appears(site: Site) -> None:
    site.account.delete("Other")
    assert told(site) == [("vanished", None, "Other", 5), *(("gone", None, "Other", str(1000 + n)) for n in range(5))]
    site.account.create("Other")
    assert told(site) == [("appeared", None, "Other", 0)]


def test_only_so_many_messages_are_told_and_the_others_counted(site: Site) -> None:
    (first,) = history(site.root, None, 3)
    assert (len(first.messages), first.left_out) == (3, COUNT + 2)
    assert list(history(site.root, 0)) == []


def test_where_a_message_is_now_that_is_gone_from_a_mailbox(site: Site) -> None:
    digest = next(row.digest for row in browse.messages(site.root, Selection(("INBOX",))) if row.uid == "3")
    site.account.create("Third")
    new = site.account.move("INBOX", 3, "Other")
    site.account.copy("Other", new, "Third")
    site.account.expunge("INBOX", 1)
    site.account.copy("INBOX", 2, "INBOX")
    site.account.expunge("INBOX", 2)
    site.pull()
    moved = list(browse.messages(site.root, Selection(gone=True, moved=True)))
    assert [(row.uid, row.mailbox, row.moved_to, row.digest) for row in moved] == [
        ("3", "INBOX", ("Other", "Third"), digest)
    ]
    gone = list(browse.messages(site.root, Selection(gone=True)))
    assert [(row.uid, row.moved_to) for row in gone] == [("1", ()), ("2", ()), ("3", ("Other", "Third"))]
    places = browse.show(site.root, digest).placements
    assert [place.split("  ")[-1] for place in places if "gone since" in place] == ["moved to Other, Third"]
