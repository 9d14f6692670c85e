"""A maildrop is pulled over the wire: each message is sent once, whatever the server lacks or does wrong."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mailarchive.archive.writer import Added, Arrival, Writer
from mailarchive.clock import Stop
from mailarchive.config import Endpoint, account_of
from mailarchive.errors import ExitCode
from mailarchive.ops.options import PullOptions
from mailarchive.remote.pop3 import Timeouts
from mailarchive.sources.pop3 import Pop3Source
from tests.fault.archives import Journal, no_damage
from tests.integration.maildrops import Maildrop, letter
from tests.servers.scripted_pop3 import Pop3Server

COUNT = 30


@pytest.fixture
def server() -> Iterator[Pop3Server]:
    with Pop3Server() as server:
        server.deliver(*map(letter, range(COUNT)))
        yield server


@pytest.fixture
def drop(server: Pop3Server, tmp_path: Path) -> Maildrop:
    return Maildrop(server, tmp_path / "archive")


LACKING: list[dict[str, Any]] = [
    {},
    {"capabilities": None},
    {"capabilities": ("TOP", "UIDL", "USER")},
    {"uidl": "none"},
    {"uidl": "blank"},
    {"uidl": "duplicate"},
    {"uidl": "none", "top": False},
    {"list_size": lambda size: 3 * size + 7},
    {"uidl": "none", "list_size": lambda _size: 0},
]


@pytest.mark.parametrize("lacks", LACKING, ids=lambda lacks: "-".join(map(str, lacks)) or "nothing")
def test_the_first_pull_takes_all_once_and_the_second_what_is_new(lacks: dict[str, Any], tmp_path: Path) -> None:
    with Pop3Server(**lacks) as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(*map(letter, range(COUNT)))
        box = drop.inbox()
        assert (box.mailbox, box.listed, box.new) == ("INBOX", COUNT, COUNT)
        assert set(server.retrieved.values()) == {1}
        drop.is_whole()
        server.forget_counts()
        server.deliver(letter(COUNT))
        del server.letters[3]
        box = drop.inbox()
        assert (box.listed, box.new, box.known, box.gone) == (COUNT, 1, COUNT - 1, 1)
        if server.top or server.uidl == "good":
            assert server.retrieved == {letter(COUNT): 1}
        drop.is_whole()
        assert server.counts["DELE"] == server.counts["RSET"] == 0
        assert server.counts["QUIT"] == server.logins == 1


def test_nothing_new_is_nothing_sent(drop: Maildrop) -> None:
    drop.inbox()
    drop.server.forget_counts()
    assert drop.inbox().known == COUNT
    drop.nothing_was_sent()
    assert drop.server.counts["TOP"] == 0


@pytest.mark.parametrize("list_size", [lambda size: size, lambda size: 3 * size + 7], ids=["true", "wrong"])
def test_messages_whose_uidl_changed_are_linked(drop: Maildrop, list_size: Callable[[int], int]) -> None:
    drop.server.list_size = list_size
    drop.inbox()
    drop.server.forget_counts()
    drop.server.renumber()
    box = drop.inbox()
    assert (box.new, box.linked, box.gone) == (COUNT, COUNT, COUNT)
    drop.nothing_was_sent()
    drop.is_whole()


def test_messages_that_get_uidls_are_linked(drop: Maildrop) -> None:
    drop.server.uidl = "none"
    drop.inbox()
    drop.server.forget_counts()
    drop.server.uidl = "good"
    assert drop.inbox().linked == COUNT
    drop.nothing_was_sent()
    drop.is_whole()


def test_odd_uidls_are_names_as_long_as_they_are_unique(drop: Maildrop) -> None:
    odd = [
        b"with spaces in it",
        b"\xff\xe9",
        b"x" * 400,
        b"x" * 1000,
        b"a\tb",
        b"header:00:5",
        b"body:x",
        b"same",
        b"same",
    ]
    for one, uidl in zip(drop.server.letters, odd, strict=False):
        one.uidl = uidl
    drop.inbox()
    drop.is_whole()
    assert drop.server.counts["TOP"] == 6
    drop.server.forget_counts()
    drop.inbox()
    drop.nothing_was_sent()


def test_equal_messages_without_uidl_are_each_there(tmp_path: Path) -> None:
    same = b"Subject: same\r\n\r\n"
    with Pop3Server(uidl="none") as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(
            same + b"one\r\n", same + b"one\r\n", same + b"two\r\n", b"\r\nno header\r\n", b"\r\nno header\r\n"
        )
        assert drop.inbox().new == 5
        drop.is_whole()
        server.forget_counts()
        assert drop.inbox().known == 5
        assert set(server.retrieved) == {b"\r\nno header\r\n"}


def test_commands_are_sent_ahead_only_where_the_server_says_so(drop: Maildrop) -> None:
    drop.inbox()
    assert drop.server.most_ahead > 1
    drop.server.deliver(*map(letter, range(100, 130)))
    drop.server.forget_counts()
    drop.server.capabilities = ("TOP", "UIDL", "USER")
    drop.inbox()
    assert drop.server.counts["RETR"] == 30
    assert drop.server.most_ahead == 0


def test_what_the_server_shows_is_asked_for_at_once(drop: Maildrop) -> None:
    drop.inbox()
    verbs = [line.split(b" ")[0] for line in drop.server.commands]
    assert verbs[:6] == [b"CAPA", b"AUTH", b"CAPA", b"STAT", b"LIST", b"UIDL"]
    assert verbs[6:] == [b"RETR"] * COUNT + [b"QUIT"]
    drop.server.forget_counts()
    drop.server.capabilities = ("TOP", "UIDL", "USER")
    drop.inbox()
    assert drop.server.most_ahead == 0
    verbs = [line.split(b" ")[0] for line in drop.server.commands]
    assert verbs == [b"CAPA", b"USER", b"PASS", b"CAPA", b"STAT", b"LIST", b"UIDL", b"QUIT"]


@pytest.mark.parametrize("list_size", [lambda size: size, lambda size: size - 1], ids=["true", "wrong"])
def test_messages_that_come_together_are_written_together_whatever_list_says_of_their_size(
    drop: Maildrop, monkeypatch: pytest.MonkeyPatch, list_size: Callable[[int], int]
) -> None:
    drop.server.list_size = list_size
    groups: list[int] = []
    add = Writer.add

    def counted(self: Writer, mailbox: int, uidvalidity: int, arrivals: Sequence[Arrival]) -> list[Added]:
        groups.append(len(arrivals))
        return add(self, mailbox, uidvalidity, arrivals)

    monkeypatch.setattr(Writer, "add", counted)
    drop.server.deliver(*(letter(number, 3000) for number in range(100, 1000)))
    drop.inbox()
    assert sum(groups) == COUNT + 900
    assert len(groups) < (COUNT + 900) / 5
    drop.is_whole()


def test_what_was_asked_for_and_is_not_wanted_is_read_away_before_quit(server: Pop3Server) -> None:
    endpoint = Endpoint("pop3", "user", "127.0.0.1", server.port, "plain")
    source = Pop3Source(account_of(endpoint), endpoint, server.password, Timeouts(30.0, 30.0))
    assert source.shows == "everything"
    source.leave(lambda: None)
    assert (server.counts["UIDL"], server.counts["QUIT"]) == (1, 1)


def test_no_message_waits_in_a_group_for_one_that_has_not_come(drop: Maildrop) -> None:
    """The server sends a message only when the one before it is in the archive."""
    stuck: list[int] = []

    def when_recorded(sent: int) -> None:
        for _ in range(10_000):
            if sent == 0 or len(Journal.of(drop.root).digests()) >= sent:
                return
            threading.Event().wait(0.001)
        stuck.append(sent)

    drop.server.before_retr = when_recorded
    drop.inbox()
    assert not stuck
    drop.is_whole()


def test_a_refusal_among_messages_that_come_together_is_that_of_one_message(drop: Maildrop) -> None:
    drop.server.deliver(*map(letter, range(100, 400)))
    drop.server.refused = {50: b"-ERR broken", 51: b"-ERR broken", 200: b"-ERR broken"}
    report = drop.pull()
    [box] = report.accounts[0].mailboxes
    assert (box.new, box.failed) == (COUNT + 297, 3)
    assert set(drop.server.retrieved.values()) == {1}


def test_lines_end_as_the_server_ends_them(tmp_path: Path) -> None:
    with Pop3Server(eol=b"\n") as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(b"Subject: x\n\n.\n..\n", b"Subject: y\n\ntext\r\n.\r\nmore\n")
        drop.inbox()
        drop.is_whole()


def test_what_pop3_cannot_say_is_not_made_up(tmp_path: Path) -> None:
    with Pop3Server() as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(b"Subject: no end\r\n\r\nend", b"\0\r\r\n\nA\n\r\n.\n\r\n", b"Subject: nothing else")
        drop.inbox()
        assert drop.kept() == sorted(
            [b"Subject: no end\r\n\r\nend\r\n", b"\0\r\r\n\nA\n\r\n.\n\r\n", b"Subject: nothing else\r\n"]
        )


def test_a_large_message_and_long_lines_arrive(tmp_path: Path) -> None:
    large = b"Subject: large\r\n\r\n" + (b"." * 70 + b"\r\n") * 80_000 + b"x" * 3_000_000 + b"\r\n"
    with Pop3Server() as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(letter(1), large, letter(2))
        drop.inbox()
        drop.is_whole()
        assert server.retrieved[large] == 1


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capabilities", [("TOP", "UIDL", "USER"), ("TOP", "UIDL", "USER", "PIPELINING")])
def test_a_dot_behind_a_last_line_without_end_is_the_end(capabilities: tuple[str, ...], tmp_path: Path) -> None:
    sent = [letter(number) for number in range(6)]
    sent[2] += b"a last line without end"
    sent[4] += b"another, with a dot."
    with Pop3Server(capabilities=capabilities, glues_dot=True) as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(*sent)
        drop.inbox(stall=2.0)
        drop.is_whole()


QUOTING = letter(60) + b"A session:\r\n.\r\n+OK 12\r\n.dot.\r\n+OK bye\r\n"


@pytest.mark.parametrize("lacks", [{}, {"uidl": "none", "top": False}], ids=["nothing", "names"])
def test_a_message_that_quotes_pop3_makes_nothing_come_twice(lacks: dict[str, Any], drop: Maildrop) -> None:
    for name, value in lacks.items():
        setattr(drop.server, name, value)
    drop.server.deliver(QUOTING, *map(letter, range(100, 130)))
    drop.inbox()
    drop.is_whole()
    assert set(drop.server.retrieved.values()) == {1}
    assert drop.server.logins == 1


def test_two_dots_alone_on_a_line_are_no_doubt_even_if_list_lies(drop: Maildrop) -> None:
    drop.server.list_size = lambda size: 3 * size + 7
    drop.server.deliver(letter(60) + b"A session:\r\n.\r\n+OK 12\r\n", *map(letter, range(100, 130)))
    drop.inbox()
    drop.is_whole()
    assert drop.server.counts["RETR"] == len(drop.server.letters)


@pytest.mark.parametrize("lacks", [{}, {"uidl": "none", "top": False}], ids=["nothing", "names"])
def test_after_a_doubt_commands_go_one_by_one(lacks: dict[str, Any], drop: Maildrop) -> None:
    for name, value in lacks.items():
        setattr(drop.server, name, value)
    drop.server.list_size = lambda size: 3 * size + 7
    drop.server.deliver(QUOTING, *map(letter, range(100, 130)), QUOTING + b"again\r\n", letter(200))
    drop.inbox()
    drop.is_whole()
    assert drop.server.logins == 2
    assert drop.server.counts["RETR"] <= 2 * len(drop.server.letters)


def test_a_header_without_end_does_not_block_those_of_other_messages(drop: Maildrop) -> None:
    drop.server.glues_dot = True
    drop.server.deliver(b"Subject: nothing else", *map(letter, range(100, 110)))
    drop.inbox(stall=2.0)
    drop.server.renumber()
    drop.server.deliver(letter(200))
    drop.server.forget_counts()
    box = drop.inbox(stall=2.0)
    assert (box.new, box.linked) == (COUNT + 12, COUNT + 11)
    drop.is_whole()
    assert drop.server.retrieved == {letter(200): 1}


@pytest.mark.parametrize(("eol", "text_eol"), [(b"\n", b"\r\n"), (b"\r\n", b"\n")], ids=["lf-crlf", "crlf-lf"])
@pytest.mark.parametrize("capabilities", [("TOP", "UIDL", "USER", "PIPELINING"), None], ids=["ahead", "one-by-one"])
def test_texts_may_end_their_lines_in_another_way_than_answers(
    eol: bytes, text_eol: bytes, capabilities: tuple[str, ...] | None, tmp_path: Path
) -> None:
    with Pop3Server(capabilities=capabilities, eol=eol, text_eol=text_eol) as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(*(letter(number).replace(b"\r\n", text_eol) for number in range(5)))
        drop.inbox()
        drop.is_whole()
        assert server.logins == 1
        assert server.counts["NOOP"] == 0


def test_text_that_looks_like_an_answer_is_text(tmp_path: Path) -> None:
    sent = [letter(1), letter(2) + b"It said.\r\n+OK\r\n.\r\n-ERR\r\n", letter(3)]
    with Pop3Server() as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(*sent)
        drop.inbox()
        drop.is_whole()


def test_a_connection_that_ends_in_a_message_costs_only_what_was_on_its_way(drop: Maildrop) -> None:
    drop.server.cuts[10] = 2
    drop.inbox()
    drop.is_whole()
    assert set(drop.server.retrieved.values()) == {1}
    assert drop.server.logins == 3
    assert drop.server.counts["QUIT"] == 1


def test_a_connection_that_stands_still_in_a_message_is_given_up(drop: Maildrop) -> None:
    drop.server.stalls[10] = 1
    drop.inbox(stall=2.0)
    drop.is_whole()
    assert drop.server.logins >= 2
    assert drop.server.counts["QUIT"] == 1


def test_a_message_that_always_breaks_the_connection_fails_and_the_others_come(drop: Maildrop) -> None:
    drop.server.cuts[10] = 1000
    report = drop.pull()
    [account] = report.accounts
    assert (account.mailboxes[0].new, account.mailboxes[0].failed) == (COUNT - 1, 1)
    assert report.exit_code == ExitCode.PARTIAL
    assert [failure.uid for failure in account.failures] == ["0000000b"]
    assert "connection ends" in account.failures[0].reason
    drop.server.cuts.clear()
    drop.server.forget_counts()
    drop.inbox()
    assert drop.server.retrieved == {letter(10): 1}


def test_refused_messages_fail_with_the_words_of_the_server_and_the_others_come(drop: Maildrop) -> None:
    drop.server.refused = {3: b"-ERR [SYS/TEMP] try later", 20: b"-ERR cannot render"}
    report = drop.pull()
    [account] = report.accounts
    assert (account.mailboxes[0].new, account.mailboxes[0].failed) == (COUNT - 2, 2)
    assert sorted(failure.reason.partition(": ")[2] for failure in account.failures) == ["cannot render", "try later"]
    drop.server.refused = {}
    drop.inbox()
    drop.is_whole()
    assert set(drop.server.retrieved.values()) == {1}


def test_what_can_be_neither_named_nor_read_fails_until_it_can(tmp_path: Path) -> None:
    with Pop3Server(uidl="none", top=False, refused={1: b"-ERR broken"}) as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(*map(letter, range(3)))
        [account] = drop.pull().accounts
        assert (account.mailboxes[0].new, account.mailboxes[0].failed) == (2, 1)
        assert "broken" in account.failures[0].reason
        server.refused = {}
        drop.inbox()
        drop.is_whole()


def test_a_message_of_no_octets_that_should_have_some_fails(drop: Maildrop) -> None:
    drop.server.deliver(b"")
    drop.server.list_size = lambda size: size or 25
    [account] = drop.pull().accounts
    assert (account.mailboxes[0].new, account.mailboxes[0].failed) == (COUNT, 1)
    assert "25 octets" in account.failures[0].reason


def test_more_messages_announced_than_listed_is_a_warning(drop: Maildrop) -> None:
    drop.server.stat_more = 2
    report = drop.pull()
    assert report.exit_code == ExitCode.PARTIAL
    assert "32 messages but shows 30" in report.accounts[0].warnings[0]
    assert "limit what POP3 shows" in report.accounts[0].warnings[0]
    drop.is_whole()


def test_a_maildrop_that_another_reads_is_left_alone(drop: Maildrop) -> None:
    assert drop.server.lock(object())
    report = drop.pull()
    assert report.exit_code == ExitCode.PARTIAL
    assert "locked" in report.accounts[0].error
    drop.server.lock(None)
    drop.inbox()


def test_one_connection_at_a_time_is_enough_for_many_messages(server: Pop3Server, drop: Maildrop) -> None:
    server.deliver(*map(letter, range(1000, 3000)))
    drop.inbox(PullOptions(connections=4))
    assert server.connections == 1


def test_a_run_that_is_stopped_says_no_quit_and_the_next_goes_on(drop: Maildrop) -> None:
    stop = Stop()
    drop.server.before_retr = lambda count: stop.set() if count == 10 else None
    drop.server.capabilities = None
    report = drop.pull(stop=stop)
    assert report.exit_code
    kept = drop.kept()
    assert 0 < len(kept) < COUNT
    drop.server.before_retr = lambda _count: None
    drop.server.forget_counts()
    drop.inbox()
    assert not set(kept) & set(drop.server.retrieved)
    drop.is_whole()


# -- a server that shows its mail part after part ----------------------------------------------------------------------


@pytest.fixture
def gmail() -> Iterator[Pop3Server]:
    offers = ("TOP", "UIDL", "USER", "LOGIN-DELAY 300", "EXPIRE 0", "X-GOOGLE-RICO", "SASL PLAIN XOAUTH2")
    with Pop3Server(capabilities=offers, part=10) as server:
        server.deliver(*map(letter, range(35)))
        yield server


def test_sessions_repeat_until_nothing_is_new(gmail: Pop3Server, tmp_path: Path) -> None:
    drop = Maildrop(gmail, tmp_path / "archive")
    box = drop.inbox()
    assert (box.listed, box.new, box.known, box.gone) == (35, 35, 0, 0)
    assert gmail.logins == gmail.counts["QUIT"] == 5
    drop.is_whole()
    gmail.deliver(letter(50))
    box = drop.inbox()
    assert (box.listed, box.new, box.gone) == (1, 1, 0)
    assert drop.inbox().listed == 0
    drop.is_whole()
    assert set(gmail.retrieved.values()) == {1}
    no_damage(drop.root)


def test_recent_mail_is_the_same_account_and_nothing_of_it_is_fetched_again(gmail: Pop3Server, tmp_path: Path) -> None:
    drop = Maildrop(gmail, tmp_path / "archive")
    drop.inbox()
    gmail.deliver(letter(50))
    gmail.forget_counts()
    drop.user = "recent:user"
    box = drop.inbox()
    assert (box.listed, box.new, box.known, box.gone) == (10, 1, 9, 0)
    assert gmail.retrieved == {letter(50): 1}
    assert drop.inbox().known == 10
    drop.is_whole()


def test_messages_that_fail_do_not_hold_up_the_parts_behind(gmail: Pop3Server, tmp_path: Path) -> None:
    drop = Maildrop(gmail, tmp_path / "archive")
    gmail.refused = {4: b"-ERR broken", 14: b"-ERR broken"}
    report = drop.pull()
    [box] = report.accounts[0].mailboxes
    assert (box.listed, box.new, box.failed) == (35, 33, 2)
    gmail.refused = {}
    assert drop.inbox().new == 2
    assert set(gmail.retrieved.values()) == {1}
    drop.is_whole()


def test_a_part_that_came_in_a_session_that_was_cut_does_not_hide_what_comes_after(
    gmail: Pop3Server, tmp_path: Path
) -> None:
    drop = Maildrop(gmail, tmp_path / "archive")
    drop.inbox()
    for one in gmail.letters[:20]:
        one.popped = False
    gmail.deliver(*map(letter, range(100, 125)))
    report = drop.pull()
    [box] = report.accounts[0].mailboxes
    assert (box.new, box.known) == (25, 20)
    assert report.status == "complete"
    assert "20 messages that the archive has were fetched again" in report.accounts[0].notes[0]
    drop.is_whole()


def test_a_line_that_is_cut_loses_nothing_of_a_part(gmail: Pop3Server, tmp_path: Path) -> None:
    drop = Maildrop(gmail, tmp_path / "archive")
    gmail.cuts = {17: 1}
    box = drop.inbox()
    assert (box.listed, box.new) == (35, 35)
    assert set(gmail.retrieved.values()) == {1}
    drop.is_whole()


def test_a_uidl_that_names_another_message_now_is_not_believed(tmp_path: Path) -> None:
    with Pop3Server() as server:
        drop = Maildrop(server, tmp_path / "archive")
        server.deliver(*(letter(number, 100 + 10 * number) for number in range(6)))
        names = [one.uidl for one in server.letters]
        drop.inbox()
        server.forget_counts()
        del server.letters[2]
        server.deliver(letter(50, 700))
        for one, name in zip(server.letters, names, strict=True):
            one.uidl = name
        drop.pull()
        drop.is_whole()
        assert server.counts["RETR"] == 1


def test_sizes_of_nought_do_not_keep_messages_from_being_linked(drop: Maildrop) -> None:
    drop.server.list_size = lambda _size: 0
    drop.inbox()
    drop.server.forget_counts()
    drop.server.renumber()
    assert drop.inbox().linked == COUNT
    drop.nothing_was_sent()
