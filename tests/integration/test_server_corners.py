"""Pulls over the wire in the corners of the protocol: names, numbers, refusals, and changes between two answers."""

import itertools
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.faults import Fault, FetchAnswer
from mailarchive.loopback.server import LoopbackServer
from mailarchive.loopback.wire import Wire
from mailarchive.ops import browse
from mailarchive.ops.events import ignore
from mailarchive.ops.export import export
from mailarchive.ops.pull import PullOptions
from mailarchive.ops.report import MailboxReport, PullReport
from mailarchive.ops.selection import Selection
from mailarchive.remote.imap import wire as imap_wire
from tests.fault.archives import held, no_damage
from tests.integration.sites import COUNT, Site, filled, mail
from tests.servers.faulty import (
    ActBefore,
    Alter,
    Cut,
    Interject,
    Omit,
    OnAnswer,
    Refuse,
    RefuseCommand,
    Truncate,
    faulty,
)

RAW_NAMES = (
    "Entwürfe".encode(),
    b"latin \xe4\xf6",
    b"&broken",
    b"&AAAAA-",
    b"&2D3eAA-x",
    b"a&-b",
    b"&Jjo-/&ZeVnLIqe-",
    b"trailing/",
    b"a//b",
    b"new\tline",
    b"*",
    b"%",
    b'"',
    b"\\",
    b"inbox/below",
    b"Case",
    b"case",
    b"CASE",
)


def box_of(report: PullReport, name: str) -> MailboxReport:
    """Return the counts of one mailbox."""
    return next(box for box in report.accounts[0].mailboxes if box.mailbox == name)


@pytest.mark.parametrize("delimiter", ["/", ".", "\\", None])
@pytest.mark.parametrize("capabilities", [CAPABILITIES, CAPABILITIES - {"LIST-STATUS", "LITERAL+"}])
def test_raw_names_of_any_octets_are_mailboxes_of_their_own(
    tmp_path: Path, delimiter: str | None, capabilities: frozenset[str]
) -> None:
    account = LoopbackAccount(delimiter=delimiter, capabilities=capabilities)
    for number, raw in enumerate(RAW_NAMES):
        account.create(raw)
        account.append(raw, mail(number))
    account.create(b"parent", selectable=False)
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        first = site.pull()
        assert (first.status, first.accounts[0].downloaded_messages) == ("complete", len(RAW_NAMES))
        assert site.pull().accounts[0].downloaded_messages == 0
        site.fetched_once()
    rows = browse.mailboxes(site.root)
    assert len(rows) == len(RAW_NAMES) + 1
    out = tmp_path / "out"
    assert export(site.root, out, "eml", Selection(), ignore).messages == len(RAW_NAMES)
    assert {path.read_bytes() for path in out.rglob("*.eml")} == {mail(n) for n in range(len(RAW_NAMES))}
    no_damage(site.root)


def test_a_server_that_takes_no_log_in_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    account = filled(capabilities=CAPABILITIES | {"LOGINDISABLED"})
    with LoopbackServer(account) as server:
        server.faults.append(RefuseCommand(name="AUTHENTICATE|LOGIN", times=None, text="[PRIVACYREQUIRED] use TLS"))
        report = Site(server, tmp_path / "archive").pull()
    assert report.status == "failed"
    assert report.exit_code in {12, 20}
    assert report.accounts[0].error
    assert not any(line.startswith("LOGIN ") for line in server.counts.commands)


@pytest.mark.parametrize("count", [60, 500])
@pytest.mark.parametrize("refused", [[1], [37], [60], [11, 12, 40]])
def test_a_refused_message_is_found_with_few_commands(tmp_path: Path, count: int, refused: list[int]) -> None:
    with LoopbackServer(filled(count)) as server, faulty(server, Refuse(uids=refused, mailbox="INBOX")):
        site = Site(server, tmp_path / "archive")
        report = site.pull()
        inbox = box_of(report, "INBOX")
        assert (inbox.new, inbox.failed) == (count - len(refused), len(refused))
        assert [failure.uid for failure in report.accounts[0].failures] == [str(uid) for uid in refused]
        site.fetched_once()
        asked = [line for line in server.counts.commands if line.startswith("UID FETCH") and "BODY" in line]
        assert len(asked) <= 2 + len(refused) * 2 * (count.bit_length() + 1)


def test_a_server_that_refuses_everything_is_not_asked_for_each(tmp_path: Path) -> None:
    with LoopbackServer(filled(400)) as server:
        site = Site(server, tmp_path / "archive")
        with faulty(server, Refuse(text="[LIMIT] Account exceeded bandwidth limits")):
            report = site.pull()
        assert report.status == "partial"
        assert report.exit_code == 3
        assert len(server.counts.commands) < 200
        server.faults.clear()
        assert site.pull().status == "complete"
        site.is_whole()


def test_many_omitted_messages_come_in_the_end(tmp_path: Path) -> None:
    with LoopbackServer(filled()) as server:
        site = Site(server, tmp_path / "archive")
        with faulty(server, Omit(uids=range(10, 30), mailbox="INBOX", times=20)):
            assert site.pull().status == "complete"
        site.fetched_once()
        site.is_whole()


@pytest.mark.no_cover
def test_two_hundred_thousand_uids_in_one_line_are_read(tmp_path: Path) -> None:
    count = 200_000
    account = LoopbackAccount(capabilities=CAPABILITIES - {"ESEARCH"})
    uids = range(2_000_001, 2_000_001 + 2 * count, 2)
    account.append("INBOX", b"x")
    box = account["INBOX"]
    message = box.messages.pop(1)
    box.messages.update((uid, replace(message, uid=uid)) for uid in uids)
    box.uidnext = uids.stop
    with LoopbackServer(account) as server:
        report = Site(server, tmp_path / "archive").pull(PullOptions(dry_run=True))
        assert report.accounts[0].error == ""
        inbox = box_of(report, "INBOX")
        assert (inbox.listed, inbox.new) == (count, count)
        assert not any(line.startswith("FETCH") for line in server.counts.commands)


class Expunging(Fault):
    """Takes messages away just before their bodies are sent, and says so at once."""

    def __init__(self, account: LoopbackAccount, uids: Collection[int]) -> None:
        self._account = account
        self._uids = set(uids)

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        if answer.mailbox == "INBOX" and answer.uid in self._uids and any("BODY" in name for name in answer.items):
            self._uids.discard(answer.uid)
            self._account.expunge("INBOX", answer.uid)
            return None
        return answer


def test_messages_expunged_while_they_are_fetched_are_no_failures(tmp_path: Path) -> None:
    with LoopbackServer(filled()) as server:
        site = Site(server, tmp_path / "archive")
        with faulty(server, Expunging(server.account, [3, 4, 20, COUNT])):
            report = site.pull()
        assert report.status == "complete"
        assert box_of(report, "INBOX").listed == COUNT - 4
        assert site.pull().accounts[0].downloaded_messages == 0
        site.is_whole()
        site.fetched_once()


@pytest.mark.parametrize("line", ["* 1 EXPUNGE", "* 0 EXISTS", "* 99 EXISTS", "* 3 FETCH (UID 3 FLAGS (\\Seen))"])
def test_untrue_news_between_answers_lose_nothing(tmp_path: Path, line: str) -> None:
    with LoopbackServer(filled()) as server:
        site = Site(server, tmp_path / "archive")
        with faulty(server, Interject(facts=True, lines=(line,), times=3)):
            site.pull()
        assert site.pull().status == "complete"
        assert len(held(site.root)) == COUNT + 5
        site.fetched_once()
        no_damage(site.root)


@pytest.mark.parametrize("without", ["INTERNALDATE", "RFC822.SIZE", "FLAGS"])
def test_a_fact_that_is_not_told_is_no_matter(tmp_path: Path, without: str) -> None:
    with LoopbackServer(filled()) as server:
        site = Site(server, tmp_path / "archive")
        with faulty(server, Alter(without=frozenset({without}))):
            assert site.pull().status == "complete"
        site.fetched_once()
        site.is_whole()


def test_a_literal_shorter_than_the_size_told_is_failed_and_comes_when_the_server_is_well(tmp_path: Path) -> None:
    with LoopbackServer(filled()) as server:
        site = Site(server, tmp_path / "archive")
        with faulty(server, Truncate(uids=[5], mailbox="INBOX", octets=17)):
            (failure,) = site.pull().accounts[0].failures
        assert failure.reason == f"the server says that it has {len(mail(4))} octets, and sent 17"
        assert ("INBOX", 5) not in held(site.root)
        assert site.pull().status == "complete"
        site.is_whole()


@pytest.mark.parametrize("after", [0, 1, 70_000, 149_999])
def test_a_large_message_cut_anywhere_comes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    monkeypatch.setattr(imap_wire, "LARGEST_IN_MEMORY", 1000)
    account = filled(3)
    account.append("INBOX", mail(7, 150_000))
    with LoopbackServer(account) as server:
        site = Site(server, tmp_path / "archive")
        with faulty(server, Cut(uids=[4], mailbox="INBOX", after=after)):
            assert site.pull().status == "complete"
        site.is_whole()
        assert not list((site.root / "partial").iterdir())


class OtherNumbers(OnAnswer):
    """Numbers the mailbox anew at a body."""

    def __init__(self, account: LoopbackAccount, uid: int) -> None:
        super().__init__(uids=[uid], mailbox="INBOX")
        self._account = account

    def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        self._account.reset_uidvalidity("INBOX", first_uid=2)
        return answer


@pytest.mark.parametrize("connections", [1, 3])
def test_a_mailbox_numbered_anew_while_it_is_fetched_is_never_mixed_up(tmp_path: Path, connections: int) -> None:
    with LoopbackServer(filled(2500)) as server:
        site = Site(server, tmp_path / "archive")
        options = PullOptions(connections=connections)
        with faulty(server, OtherNumbers(server.account, 700)):
            report = site.pull(options)
        assert report.status == "partial"
        assert box_of(report, "Other").new == 5
        assert site.pull(options).status == "complete"
        site.is_whole()


def test_a_mailbox_numbered_anew_between_two_connections_is_never_mixed_up(tmp_path: Path) -> None:
    with LoopbackServer(filled(2500)) as server:
        site = Site(server, tmp_path / "archive")
        once = itertools.count()

        def renumber() -> None:
            if not next(once):
                server.account.reset_uidvalidity("INBOX", first_uid=2)

        with faulty(server, ActBefore(name="EXAMINE", mailbox="INBOX", skip=1, act=renumber)):
            site.pull(PullOptions(connections=3))
        assert site.pull(PullOptions(connections=3)).status == "complete"
        site.is_whole()


def test_excluded_mailboxes_are_counted_and_not_opened(tmp_path: Path) -> None:
    with LoopbackServer(filled()) as server:
        site = Site(server, tmp_path / "archive")
        report = site.pull(PullOptions(connections=1, exclude=("Oth*",)))
        assert report.status == "complete"
        other = box_of(report, "Other")
        assert (other.listed, other.excluded, other.new) == (5, 5, 0)
        assert not any("EXAMINE" in line and "Other" in line for line in server.counts.commands)
        assert site.pull().accounts[0].downloaded_messages == 5
        site.is_whole()


def test_a_rehearsal_agrees_with_the_pull_after_it(tmp_path: Path) -> None:
    with LoopbackServer(filled()) as server:
        site = Site(server, tmp_path / "archive")
        site.pull()
        account = server.account
        account.set_flags("INBOX", 2, ["\\Seen"])
        account.expunge("INBOX", 7)
        account.append("INBOX", mail(600))
        account.create("New")
        account.append("New", mail(601))
        account.append("New", mail(602))
        before = {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()}
        rehearsed = site.pull(PullOptions(dry_run=True))
        after = {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()}
        assert {path: octets for path, octets in after.items() if "catalog" not in path.name} == {
            path: octets for path, octets in before.items() if "catalog" not in path.name
        }
        pulled = site.pull()
        assert sorted(rehearsed.accounts[0].mailboxes, key=lambda box: box.mailbox) == pulled.accounts[0].mailboxes
        assert rehearsed.accounts[0].to_fetch_messages == pulled.accounts[0].downloaded_messages == 3
