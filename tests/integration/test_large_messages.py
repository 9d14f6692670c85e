"""Large messages over the wire: in pieces, once, octet for octet, whatever the server makes of it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailarchive.clock import Stop
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.faults import Fault, FetchAnswer, Refused
from mailarchive.loopback.server import LoopbackServer
from mailarchive.loopback.wire import Wire
from mailarchive.ops import plan
from mailarchive.ops.plan import PROMPT_TRIES
from mailarchive.ops.pull import PullOptions
from mailarchive.remote.imap import pieces
from tests.fault.archives import held
from tests.integration.sites import Site, filled, mail
from tests.servers.faulty import (
    PIECE,
    TEXT,
    WHOLE,
    ActBefore,
    Alter,
    AlterPieces,
    BodyAs,
    Bye,
    Change,
    Cut,
    CutAtCommand,
    IgnorePartial,
    Omit,
    OnAnswer,
    Refuse,
    Stall,
    Truncate,
    faulty,
)
from tests.servers.still_clock import StillClock

SIZE, OVERLAP = 1000, 20
LARGE = 4000
UID = 41
"""The large message comes after 40 small ones."""
BIG = b"Subject: big\r\n\r\n" + b"".join(b"%06d From here\r\n" % number for number in range(900))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "LARGE", LARGE)
    monkeypatch.setattr(pieces, "PIECE", SIZE)
    monkeypatch.setattr(pieces, "OVERLAP", OVERLAP)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    account = filled()
    account.append("INBOX", BIG)
    with LoopbackServer(account) as server:
        yield Site(server, tmp_path / "archive")


def starts(site: Site) -> list[int]:
    """Return from which octets on pieces were asked for."""
    return [int(octet) for line in site.server.counts.commands for octet in re.findall(r"BODY\.PEEK\[\]<(\d+)\.", line)]


def asked(site: Site, pattern: str) -> int:
    """Return how many commands match."""
    return sum(bool(re.search(pattern, line)) for line in site.server.counts.commands)


def nothing_is_left(site: Site) -> None:
    site.is_whole()
    assert list((site.root / "partial").iterdir()) == []


def test_a_large_message_comes_in_pieces_that_are_each_asked_for_once(site: Site) -> None:
    assert site.pull().status == "complete"
    found = starts(site)
    assert found == list(range(0, found[-1] + 1, SIZE - OVERLAP))
    assert found[-1] < len(BIG) + SIZE
    assert max(site.server.counts.body_fetches["INBOX", uid] for uid in range(1, UID)) == 1
    assert asked(site, rf"UID FETCH \S*\b{UID}\b\S* \(UID BODY.PEEK\[\]\)") == 0
    nothing_is_left(site)


class RefusesWhatIsBeyond(Fault):
    """Answers NO to a piece that lies beyond the end."""

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer:
        if any(re.fullmatch(PIECE, name) and not value for name, value in answer.items.items()):
            raise Refused("there is no such octet")
        return answer


def test_a_server_that_refuses_what_lies_beyond_the_end_is_not_asked_again(site: Site) -> None:
    with faulty(site.server, RefusesWhatIsBeyond()):
        assert site.pull().status == "complete"
    assert asked(site, rf"UID FETCH \S*\b{UID}\b\S* \(UID BODY.PEEK\[\]\)") == 0
    nothing_is_left(site)


@pytest.mark.parametrize(
    "fault", [Cut(item=PIECE, skip=6, after=500), Bye(item=PIECE, skip=6), Stall(item=PIECE, skip=6)]
)
def test_after_a_lost_connection_it_goes_on_in_the_same_run(site: Site, fault: Fault) -> None:
    with faulty(site.server, fault):
        assert site.pull(stall=0.3).status == "complete"
    assert starts(site).count(0) == 1
    assert len(starts(site)) <= len(BIG) // (SIZE - OVERLAP) + 5
    nothing_is_left(site)


def test_the_next_run_goes_on_at_the_last_piece(site: Site) -> None:
    stop = Stop()

    class StopAt(OnAnswer):
        def strike(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
            stop.set()
            return answer

    with faulty(site.server, StopAt(item=PIECE, skip=6)):
        assert site.pull(stop=stop).status == "partial"
    assert len(list((site.root / "partial").iterdir())) == 2
    site.server.counts.clear()
    assert site.pull().status == "complete"
    assert starts(site)[0] >= 4 * (SIZE - OVERLAP)
    nothing_is_left(site)


CHANGES: dict[str, Change] = {
    "the whole as a piece": lambda name, _octets, whole: (name, whole),
    "the beginning": lambda name, _octets, whole: (name, whole[:SIZE]),
    "another origin": lambda name, octets, _whole: ("BODY[]<7>" if name != "BODY[]<0>" else name, octets),
    "one octet too much": lambda name, octets, _whole: (name, octets + b"x"),
    "never more than 700": lambda name, octets, _whole: (name, octets[:700] if name != "BODY[]<0>" else octets),
    "lf line ends": lambda name, octets, _whole: (name, octets.replace(b"\r\n", b"\n").ljust(SIZE)),
    "zeros": lambda name, octets, _whole: (name, octets if name == "BODY[]<0>" else bytes(len(octets))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_server_that_garbles_pieces_is_noticed_and_read_whole(site: Site, change: str) -> None:
    site.account.append("INBOX", BIG[::-1] + b"\r\n")
    with faulty(site.server, AlterPieces(server=site.server, change=CHANGES[change])):
        assert site.pull().status == "complete"
    assert len(starts(site)) <= 5
    assert asked(site, rf"UID FETCH \S*\b{UID}\b\S* \(UID BODY.PEEK\[\]\)") == 1
    nothing_is_left(site)


def test_a_server_that_ignores_what_is_asked_is_asked_for_one_piece_only(site: Site) -> None:
    site.account.append("INBOX", BIG[::-1] + b"\r\n")
    with faulty(site.server, IgnorePartial(server=site.server)):
        assert site.pull().status == "complete"
    assert starts(site) == [0]
    nothing_is_left(site)


def test_short_pieces_that_do_not_add_up_are_replaced_by_the_whole(site: Site) -> None:
    def half(name: str, octets: bytes, _whole: bytes) -> tuple[str, bytes]:
        return name, octets[: len(octets) // 2]

    with faulty(site.server, AlterPieces(server=site.server, change=half)):
        assert site.pull().status == "complete"
    assert asked(site, rf"UID FETCH \S*\b{UID}\b\S* \(UID BODY.PEEK\[\]\)") == 1
    nothing_is_left(site)


def test_a_server_that_sends_short_pieces_from_the_beginning_is_followed(site: Site) -> None:
    with faulty(site.server, AlterPieces(server=site.server, change=lambda name, octets, _whole: (name, octets[:700]))):
        assert site.pull().status == "complete"
    nothing_is_left(site)


def test_a_message_that_is_another_one_in_the_next_run_is_not_mixed(site: Site) -> None:
    with faulty(site.server, Refuse(uids=[UID], item=PIECE, skip=6), Refuse(uids=[UID], item=f"{WHOLE}|{TEXT}")):
        assert site.pull().status == "partial"
    other = bytes(255 - octet for octet in BIG)
    site.account["INBOX"].messages[UID].octets = other
    assert site.pull().status == "complete"
    assert held(site.root)["INBOX", UID] == other
    nothing_is_left(site)


def test_a_message_that_is_expunged_while_it_comes_is_no_failure(site: Site) -> None:
    with faulty(site.server, ActBefore(name="UID FETCH", skip=6, act=lambda: site.account.expunge("INBOX", UID))):
        report = site.pull()
    assert report.accounts[0].failures == []
    assert site.pull().status == "complete"
    nothing_is_left(site)


def test_a_mailbox_numbered_anew_takes_nothing_over(site: Site) -> None:
    with faulty(site.server, Refuse(uids=[UID], item=PIECE, skip=6), Refuse(uids=[UID], item=f"{WHOLE}|{TEXT}")):
        site.pull()
    site.account.reset_uidvalidity("INBOX")
    site.server.counts.clear()
    assert site.pull().status == "complete"
    assert starts(site)[0] == 0
    nothing_is_left(site)


@pytest.mark.parametrize("size", [LARGE, len(BIG) - 1, len(BIG) + 1, 99_999_999])
def test_where_the_size_is_a_lie_the_end_of_the_octets_decides(site: Site, size: int) -> None:
    with faulty(site.server, Alter(uids=[UID], mailbox="INBOX", items={"RFC822.SIZE": b"%d" % size})):
        assert site.pull().status == "complete"
    nothing_is_left(site)
    assert starts(site).count(0) == 1


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(min_size=1, max_size=1500),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 250)), max_size=4),
    st.integers(60, 400),
    st.integers(1, 50),
)
def test_any_octets_with_any_cuts_and_pieces_of_any_size_are_exact(
    tmp_path_factory: pytest.TempPathFactory, octets: bytes, cuts: list[tuple[int, int]], size: int, overlap: int
) -> None:
    account = LoopbackAccount()
    account.append("INBOX", octets)
    with pytest.MonkeyPatch.context() as patch, LoopbackServer(account) as server:
        patch.setattr(plan, "LARGE", 1)
        patch.setattr(pieces, "PIECE", size)
        patch.setattr(pieces, "OVERLAP", overlap)
        site = Site(server, tmp_path_factory.mktemp("any") / "archive")
        for skip, after in cuts:
            with faulty(server, Cut(skip=skip, after=after), Refuse(item=f"{WHOLE}|{TEXT}", times=None)):
                site.pull()
        site.pull()
        site.pull()
        assert list(held(site.root).values()) == [octets]
        nothing_is_left(site)


# -- what does not come whole ------------------------------------------------------------------------------------------

BROKEN = 17


@pytest.mark.parametrize("trouble", [Refuse, Omit])
def test_header_and_text_are_tried_before_a_message_is_failed(site: Site, trouble: type[OnAnswer]) -> None:
    with faulty(site.server, trouble(uids=[BROKEN], mailbox="INBOX", item=WHOLE)):
        assert site.pull().status == "complete"
    assert asked(site, r"BODY.PEEK\[TEXT\]") == 1
    nothing_is_left(site)


def test_then_pieces_are_tried(site: Site) -> None:
    with faulty(site.server, Refuse(uids=[BROKEN], mailbox="INBOX", item=f"{WHOLE}|{TEXT}")):
        assert site.pull().status == "complete"
    assert starts(site).count(0) == 2
    nothing_is_left(site)


@pytest.mark.parametrize("trouble", [Refuse, Omit])
def test_a_large_message_that_comes_in_no_piece_is_tried_in_other_ways(site: Site, trouble: type[OnAnswer]) -> None:
    with faulty(site.server, trouble(uids=[UID], mailbox="INBOX", item=f"{WHOLE}|{PIECE}")):
        assert site.pull().status == "complete"
    assert asked(site, r"BODY.PEEK\[TEXT\]") == 1
    nothing_is_left(site)


@pytest.mark.parametrize("uid", [BROKEN, UID])
def test_what_comes_in_no_way_costs_a_bounded_number_of_commands_and_only_when_it_is_due(site: Site, uid: int) -> None:
    ways = rf"UID FETCH {uid} .*BODY"
    with faulty(site.server, Refuse(uids=[uid], mailbox="INBOX", text="[UNAVAILABLE] broken")):
        report = site.pull()
        assert [(one.uid, one.tries) for one in report.accounts[0].failures] == [(str(uid), 1)]
        assert "broken" in report.accounts[0].failures[0].reason
        assert asked(site, ways) <= 4
        for _run in range(5):
            site.server.counts.clear()
            report = site.pull()
        assert report.accounts[0].failures[0].tries == 3
        assert asked(site, ways) == 0
    assert len(held(site.root)) == 45


def test_a_message_that_ends_every_connection_is_left_out_and_the_others_come(site: Site) -> None:
    with faulty(site.server, Bye(uids=[BROKEN, UID], mailbox="INBOX", times=None)):
        report = site.pull()
    assert {failure.uid for failure in report.accounts[0].failures} == {str(BROKEN), str(UID)}
    assert len(held(site.root)) == 44
    assert site.pull().status == "complete"
    nothing_is_left(site)


def test_halves_that_have_not_the_true_size_are_not_taken_where_sizes_are_true(site: Site) -> None:
    wrong = BodyAs(uids=[BROKEN], mailbox="INBOX", item=TEXT, form="quoted")
    broken = Refuse(uids=[BROKEN], mailbox="INBOX", item=WHOLE)
    short = Truncate(uids=[BROKEN], mailbox="INBOX", item=TEXT, octets=9)
    with faulty(site.server, broken, short, Refuse(uids=[BROKEN], mailbox="INBOX", item=PIECE)):
        assert [failure.uid for failure in site.pull().accounts[0].failures] == [str(BROKEN)]
    with faulty(site.server, broken, short):
        assert site.pull().status == "complete"
    site.is_whole()
    site.account.append("INBOX", mail(3000))
    with faulty(site.server, wrong):
        assert site.pull().status == "complete"
    nothing_is_left(site)


# -- a body that is shorter than the server says -----------------------------------------------------------------------


def details(site: Site) -> list[str]:
    return [text for text in site.details if "octets and sent" in text]


def test_a_truncated_message_is_completed(site: Site) -> None:
    with faulty(site.server, Truncate(uids=[BROKEN], mailbox="INBOX", item=WHOLE, octets=100)):
        assert site.pull().status == "complete"
    assert len(details(site)) == 1
    assert "more when asked again" in details(site)[0]
    nothing_is_left(site)


def test_a_message_shorter_than_the_server_says_is_failed_some_times_and_then_taken_as_it_is(site: Site) -> None:
    with faulty(site.server, Alter(uids=[BROKEN], mailbox="INBOX", items={"RFC822.SIZE": b"2000"})):
        for tries in range(1, PROMPT_TRIES + 1):
            (failure,) = site.pull().accounts[0].failures
            assert (failure.uid, failure.tries) == (str(BROKEN), tries)
            assert failure.reason.startswith("the server says that it has 2000 octets, and sent ")
            assert ("INBOX", BROKEN) not in held(site.root)
        site.clock = StillClock(datetime.now(UTC) + timedelta(days=1))
        account = site.pull().accounts[0]
    assert (account.status, account.failures) == ("complete", [])
    assert [note for note in account.notes if f"message {BROKEN} of INBOX" in note and "stored as it came" in note]
    nothing_is_left(site)


def test_a_message_that_comes_too_short_once_is_fetched_once_more(site: Site) -> None:
    cut = Truncate(uids=[BROKEN], mailbox="INBOX", item=WHOLE, octets=100, times=1)
    nothing = AlterPieces(server=site.server, uids=[BROKEN], change=lambda name, _octets, _whole: (name, b""))
    with faulty(site.server, cut, nothing):
        account = site.pull().accounts[0]
    assert (account.status, account.notes) == ("complete", [])
    assert site.server.counts.body_fetches["INBOX", BROKEN] >= 2
    nothing_is_left(site)


def test_a_short_message_of_which_nothing_else_is_known_is_taken_with_a_note(site: Site) -> None:
    with faulty(site.server, Alter(items={"RFC822.SIZE": b"2000"}, mailbox="Other")):
        account = site.pull(PullOptions(mailboxes=("Other",))).accounts[0]
    assert account.status == "complete"
    assert [note for note in account.notes if note.startswith("5 messages of Other came shorter")]


def test_sizes_that_are_all_too_large_are_not_asked_about_for_ever(site: Site) -> None:
    with faulty(site.server, Alter(items={"RFC822.SIZE": b"2000"}, mailbox="INBOX")):
        assert site.pull().status == "complete"
    assert len(starts(site)) <= 10
    assert len(details(site)) == 41
    nothing_is_left(site)


def test_a_server_that_truncates_and_has_no_pieces_is_told(site: Site) -> None:
    cut = Truncate(uids=[BROKEN], mailbox="INBOX", item=WHOLE, octets=100)
    with faulty(site.server, cut, IgnorePartial(server=site.server)):
        site.pull()
    assert "cannot be found out" in details(site)[0]


def test_a_run_without_faults_asks_for_nothing_twice_and_tells_nothing(site: Site) -> None:
    with faulty(site.server, CutAtCommand(name="NOOP")):
        site.pull()
    assert details(site) == []
    assert asked(site, r"BODY.PEEK\[TEXT\]|BODY.PEEK\[HEADER\]") == 0
