"""An archive is sent on to an address: exact octets, the oldest first, each once, whatever happens in between."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest

from mailarchive.clock import Stop
from mailarchive.config import Endpoint, parse_target_url
from mailarchive.errors import ExitCode, TargetRefused, UsageError
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.events import Event, Notice, ignore
from mailarchive.ops.pull import PullOptions, pull
from mailarchive.ops.resend import ResendTarget, resend
from mailarchive.ops.resend_rehearsal import rehearse_resend
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import RestoreReport
from mailarchive.ops.selection import Selection
from mailarchive.remote.smtp import SmtpSession
from mailarchive.targets.registry import connect_to_send
from tests.fault.archives import held, no_damage
from tests.integration.sites import Site, account_at
from tests.servers.dovecot import Dovecot
from tests.servers.smtp import HANG_UP, SmtpServer
from tests.servers.still_clock import StillClock

TO = "new@example.org"
COUNT = 6


def mail(number: int) -> bytes:
    return b"Subject: %d\r\n\r\n.\r\n..%d\r\n" % (number, number)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An archive whose newest message is listed first, with one message in two mailboxes."""
    account = LoopbackAccount()
    account.create("Other")
    for number in range(COUNT):
        moment = datetime(2024, 1, 1, tzinfo=UTC) - timedelta(days=number)
        account.append("INBOX", mail(number), internaldate=moment)
    account.append("Other", mail(0), internaldate=datetime(2024, 1, 1, tzinfo=UTC))
    with LoopbackServer(account) as server:
        Site(server, tmp_path / "archive").pull()
    return tmp_path / "archive"


class Sending:
    """What sends an archive to a server, with a clock on which waiting takes no time."""

    def __init__(self, root: Path, server: SmtpServer, to: str = TO) -> None:
        self.root = root
        self.to = to
        self.server = server
        self.clock = StillClock()
        self.told: list[str] = []

    def observe(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.told.append(event.text)

    def __call__(
        self,
        options: RestoreOptions | None = None,
        *,
        endpoint: Endpoint | None = None,
        rate: int | None = None,
        resent: bool = False,
        waits: bool = False,
        rehearse: bool = False,
        stop: Stop | None = None,
    ) -> RestoreReport:
        stop = stop or Stop()
        endpoint = endpoint or Endpoint("smtp", "", "127.0.0.1", self.server.port, "plain")
        account, lines = connect_to_send(endpoint, self.to, lambda: "", sender=None, clock=self.clock, stop=stop)
        target = ResendTarget(account, lines, self.to, resent, rate, waits)
        run = rehearse_resend if rehearse else resend
        options = options or RestoreOptions()
        report = run(self.root, target, options, observer=self.observe, clock=self.clock, stop=stop)
        (box,) = report.mailboxes
        assert box.wanted == box.settled + box.refused + box.damaged + box.left + box.to_send
        return report


def sent(server: SmtpServer) -> list[bytes]:
    return [taken.octets for taken in server.taken]


def test_each_message_is_sent_once_octet_for_octet_the_oldest_first(root: Path) -> None:
    with SmtpServer() as server:
        sending = Sending(root, server)
        report = sending(rehearse=True)
        assert (report.total("to_send"), server.taken) == (COUNT, [])
        report = sending()
        assert (report.exit_code, report.total("sent")) == (ExitCode.COMPLETE, COUNT)
        assert sent(server) == [mail(number) for number in reversed(range(COUNT))]
        assert {taken.recipients for taken in server.taken} == {(TO,)}
        assert any("flags" in sentence for sentence in sending.told)
        report = sending()
        assert (report.total("sent"), report.total("known"), len(server.taken)) == (0, COUNT, COUNT)
        assert sending(RestoreOptions(always=True)).total("sent") == COUNT
    no_damage(root)


def test_what_is_larger_than_the_server_takes_is_told_before(root: Path) -> None:
    with SmtpServer(data_size_limit=len(mail(0)) - 1) as server:
        report = Sending(root, server)(rehearse=True)
        assert (report.exit_code, report.total("refused"), report.total("to_send")) == (3, COUNT, 0)
        assert f"takes at most {len(mail(0)) - 1}" in report.refusals[0].reason
        real = Sending(root, server)()
        assert [one.digest for one in real.refusals] == [one.digest for one in report.refusals]
    with SmtpServer(data_size_limit=len(mail(0))) as server:
        assert Sending(root, server)(rehearse=True).total("to_send") == COUNT
        assert Sending(root, server)(rehearse=True, resent=True).total("refused") == COUNT
        assert server.taken == []


ODD = {
    "bare LF": b"Subject: a\n\nb\n",
    "bare CR": b"Subject: a\r\n\r\nb\rc\r\n",
    "NUL": b"Subject: a\r\n\r\nb\0c\r\n",
    "8 bit": "Subject: a\r\n\r\nä\r\n".encode(),
    "long line": b"Subject: a\r\n\r\n" + b"x" * 2000 + b"\r\n",
    "no end": b"Subject: a\r\n\r\nb",
}


@pytest.fixture
def odd_root(tmp_path: Path) -> Path:
    account = LoopbackAccount()
    for octets in ODD.values():
        account.append("INBOX", octets)
    with LoopbackServer(account) as server:
        Site(server, tmp_path / "archive").pull()
    return tmp_path / "archive"


@pytest.mark.parametrize(
    ("eight_bits", "refused"), [(True, {"bare LF", "bare CR", "NUL"}), (False, {"bare LF", "bare CR", "NUL", "8 bit"})]
)
def test_what_cannot_be_sent_is_told_before_in_the_same_words(
    odd_root: Path, eight_bits: bool, refused: set[str]
) -> None:
    with SmtpServer(decode_data=not eight_bits, enable_SMTPUTF8=eight_bits) as server:
        rehearsed = Sending(odd_root, server)(rehearse=True)
        assert (rehearsed.exit_code, server.taken) == (ExitCode.PARTIAL, [])
        report = Sending(odd_root, server)()
        assert rehearsed.refusals == report.refusals
        assert {one.digest for one in report.refusals} == {hashlib.sha256(ODD[name]).hexdigest() for name in refused}
        assert rehearsed.total("to_send") == report.total("sent") == len(ODD) - len(refused)
        assert rehearsed.total("to_send_bytes") == report.total("sent_bytes")


def test_what_is_damaged_is_told_before_in_the_same_words(root: Path) -> None:
    (block,) = (root / "mail").glob("open-*.mbox")
    block.write_bytes(block.read_bytes().replace(b"Subject: 3", b"Subject: X"))
    with SmtpServer() as server:
        rehearsed = Sending(root, server)(rehearse=True)
        report = Sending(root, server)()
        assert (rehearsed.exit_code, report.exit_code) == (ExitCode.INTEGRITY, ExitCode.INTEGRITY)
        assert rehearsed.notes == report.notes
        assert hashlib.sha256(mail(3)).hexdigest()[:12] in report.notes[0]
        assert rehearsed.total("damaged") == report.total("damaged") == 1
        assert rehearsed.total("to_send") == report.total("sent") == COUNT - 1


def test_addresses_that_the_server_does_not_take_are_told_before_in_the_same_words(root: Path) -> None:
    with SmtpServer(enable_SMTPUTF8=False) as server:
        report = Sending(root, server, to="jürgen@example.org")()
        with pytest.raises(TargetRefused) as caught:
            Sending(root, server, to="jürgen@example.org")(rehearse=True)
        assert str(caught.value) == report.error


def test_a_rehearsal_that_is_stopped_leaves_the_rest(root: Path) -> None:
    stop = Stop()
    stop.set()
    with SmtpServer() as server:
        report = Sending(root, server)(rehearse=True, stop=stop)
        assert (report.total("left"), report.total("to_send")) == (COUNT, 0)


def test_who_sends_it_on_is_said_only_if_wanted(root: Path) -> None:
    with SmtpServer() as server:
        Sending(root, server)(resent=True)
        first = sent(server)[0]
        head, _, rest = first.partition(b"Subject: ")
        assert b"Subject: " + rest == mail(COUNT - 1)
        names = [line.partition(b":")[0] for line in head.splitlines()]
        assert names == [b"Resent-Date", b"Resent-From", b"Resent-To", b"Resent-Message-ID"]


def test_what_is_refused_is_listed_and_holds_up_nothing(root: Path) -> None:
    with SmtpServer() as server:
        server.answers["DATA"] = ["554 5.7.1 no thanks"]
        report = Sending(root, server)()
        assert (report.exit_code, report.total("sent"), report.total("refused")) == (3, COUNT - 1, 1)
        assert "no thanks" in report.refusals[0].reason
        assert Sending(root, server)().total("sent") == 1


def test_what_is_not_taken_for_now_is_left_and_the_others_go_on(root: Path) -> None:
    with SmtpServer() as server:
        server.answers["DATA"] = ["451 4.3.0 later"]
        report = Sending(root, server)()
        assert (report.exit_code, report.total("sent"), report.total("left")) == (3, COUNT - 1, 1)
        assert (report.error, report.status) == ("messages that were not taken for now: 1", "partial")
        assert "the same command tries them again" in report.hint
        name = hashlib.sha256(mail(COUNT - 1)).hexdigest()[:12]
        (note,) = report.notes
        assert note.startswith(f"message {name} of ")
        assert " INBOX was not taken for now: " in note
        assert note.endswith("451 4.3.0 later")
        server.answers["DATA"] = ["451 4.3.0 later"]
        assert Sending(root, server)(waits=True).exit_code == 0
        assert len(server.taken) == COUNT


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("DATA", "554 5.7.1 no thanks"),
        ("DATA", "451 4.3.0 later"),
        ("RCPT", "552 5.2.2 mailbox full"),
        ("MAIL", "530 5.7.0 log in first"),
    ],
)
def test_what_was_answered_is_not_in_doubt_later(root: Path, hook: str, answer: str) -> None:
    with SmtpServer() as server:
        server.answers[hook] = [answer]
        assert Sending(root, server)().exit_code
        report = Sending(root, server)()
        assert (report.exit_code, report.notes, len(server.taken)) == (ExitCode.COMPLETE, [], COUNT)
    no_damage(root)


def test_a_doubt_of_an_earlier_run_is_not_settled_by_a_refusal(root: Path) -> None:
    only = RestoreOptions(Selection(("Other",)))
    with SmtpServer() as server:
        server.answers["DATA"] = [HANG_UP, "554 5.7.1 no thanks"]
        Sending(root, server)(only)
        assert Sending(root, server)(only).total("refused") == 1
        report = Sending(root, server)(only)
        assert (report.total("sent"), len(report.notes)) == (1, 1)
        assert "may be there twice" in report.notes[0]


def test_what_was_refused_does_not_count_as_sent_on_a_day(root: Path) -> None:
    with SmtpServer() as server:
        server.answers["DATA"] = ["554 5.7.1 no thanks", "451 4.3.0 later"]
        report = Sending(root, server)(RestoreOptions(max_upload=3 * len(mail(0))))
        assert (report.total("sent"), report.total("refused"), report.total("left")) == (3, 1, 2)


def test_a_message_that_the_server_hangs_up_on_holds_up_nothing(root: Path) -> None:
    """It is tried again over other connections, and then left; after three such messages the run ends."""
    with SmtpServer() as server:
        server.answers["DATA"] = ["421 4.3.2 shutting down"] * 5
        report = Sending(root, server)()
        assert (report.exit_code, report.error) == (ExitCode.PARTIAL, "messages that were not taken for now: 1")
        assert (report.total("sent"), report.total("left"), len(server.taken)) == (COUNT - 1, 1, COUNT - 1)
        server.answers["DATA"] = ["421 4.3.2 shutting down"] * 100
        Sending(root, server)(RestoreOptions(always=True))
        assert 100 - len(server.answers["DATA"]) == 5 + 1 + 1
        server.answers.clear()
        assert Sending(root, server)().notes == []
        assert len(server.taken) == COUNT
    no_damage(root)


def test_a_full_mailbox_ends_the_run(root: Path) -> None:
    with SmtpServer() as server:
        server.answers["RCPT"] = ["552 5.2.2 mailbox full"]
        report = Sending(root, server)()
        assert (report.exit_code, report.total("left")) == (ExitCode.TARGET_REFUSED, COUNT)
        assert "mailbox full" in report.error


def test_no_more_go_in_a_minute_than_the_rate_allows(root: Path) -> None:
    with SmtpServer() as server:
        sending = Sending(root, server)
        before = sending.clock.monotonic()
        sending(rate=30)
        assert sending.clock.monotonic() - before >= 2 * (COUNT - 1)


def test_what_waits_for_its_turn_when_the_run_is_stopped_is_left(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        sending, stop = Sending(root, server), Stop()
        monkeypatch.setattr(sending.clock, "sleep", lambda *_: stop.set())
        report = sending(rate=30, stop=stop)
        assert (len(server.taken), report.total("sent"), report.total("left")) == (1, 1, COUNT - 1)
        assert sending().notes == []


def test_no_more_go_in_a_day_than_may(root: Path) -> None:
    with SmtpServer() as server:
        report = Sending(root, server)(RestoreOptions(max_upload=3 * len(mail(0))))
        assert (report.total("sent"), report.total("left"), report.exit_code) == (3, 3, 3)


def test_only_what_is_selected_is_sent(root: Path) -> None:
    with SmtpServer() as server:
        Sending(root, server)(RestoreOptions(Selection(("Other",))))
        assert sent(server) == [mail(0)]
        with pytest.raises(UsageError, match="nothing in the archive matches"):
            Sending(root, server)(RestoreOptions(Selection(("Nowhere",))))


def test_what_is_in_doubt_is_sent_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies when the server has taken a message, before that is written down."""
    from mailarchive.archive.restoring import RestoreLog

    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    with SmtpServer() as server:
        sending = Sending(root, server)
        with monkeypatch.context() as patched:
            patched.setattr(RestoreLog, "restored", die)
            with pytest.raises(Died):
                sending()
        assert len(server.taken) == 1
        report = Sending(root, server)()
        assert (report.exit_code, report.total("sent")) == (ExitCode.COMPLETE, COUNT)
        assert sent(server)[:2] == [mail(COUNT - 1)] * 2
        name = hashlib.sha256(mail(COUNT - 1)).hexdigest()[:12]
        assert report.notes == [f"message {name} may be there twice: an earlier run had begun to send it"]
        assert Sending(root, server)().total("known") == COUNT
    no_damage(root)


@pytest.mark.parametrize("budget", [None, len(mail(0))])
def test_a_line_lost_behind_the_last_dot_leaves_a_doubt_that_the_next_run_settles(
    root: Path, budget: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on over another connection, which is not made if there are none."""
    first = mail(COUNT - 1)
    name = hashlib.sha256(first).hexdigest()[:12]
    with SmtpServer() as server:
        server.answers["DATA"] = [HANG_UP]
        connect = Mock(side_effect=SmtpSession)
        monkeypatch.setattr("mailarchive.targets.smtp.SmtpSession", connect)
        report = Sending(root, server)(RestoreOptions(max_upload=budget))
        others = 0 if budget else COUNT - 1
        assert connect.call_count == (2 if others else 1)
        assert (report.exit_code, report.error) == (ExitCode.PARTIAL, "")
        assert (report.total("sent"), report.total("left")) == (others, COUNT - others)
        assert [name in note for note in report.notes if "--max-upload" not in note] == [True]
        assert len(server.taken) == 1 + others
        report = Sending(root, server)()
        assert (report.exit_code, report.total("known")) == (ExitCode.COMPLETE, others)
        assert report.notes == [f"message {name} may be there twice: an earlier run had begun to send it"]
        assert sent(server).count(first) == 2
        assert len(server.taken) == COUNT + 1
    no_damage(root)


@pytest.mark.parametrize("between", [[], ["554 5.7.1 no thanks"]])
def test_a_server_that_answers_to_no_message_ends_the_run(root: Path, between: list[str]) -> None:
    with SmtpServer() as server:
        server.answers["DATA"] = [HANG_UP, *between, HANG_UP, "451 4.3.0 later", HANG_UP]
        report = Sending(root, server)()
        assert (report.exit_code, report.status) == (ExitCode.PARTIAL, "failed")
        assert report.total("left") == COUNT - len(between)
        assert len(server.taken) == 2


def test_three_doubts_in_a_row_end_the_run(root: Path) -> None:
    with SmtpServer() as server:
        server.answers["DATA"] = [HANG_UP] * COUNT
        report = Sending(root, server)()
        assert (report.exit_code, report.status) == (ExitCode.SOURCE_UNREACHABLE, "failed")
        assert (report.total("left"), len(server.taken), len(report.notes)) == (COUNT, 3, 3)
        assert "message after message may have arrived or not" in report.error
        assert "look at the other account" in report.hint
        server.answers.clear()
        report = Sending(root, server)()
        assert (report.exit_code, report.total("sent"), len(report.notes)) == (ExitCode.COMPLETE, COUNT, 3)
    no_damage(root)


def test_doubts_with_messages_between_them_that_are_taken_end_nothing(root: Path) -> None:
    with SmtpServer() as server:
        server.answers["DATA"] = [HANG_UP, HANG_UP, "", HANG_UP, HANG_UP]
        report = Sending(root, server)()
        assert (report.exit_code, report.error) == (ExitCode.PARTIAL, "")
        assert (report.total("sent"), report.total("left")) == (2, 4)


def test_what_dovecot_takes_by_lmtp_a_pull_finds_there(
    root: Path, tmp_path: Path, start_dovecot: Callable[..., Dovecot]
) -> None:
    dovecot = start_dovecot(lmtp=True)
    with SmtpServer() as unused:
        sending = Sending(root, unused)
        for endpoint in map(
            parse_target_url, (f"lmtp://127.0.0.1:{dovecot.ports.lmtp}", f"lmtp://{dovecot.lmtp_socket}")
        ):
            report = sending(endpoint=endpoint)
            assert (report.exit_code, report.total("sent")) == (ExitCode.COMPLETE, COUNT)
            assert sending(endpoint=endpoint).total("known") == COUNT
    account = account_at(dovecot.port, dovecot.host, sending.clock, Stop())
    pulled = pull(tmp_path / "again", [account], PullOptions(), observer=ignore, clock=sending.clock, stop=Stop())
    assert pulled.status == "complete"
    found = [octets.partition(b"\r\n")[2] for octets in held(tmp_path / "again").values()]
    assert sorted(found) == sorted(2 * [mail(number) for number in range(COUNT)])
