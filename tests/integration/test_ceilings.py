"""Servers that show less than there is: what is said, and whether the run counts as complete."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from mailarchive.clock import Stop
from mailarchive.errors import AuthenticationFailed, SourceError, Throttled
from mailarchive.loopback.account import CAPABILITIES
from mailarchive.loopback.server import LoopbackServer
from mailarchive.model import Account
from mailarchive.ops.events import ignore
from mailarchive.ops.options import PullAccount, PullOptions
from mailarchive.ops.pull import pull
from mailarchive.sources.base import Source
from tests.integration.sites import Site, filled, mail
from tests.servers.faulty import ShortSearch, faulty
from tests.servers.still_clock import StillClock


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    account = filled(0)
    for number in range(1000):
        account.append("INBOX", mail(number, 64))
    with LoopbackServer(account) as server:
        yield Site(server, tmp_path / "archive")


def test_a_round_number_of_messages_is_worth_a_note_and_no_more(site: Site) -> None:
    assert len(site.pull(PullOptions(dry_run=True)).accounts[0].notes) == 1
    report = site.pull()
    assert (report.status, report.exit_code, report.accounts[0].warnings) == ("complete", 0, [])
    (note,) = report.accounts[0].notes
    assert "INBOX shows exactly 1000 messages: perhaps the server hides others" in note
    site.account.set_flags("INBOX", 1, ["\\Flagged"])
    report = site.pull()
    assert (report.status, report.accounts[0].notes) == ("complete", [])


def test_a_window_over_more_messages_than_it_shows_makes_the_run_partial(site: Site) -> None:
    site.pull()
    site.account.expunge("INBOX", 1)
    site.account.append("INBOX", mail(2000))
    report = site.pull()
    assert (report.status, report.exit_code) == ("partial", 3)
    assert "still shows exactly 1000 messages although new ones came" in report.accounts[0].warnings[0]


def test_a_mailbox_numbered_anew_is_no_window(site: Site) -> None:
    site.pull()
    site.account.reset_uidvalidity("INBOX")
    report = site.pull()
    assert (report.status, report.accounts[0].notes) == ("complete", [])


def test_a_search_that_stops_at_a_ceiling_loses_nothing(site: Site) -> None:
    site.account.append("INBOX", mail(2000))
    with faulty(site.server, ShortSearch(limit=1000)):
        report = site.pull()
    assert (report.status, report.accounts[0].notes, report.accounts[0].warnings) == ("complete", [], [])
    site.is_whole()


def test_a_server_that_takes_few_messages_at_a_time_is_read_whole(tmp_path: Path) -> None:
    account = filled(50, {*CAPABILITIES, "MESSAGELIMIT=7"})
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        assert site.pull().status == "complete"
        site.is_whole()
        site.fetched_once()
        account.set_flags("INBOX", 3, ["\\Flagged"])
        account.set_flags("INBOX", 44, ["\\Flagged"])
        account.expunge("INBOX", 7)
        account.append("INBOX", mail(500))
        report = site.pull().accounts[0]
        assert {box.mailbox: (box.new, box.gone, box.flags_changed) for box in report.mailboxes if box.new} == {
            "INBOX": (1, 1, 2)
        }
        site.is_whole()


@dataclass
class Refusing:
    """What cannot be connected to."""

    error: SourceError

    def __call__(self) -> Source:
        raise self.error


def hint(root: Path, url: str, error: SourceError, *, dry_run: bool = False) -> str:
    target = PullAccount(Account("me@host", "imap", url), Refusing(error))
    options = PullOptions(dry_run=dry_run)
    report = pull(root, [target], options, observer=ignore, clock=StillClock(), stop=Stop())
    return report.accounts[0].hint


@pytest.mark.parametrize("dry_run", [False, True])
def test_who_is_not_let_in_hears_what_his_provider_wants(tmp_path: Path, dry_run: bool) -> None:
    refused = partial(hint, tmp_path, error=AuthenticationFailed("no"), dry_run=dry_run)
    assert "myaccount.google.com/apppasswords" in refused(url="imaps://me%40gmail.com@imap.gmail.com")
    assert "only OAuth" in refused(url="imaps://me@outlook.office365.com")
    assert refused(url="imaps://me@imap.example.org") == AuthenticationFailed.default_hint
    said = hint(tmp_path, "imaps://me@imap.gmail.com", AuthenticationFailed("no", hint="give one"), dry_run=dry_run)
    assert said.startswith("give one; Gmail wants")


def test_who_is_slowed_down_hears_how_much_his_provider_allows(tmp_path: Path) -> None:
    assert "2,500 MB a day" in hint(tmp_path, "imaps://me@imap.gmail.com", Throttled("slow"))
