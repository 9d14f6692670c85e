"""Cleanup at a real server: what the archive has goes if nothing speaks against it, and all else stays."""

import signal
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailarchive.archive.archive import repair
from mailarchive.clock import Stop, SystemClock
from mailarchive.config import Endpoint, account_of
from mailarchive.errors import ArchiveDamaged, ConnectionLost, MessageRefused, UsageError
from mailarchive.loopback.corpus import Mail
from mailarchive.ops.cleanup import CleanupReport, Wanted, cleanup
from mailarchive.ops.cleanup_plan import Share
from mailarchive.ops.events import ignore
from mailarchive.ops.pull import PullAccount, PullOptions, pull
from mailarchive.remote.imap.removing import RemovingSession
from mailarchive.removers.base import Remover
from mailarchive.removers.imap import ImapRemover
from mailarchive.removers.registry import connect
from mailarchive.sources import registry
from tests.fault.archives import Journal, ignore_text, no_damage
from tests.servers.dovecot import Dovecot

START = datetime(2024, 3, 1, 12, tzinfo=UTC)
COUNT = 20
ALL = Share(100)
MOVED = Wanted(("INBOX",), timedelta(days=30), ALL, expunges=False)
EXPUNGED = MOVED._replace(expunges=True)


def mails(count: int = COUNT, mailbox: str = "INBOX") -> list[Mail]:
    return [
        Mail(mailbox, b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number), START + timedelta(days=number), ())
        for number in range(count)
    ]


class Site:
    """An account, an archive of it, and the way there."""

    def __init__(self, server: Dovecot, root: Path, loaded: list[Mail] | None = None) -> None:
        self.server, self.root = server, root
        self.endpoint = Endpoint("imap", server.user, server.host, server.port, "plain", compress="never")
        server.create("Trash")
        server.load_all(mails() if loaded is None else loaded)
        self.pull()

    def pull(self) -> None:
        clock, stop = SystemClock(), Stop()
        factory = registry.connect(self.endpoint, lambda: Dovecot.password, clock=clock, stop=stop)
        account = PullAccount(account_of(self.endpoint), factory)
        pull(self.root, [account], PullOptions(), observer=ignore, clock=clock, stop=stop)

    def remover(self) -> Remover:
        return connect(self.endpoint, lambda: Dovecot.password)

    def cleanup(self, wanted: Wanted = MOVED, stop: Stop | None = None, *, carry_out: bool = True) -> CleanupReport:
        return cleanup(self.root, self.remover, wanted, ignore, SystemClock(), stop or Stop(), carry_out=carry_out)

    def left(self, mailbox: str = "INBOX") -> int:
        return len(self.server.messages(mailbox))

    def lines(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in Journal.of(self.root).lines if line["t"] == kind]


@pytest.fixture
def site(dovecot: Dovecot, tmp_path: Path) -> Site:
    return Site(dovecot, tmp_path / "archive")


def test_a_plan_changes_nothing(site: Site) -> None:
    report = site.cleanup(carry_out=False)
    (box,) = report.mailboxes
    assert (report.exit_code, report.rehearsed, report.trash) == (0, True, "Trash")
    assert (box.listed, box.chosen, box.removed) == (COUNT, COUNT, 0)
    assert (site.left(), site.left("Trash")) == (COUNT, 0)
    assert site.lines("removing") == []


@pytest.mark.parametrize("lacks", ["", "MOVE"])
def test_what_the_archive_has_is_moved_to_the_trash(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path, lacks: str
) -> None:
    capability = "protocol imap {\nimap_capability = IMAP4rev1 UIDPLUS SPECIAL-USE LITERAL+\n}\n" if lacks else ""
    site = Site(start_dovecot(extra=capability), tmp_path / "archive")
    before = sorted(site.server.messages("INBOX").values())
    report = site.cleanup()
    assert (report.exit_code, report.mailboxes[0].removed) == (0, COUNT)
    assert site.left() == 0
    assert sorted(site.server.messages("Trash").values()) == before
    (removing,), (removed,) = site.lines("removing"), site.lines("removed")
    assert removing["uids"] == removed["uids"] == list(range(1, COUNT + 1))
    site.pull()
    no_damage(site.root)
    assert {uid for line in site.lines("gone") for uid in line["uids"]} == set(range(1, COUNT + 1))
    assert site.cleanup().mailboxes[0].listed == 0


def test_the_trash_can_be_named(site: Site) -> None:
    site.server.create("Bin")
    assert site.cleanup(MOVED._replace(trash="Bin")).mailboxes[0].removed == COUNT
    assert (site.left("Bin"), site.left("Trash")) == (COUNT, 0)
    with pytest.raises(UsageError, match="the server has no mailbox Nowhere"):
        site.cleanup(MOVED._replace(trash="Nowhere"))


def test_what_is_flagged_young_or_new_stays_and_no_more_than_the_cap_goes(site: Site) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    site.server.load("INBOX", b"Subject: young\r\n\r\n", now - timedelta(days=29))
    site.server.load("INBOX", b"Subject: starred\r\n\r\n", START, ["\\Flagged"])
    site.pull()
    site.server.load("INBOX", b"Subject: not pulled\r\n\r\n", START)
    client = site.server.login()
    client.select("INBOX")
    client.uid("STORE", "1", "+FLAGS", "(\\Flagged)")
    client.logout()
    report = site.cleanup(EXPUNGED._replace(share=Share()))
    (box,) = report.mailboxes
    assert (report.exit_code, box.removed) == (0, 2)
    assert box.kept == {"too young": 1, "flagged": 2, "not in the archive": 1, "more than may go in one run": 17}
    assert sorted(site.server.messages("INBOX")) == [1, *range(4, COUNT + 4)]
    assert site.left("Trash") == 0


def test_only_what_was_chosen_is_expunged(site: Site) -> None:
    site.server.load("INBOX", b"Subject: somebody else's\r\n\r\n", START, ["\\Deleted"])
    assert site.cleanup(EXPUNGED).mailboxes[0].removed == COUNT
    assert [octets[:25] for octets in site.server.messages("INBOX").values()] == [b"Subject: somebody else's\r"]


def flip(root: Path) -> None:
    (path,) = (root / "mail").glob("open-*.mbox")
    octets = bytearray(path.read_bytes())
    octets[octets.index(b"body 7")] ^= 1
    path.write_bytes(octets)


def cut(root: Path) -> None:
    (path,) = (root / "mail").glob("open-*.mbox")
    path.write_bytes(path.read_bytes()[:-60])


def lose(root: Path) -> None:
    flip(root)
    repair(root, SystemClock(), ignore_text)


def swap(root: Path) -> None:
    """Let the catalog say of one message that it is another one."""
    with sqlite3.connect(root / "catalog.sqlite3") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(placement)")]
        column = "message" if "message" in columns else "message_id"
        db.execute(f"UPDATE placement SET {column} = (SELECT {column} FROM placement WHERE uid = 9) WHERE uid = 7")


@pytest.mark.parametrize("damage", [flip, cut, lose])
def test_if_anything_is_damaged_nothing_goes(site: Site, damage: Callable[[Path], None]) -> None:
    damage(site.root)
    for wanted in (MOVED, EXPUNGED):
        with pytest.raises(ArchiveDamaged):
            site.cleanup(wanted)
    assert (site.left(), site.left("Trash")) == (COUNT, 0)
    assert site.lines("removing") == []


def test_a_message_that_is_another_one_holds_up_no_other(site: Site) -> None:
    swap(site.root)
    report = site.cleanup(MOVED._replace(share=Share(None, 8)))
    assert report.mailboxes[0].kept == {"not what the archive has": 1, "more than may go in one run": 11}
    assert list(site.server.messages("INBOX")) == [7, *range(10, 21)]


def test_what_only_the_catalog_says_is_not_believed(site: Site) -> None:
    swap(site.root)
    report = site.cleanup()
    assert report.mailboxes[0].kept["not what the archive has"] == 1
    assert list(site.server.messages("INBOX")) == [7]


def test_a_mailbox_that_was_made_anew_is_left_alone(site: Site) -> None:
    site.server.create("Other")
    site.server.load("Work", mails()[0].octets, START)
    site.pull()
    site.server.doveadm("mailbox", "delete", "-u", site.server.user, "-s", "Work")
    site.server.load("Work", mails()[0].octets, START)
    (box,) = site.cleanup(MOVED._replace(mailboxes=("Work",))).mailboxes
    assert (box.chosen, box.kept) == (0, {"not in the archive": 1})
    assert site.left("Work") == 1


def test_a_message_that_was_only_recognised_is_fetched_and_compared(site: Site) -> None:
    client = site.server.login()
    client.create("Moved")
    client.select("INBOX")
    client.uid("MOVE", "1:5", "Moved")
    client.logout()
    site.pull()
    fetched = site.server.body_fetches()
    (box,) = site.cleanup(MOVED._replace(mailboxes=("Moved",))).mailboxes
    assert box.removed == 5
    assert site.server.body_fetches() == fetched + 5


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (MOVED._replace(mailboxes=("Trash",)), "is the trash itself"),
        (MOVED._replace(mailboxes=("INB*",)), "the server has no mailbox INB"),
        (MOVED._replace(mailboxes=("New",)), "the archive has no mailbox New"),
    ],
)
def test_mailboxes_that_cannot_be_cleaned_are_refused(site: Site, wanted: Wanted, sentence: str) -> None:
    site.server.create("New")
    with pytest.raises(UsageError, match=sentence):
        site.cleanup(wanted)
    assert site.left() == COUNT


@pytest.mark.parametrize(("capabilities", "wanted"), [("SPECIAL-USE", MOVED), ("SPECIAL-USE MOVE", EXPUNGED)])
def test_a_server_that_cannot_remove_by_uid_is_left_alone(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path, capabilities: str, wanted: Wanted
) -> None:
    capability = f"protocol imap {{\nimap_capability = IMAP4rev1 {capabilities}\n}}\n"
    site = Site(start_dovecot(extra=capability), tmp_path / "archive", mails(3))
    with pytest.raises(UsageError, match="no way to remove messages by their UID"):
        site.cleanup(wanted)
    assert site.left() == 3


def test_a_line_that_is_lost_ends_the_run_and_the_journal_says_what_was_going_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_self: RemovingSession, _numbers: bytes, _name: object) -> None:
        raise ConnectionLost("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(RemovingSession, "move", die)
        report = site.cleanup()
    assert (report.exit_code, report.error, report.mailboxes[0].removed) == (20, "the line is cut", 0)
    assert len(site.lines("removing")) == 1
    assert site.lines("removed") == []
    assert site.left() == COUNT
    assert site.cleanup().mailboxes[0].removed == COUNT


def test_an_expunge_that_is_refused_leaves_no_message_marked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real, finished = RemovingSession._finish, []

    def refuse(self: RemovingSession, tag: bytes) -> object:
        finished.append(tag)
        status = real(self, tag)
        if len(finished) == 2:
            raise MessageRefused("no")
        return status

    with monkeypatch.context() as patch:
        patch.setattr(RemovingSession, "_finish", refuse)
        patch.setattr("mailarchive.remote.imap.wire.Wire.start", _without_expunge(patch))
        report = site.cleanup(EXPUNGED)
    assert report.exit_code == 3
    client = site.server.login()
    client.select("INBOX", readonly=True)
    assert client.uid("SEARCH", "DELETED")[1] == [b""]
    client.logout()
    assert site.left() == COUNT


def _without_expunge(_patch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    from mailarchive.remote.imap.wire import Wire

    real = Wire.start

    def start(self: Wire, *pieces: Any) -> bytes:
        return real(self, b"NOOP") if pieces[0].startswith(b"UID EXPUNGE") else real(self, *pieces)

    return start


def test_a_signal_ends_it_between_two_batches(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real, stop = RemovingSession.move, Stop()

    def move(self: RemovingSession, numbers: bytes, name: Any) -> None:
        real(self, numbers, name)
        stop.signum = signal.SIGTERM
        stop.set()

    monkeypatch.setattr(ImapRemover, "most_at_once", 5)
    monkeypatch.setattr(RemovingSession, "move", move)
    report = site.cleanup(stop=stop)
    assert (report.exit_code, report.mailboxes[0].removed, site.left()) == (143, 5, COUNT - 5)
    assert [line["uids"] for line in site.lines("removed")] == [[1, 2, 3, 4, 5]]
    assert site.lines("ended")[-1]["exit_code"] == 143
    no_damage(site.root)


def test_a_server_that_only_says_that_it_removed_is_found_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RemovingSession, "move", lambda _self, _numbers, _name: None)
    report = site.cleanup()
    assert (report.exit_code, report.mailboxes[0].removed) == (3, 0)
    assert "still has some of them" in report.mailboxes[0].problem
    assert site.lines("removed") == []


def test_at_gmail_only_the_mailbox_with_all_mail_is_cleaned(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImapRemover, "has_labels", True)
    with pytest.raises(UsageError, match="at Gmail INBOX is a label"):
        site.cleanup()
    with pytest.raises(UsageError, match="at Gmail messages can only go to its own trash"):
        site.cleanup(MOVED._replace(trash="Trash"))
    assert site.left() == COUNT


class Maildrop(Site):
    """The same account over POP3."""

    def __init__(self, server: Dovecot, root: Path) -> None:
        super().__init__(server, root)
        self.endpoint = Endpoint("pop3", server.user, server.host, server.ports.pop3, "plain")
        self.root = root.with_name("maildrop")
        self.pull()


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let so many days pass."""
    real = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: real(self) + timedelta(days=days))


@pytest.fixture
def maildrop(start_dovecot: Callable[..., Dovecot], tmp_path: Path) -> Maildrop:
    return Maildrop(start_dovecot(pop3=True), tmp_path / "archive")


def test_from_a_maildrop_goes_what_was_pulled_long_ago(maildrop: Maildrop, monkeypatch: pytest.MonkeyPatch) -> None:
    (box,) = maildrop.cleanup(EXPUNGED).mailboxes
    assert (box.chosen, box.kept) == (0, {"too young": COUNT})
    later(monkeypatch, 31)
    maildrop.server.load("INBOX", b"Subject: not pulled\r\n\r\n", START)
    assert maildrop.cleanup(EXPUNGED, carry_out=False).mailboxes[0].chosen == COUNT
    assert maildrop.left() == COUNT + 1
    (box,) = maildrop.cleanup(EXPUNGED).mailboxes
    assert (box.removed, box.kept) == (COUNT, {"not in the archive": 1})
    assert maildrop.left() == 1
    with pytest.raises(UsageError, match="which mailbox is the trash"):
        maildrop.cleanup()


def test_from_a_maildrop_nothing_goes_if_the_archive_is_damaged_or_the_session_does_not_end_well(
    maildrop: Maildrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 31)
    with monkeypatch.context() as patch:
        patch.setattr("mailarchive.remote.pop3.removing._AHEAD", 7)
        patch.setattr("mailarchive.remote.pop3.wire.Wire.answer", dying_at(patch, 15))
        report = maildrop.cleanup(EXPUNGED)
    assert (report.exit_code, report.mailboxes[0].removed) == (20, 0)
    assert maildrop.left() == COUNT
    flip(maildrop.root)
    with pytest.raises(ArchiveDamaged):
        maildrop.cleanup(EXPUNGED)
    assert maildrop.left() == COUNT


def dying_at(_patch: pytest.MonkeyPatch, deletions: int) -> Callable[..., Any]:
    """Return what loses the line after so many answers to DELE."""
    from mailarchive.remote.pop3.wire import Wire

    start, answer = Wire.start, Wire.answer
    asked: list[int] = []

    def counted(self: Wire, *commands: bytes, **options: Any) -> None:
        asked.extend(1 for command in commands if command.startswith(b"DELE"))
        start(self, *commands, **options)

    def dying(self: Wire) -> Any:
        if len(asked) >= deletions:
            self.abandon()
            raise ConnectionLost("the line is cut")
        return answer(self)

    _patch.setattr(Wire, "start", counted)
    return dying
