"""Pulls over the wire from a server that misbehaves: everything that can come does, once, and the counts add up."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from mailarchive.clock import Stop
from mailarchive.config import Endpoint, account_of
from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.faults import Fault
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops import browse
from mailarchive.ops.pull import PullAccount, PullOptions, pull
from mailarchive.ops.selection import Selection
from mailarchive.sources.registry import connect
from tests.fault.archives import held
from tests.integration.sites import COUNT, Site, filled, mail
from tests.servers.faulty import (
    ActBefore,
    Alter,
    BodyAs,
    Bye,
    ByeAtCommand,
    Cut,
    CutAtCommand,
    GreetWithBye,
    Interject,
    Omit,
    Refuse,
    RefuseCommand,
    ShortSearch,
    Stall,
    Trickle,
    faulty,
)
from tests.servers.still_clock import StillClock


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with LoopbackServer(filled()) as server:
        yield Site(server, tmp_path / "archive")


@pytest.mark.parametrize("after", [0, 1, 100, 300])
@pytest.mark.parametrize("fault", [Cut, Stall])
def test_a_line_that_breaks_in_a_literal_costs_only_that_message(
    site: Site, fault: Callable[..., Fault], after: int
) -> None:
    with faulty(site.server, fault(after=after, skip=7)):
        report = site.pull(stall=0.3)
    assert report.status == "complete"
    site.is_whole()
    assert sum(site.server.counts.body_fetches.values()) <= COUNT + 5 + 2


def test_a_slow_line_that_moves_is_no_stall(site: Site) -> None:
    with faulty(site.server, Trickle(uids=[1], octets=8, seconds=0.02)):
        assert site.pull(stall=0.25).status == "complete"
    site.fetched_once()
    site.is_whole()


@pytest.mark.parametrize(
    "fault",
    [
        Bye(skip=5),
        GreetWithBye(),
        ByeAtCommand(name="LOGIN"),
        ByeAtCommand(name="UID FETCH", skip=1),
        CutAtCommand(name="EXAMINE"),
        CutAtCommand(name="LIST"),
        CutAtCommand(name="UID FETCH"),
    ],
    ids=lambda fault: f"{type(fault).__name__}-{getattr(fault, 'name', '')}",
)
def test_a_server_that_hangs_up_is_asked_again(site: Site, fault: Fault) -> None:
    with faulty(site.server, fault):
        assert site.pull().status == "complete"
    site.is_whole()
    site.fetched_once(2)


@pytest.mark.parametrize("trouble", [Refuse, Omit, partial(BodyAs, form="nil")])
def test_one_message_that_does_not_come_holds_up_no_other(site: Site, trouble: Callable[..., Fault]) -> None:
    with faulty(site.server, trouble(uids=[17], mailbox="INBOX")):
        report = site.pull()
    assert report.status == "partial"
    assert report.exit_code == 3
    account = report.accounts[0]
    assert [(failure.mailbox, failure.uid, failure.tries) for failure in account.failures] == [("INBOX", "17", 1)]
    assert account.downloaded_messages == COUNT + 4
    assert len(held(site.root)) == COUNT + 4
    again = site.pull()
    assert again.status == "complete"
    assert again.accounts[0].downloaded_messages == 1
    site.is_whole()


def test_a_failure_is_counted_over_runs_and_looked_for_again(site: Site) -> None:
    with faulty(site.server, Refuse(uids=[3], mailbox="INBOX", text="[UNAVAILABLE] no \x1b[2J such luck")):
        for tries in (1, 2, 3):
            failure = site.pull().accounts[0].failures[0]
            assert failure.tries == tries
            assert "\x1b" not in failure.reason


@pytest.mark.parametrize("size", [b"1", b"99999999", b"0"])
def test_a_size_that_lies_is_no_matter(site: Site, size: bytes) -> None:
    with faulty(site.server, Alter(items={"RFC822.SIZE": size})):
        assert site.pull().status == "complete"
    site.is_whole()


@pytest.mark.parametrize("value", [b'"99-Foo-20x4 25:61:61 +9999"', b'""', b"NIL"])
def test_a_date_that_cannot_be_read_is_no_matter(site: Site, value: bytes) -> None:
    with faulty(site.server, Alter(items={"INTERNALDATE": value})):
        assert site.pull().status == "complete"
    site.is_whole()
    assert all(row.internaldate is None for row in browse.messages(site.root, Selection()))


def test_untold_of_news_between_answers_is_no_matter(site: Site) -> None:
    lines = ("* 41 EXISTS", "* 2 FETCH (FLAGS (\\Seen))", "* OK [ALERT] hello", "* 1 RECENT")
    with faulty(site.server, Interject(facts=False, lines=lines, times=9)):
        assert site.pull().status in {"complete", "partial"}
    assert site.pull().status == "complete"
    site.is_whole()
    site.fetched_once()


def test_a_message_that_is_expunged_before_its_body_is_asked_for_is_no_failure(site: Site) -> None:
    with faulty(site.server, ActBefore(name="UID FETCH", skip=1, act=lambda: site.account.expunge("INBOX", 5, 6))):
        report = site.pull()
    assert report.accounts[0].failures == []
    assert site.pull().status == "complete"
    site.is_whole()


def test_a_search_that_stops_early_is_not_believed(site: Site) -> None:
    with faulty(site.server, ShortSearch(limit=10)):
        assert site.pull().status == "complete"
    site.is_whole()


def test_a_mailbox_that_vanishes_before_it_is_opened_is_no_failure(site: Site) -> None:
    with faulty(site.server, ActBefore(name="EXAMINE", mailbox=None, act=lambda: _delete(site.account, "Other"))):
        report = site.pull()
    assert report.accounts[0].failures == []
    site.is_whole()


def _delete(account: LoopbackAccount, name: str) -> None:
    if name in account:
        account.delete(name)


def test_a_mailbox_that_cannot_be_opened_is_listed_and_the_others_come(site: Site) -> None:
    with faulty(site.server, RefuseCommand(name="EXAMINE", skip=1, times=None)):
        report = site.pull()
    assert report.status == "partial"
    assert len(report.accounts[0].failures) == 1
    assert held(site.root)


@pytest.mark.parametrize(
    "missing",
    [
        {"CONDSTORE"},
        {"ESEARCH"},
        {"LIST-STATUS", "LIST-EXTENDED", "SPECIAL-USE"},
        {"CONDSTORE", "ESEARCH", "LIST-STATUS", "UIDPLUS", "LITERAL+", "SASL-IR", "ID", "OBJECTID"},
    ],
)
def test_a_server_with_few_extensions_is_followed_too(tmp_path: Path, missing: set[str]) -> None:
    with LoopbackServer(filled(capabilities=CAPABILITIES - missing)) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        site.account.set_flags("INBOX", 3, ["\\Flagged", "work"])
        site.account.expunge("INBOX", 4)
        site.account.append("Other", mail(2000))
        counts = site.pull().accounts[0].mailboxes
        assert sum(box.flags_changed for box in counts) == 1
        assert sum(box.gone for box in counts) == 1
        assert sum(box.new for box in counts) == 1
        site.is_whole()
        site.fetched_once()
        flags = {row.uid: row.flags for row in browse.messages(site.root, Selection(("INBOX",)))}
        assert set(flags["3"]) == {"\\Flagged", "work"}


NAMES: Sequence[str | bytes] = (
    "Entwürfe",
    "日本語/旅行",
    'quo"te',
    "back\\slash",
    "a&b",
    "case",
    "CASE",
    "sp ace ",
    "x%*y",
)


@pytest.mark.parametrize("delimiter", ["/", "."])
def test_names_of_any_kind_are_pulled_and_exported_apart(tmp_path: Path, delimiter: str) -> None:
    account = LoopbackAccount(delimiter=delimiter)
    for number, name in enumerate(NAMES):
        account.create(name)
        account.append(name, mail(number))
    account.create("../../evil")
    account.append("../../evil", mail(99))
    account.create("only-a-parent", selectable=False)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        assert site.pull().status == "complete"
        assert site.pull().accounts[0].downloaded_messages == 0
    assert len(held(site.root)) == len(NAMES) + 1
    from mailarchive.ops.events import ignore
    from mailarchive.ops.export import export

    report = export(site.root, tmp_path / "out" / "here", "eml", Selection(), ignore)
    files = list((tmp_path / "out" / "here").rglob("*.eml"))
    assert report.messages == len(files) == len(NAMES) + 1
    assert {path.read_bytes() for path in files} == {mail(n) for n in [*range(len(NAMES)), 99]}
    assert list(tmp_path.rglob("*.eml")) == files


def test_mail_numbered_anew_is_never_mixed_up_and_stored_once(site: Site) -> None:
    site.pull()
    site.account.reset_uidvalidity("INBOX", first_uid=3)
    report = site.pull()
    assert report.status == "complete"
    assert report.accounts[0].stored_messages == 0
    assert any("UIDVALIDITY" in text for text in site.told)
    site.is_whole()


def test_mailboxes_come_and_go_and_are_renamed(site: Site) -> None:
    site.pull()
    site.account.create("New")
    site.account.append("New", mail(500))
    site.account.rename("Other", "Elsewhere")
    report = site.pull()
    assert report.status == "complete"
    assert any("Elsewhere" in text for text in site.told)
    site.is_whole()
    site.account.delete("New")
    assert sum(box.gone for box in site.pull().accounts[0].mailboxes) == 1
    site.is_whole()
    site.account.create("New")
    site.account.append("New", mail(501))
    assert site.pull().accounts[0].downloaded_messages == 1
    site.is_whole()


def test_what_was_left_out_by_date_comes_when_it_is_asked_for(site: Site) -> None:
    since = PullOptions(connections=1, since=date(2024, 1, 11), mailboxes=("INBOX",))
    first = site.pull(since).accounts[0]
    inbox = next(box for box in first.mailboxes if box.mailbox == "INBOX")
    assert (inbox.new, inbox.excluded) == (COUNT - 10, 10)
    again = next(box for box in site.pull(since).accounts[0].mailboxes if box.mailbox == "INBOX")
    assert (again.known, again.excluded, again.unchanged) == (COUNT - 10, 10, True)
    assert site.pull().accounts[0].downloaded_messages == 15
    site.is_whole()
    site.fetched_once()


def test_a_rehearsal_tells_what_a_pull_does_and_writes_nothing(site: Site) -> None:
    rehearsed = site.pull(PullOptions(dry_run=True)).accounts[0]
    assert not site.root.exists()
    assert not site.server.counts.body_fetches
    pulled = site.pull().accounts[0]
    assert rehearsed.to_fetch_messages == pulled.downloaded_messages == COUNT + 5
    assert rehearsed.to_fetch_bytes == pulled.downloaded_bytes
    assert site.pull(PullOptions(dry_run=True)).accounts[0].to_fetch_messages == 0


@pytest.mark.parametrize("connections", [1, 2, 4])
def test_any_number_of_connections_brings_the_same(tmp_path: Path, connections: int) -> None:
    with LoopbackServer(filled(3000)) as server:
        site = Site(server, tmp_path / "archive")
        assert site.pull(PullOptions(connections=connections)).status == "complete"
        site.is_whole()
        site.fetched_once()
        assert server.counts.connections <= connections


def test_nothing_changes_at_the_server(site: Site) -> None:
    site.pull()
    site.pull()
    words = {word.upper() for line in map(str, site.server.counts.commands) for word in line.split()[:3]}
    assert not words & {"STORE", "EXPUNGE", "SELECT", "DELETE", "APPEND", "COPY", "MOVE", "CLOSE"}


def test_registry_and_retrying_give_up_on_a_wrong_password(site: Site) -> None:
    endpoint = Endpoint("imap", site.account.user, "127.0.0.1", site.server.port, "plain")
    factory = connect(endpoint, lambda: "wrong", clock=StillClock(), stop=Stop())
    target = PullAccount(account_of(endpoint), factory)
    report = pull(site.root, [target], PullOptions(), observer=site.observe, clock=StillClock(), stop=Stop())
    assert (report.status, report.exit_code) == ("failed", 12)
