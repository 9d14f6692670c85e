"""Pulls from a server that asks for patience: with waiting they end complete, without they go on in the next run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mailarchive.loopback.faults import Fault
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.options import PullOptions
from tests.integration.sites import COUNT, Site, filled
from tests.servers.faulty import ByeAtCommand, Refuse, RefuseCommand, SayBefore, faulty

OVER = "[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"
BACKOFF = "Request is throttled. Suggested Backoff Time: 299961 milliseconds"
TOO_MANY = "[ALERT] Too many simultaneous connections. (Failure)"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with LoopbackServer(filled()) as server:
        yield Site(server, tmp_path / "archive")


FAULTS: Sequence[Fault] = (
    RefuseCommand(name="LOGIN", text=OVER),
    RefuseCommand(name="LIST", text=BACKOFF),
    RefuseCommand(name="EXAMINE", text=BACKOFF),
    RefuseCommand(name="UID FETCH", text="[THROTTLED] slow down"),
    RefuseCommand(name="UID FETCH", skip=1, text=BACKOFF),
    Refuse(uids=[17], times=1, mailbox="INBOX", text=OVER),
    ByeAtCommand(name="UID FETCH", skip=1, text=BACKOFF),
    RefuseCommand(name="LOGIN", text=TOO_MANY),
)


def ids(fault: Fault) -> str:
    return f"{type(fault).__name__}-{getattr(fault, 'name', '')}-{getattr(fault, 'skip', '')}"


@pytest.mark.parametrize("place", range(len(FAULTS)), ids=[ids(fault) for fault in FAULTS])
def test_with_waiting_the_run_ends_complete(site: Site, place: int) -> None:
    fault = FAULTS[place]
    with faulty(site.server, fault):
        report = site.pull(waits=True)
    assert report.status == "complete"
    seconds = 299.961 if getattr(fault, "text", "") == BACKOFF else 30.0
    assert [event.seconds for event in site.waits] == [seconds]
    site.fetched_once()
    site.is_whole()


def test_a_listing_of_many_messages_is_waited_for_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailarchive.ops.account_pull.WINDOW", 0)
    with faulty(site.server, RefuseCommand(name="UID SEARCH", text=OVER)):
        assert site.pull(waits=True).status == "complete"
    assert [event.seconds for event in site.waits] == [30.0]
    site.is_whole()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (RefuseCommand(name="LOGIN", times=None, text=OVER), "bandwidth limits"),
        (RefuseCommand(name="LIST", times=None, text=BACKOFF), "Suggested Backoff Time"),
        (RefuseCommand(name="EXAMINE", skip=1, times=None, text=BACKOFF), "Suggested Backoff Time"),
        (Refuse(uids=[17], mailbox="INBOX", text=OVER), "bandwidth limits"),
        (RefuseCommand(name="UID FETCH", skip=1, times=None, text="[THROTTLED] slow down"), "slow down"),
        (RefuseCommand(name="LOGIN", times=None, text=TOO_MANY), "simultaneous"),
    ],
    ids=lambda value: ids(value) if isinstance(value, Fault) else "",
)
def test_without_waiting_the_account_ends_and_the_next_run_goes_on(site: Site, fault: Fault, words: str) -> None:
    with faulty(site.server, fault):
        report = site.pull()
    account = report.accounts[0]
    assert (report.status, report.exit_code, account.status) == ("partial", 3, "partial")
    assert words in account.error
    assert account.hint
    assert site.waits == []
    assert account.failures == []
    assert site.pull().status == "complete"
    site.fetched_once()
    site.is_whole()


def test_an_answer_that_asks_to_slow_down_is_kept(site: Site) -> None:
    slow = SayBefore(name="UID FETCH", skip=1, lines=("* OK [THROTTLED] slowly",))
    with faulty(site.server, slow):
        report = site.pull(waits=True)
    assert report.status == "complete"
    assert [event.seconds for event in site.waits] == [30.0]
    site.fetched_once()
    site.is_whole()


def test_a_slow_server_without_waiting_still_gives_something_in_each_run(site: Site) -> None:
    with faulty(site.server, SayBefore(name=".*", times=None, lines=("* OK [THROTTLED] slowly",))):
        runs = [site.pull() for _ in range(3)]
    assert [run.status for run in runs] == ["partial", "complete", "complete"]
    site.fetched_once()
    site.is_whole()


def test_single_messages_that_are_refused_for_ever_are_failures_and_no_throttling(site: Site) -> None:
    with faulty(site.server, Refuse(uids=[17, 30], mailbox="INBOX", text="[UNAVAILABLE] UID FETCH Server error")):
        account = site.pull(waits=True).accounts[0]
    assert sorted(failure.uid for failure in account.failures) == ["17", "30"]
    assert (account.downloaded_messages, account.error, site.waits) == (COUNT + 3, "", [])


@pytest.mark.parametrize("waits", [False, True])
def test_a_connection_too_many_is_one_fewer_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    monkeypatch.setattr("mailarchive.ops.plan.BATCH_MESSAGES", 500)
    with LoopbackServer(filled(3000)) as server:
        site = Site(server, tmp_path / "archive")
        refused = RefuseCommand(name="LOGIN", skip=1, times=None, text=TOO_MANY)
        with faulty(server, refused):
            report = site.pull(PullOptions(connections=4), waits=waits)
        assert (report.status, report.accounts[0].error) == ("complete", "")
        assert 1 <= refused.struck <= 3
        site.is_whole()
        site.fetched_once()
