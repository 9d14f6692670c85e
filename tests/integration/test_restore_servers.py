"""Restores to servers with demands of their own: Gmail's labels, limits, strictness, copies that lose their date."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.gmail import GmailAccount
from mailarchive.loopback.server import LoopbackServer
from tests.integration.loopback_restores import DATE, ONE, archive_of, octets, rehearsed, run, source, verified
from tests.integration.sites import mail

NUL = b"Subject: nul\r\n\r\na\0b\r\n"
LF = b"Subject: lf\n\nbody\n"
UNENDED = b"Subject: end\r\n\r\nno end"
EIGHT_BIT = "Subject: Grüße\r\n\r\nbody\r\n".encode()


@pytest.fixture
def archived(tmp_path: Path) -> Callable[[LoopbackAccount], Path]:
    return lambda account: archive_of(account, tmp_path)


def test_at_gmail_each_message_is_sent_once_and_labels_put_it_into_its_mailboxes(
    archived: Callable[[LoopbackAccount], Path],
) -> None:
    old = source(mail(1), mail(2))
    for name, use in (("Sent", "\\Sent"), ("Work/2024", None), ("Muted", None), ("Junk", "\\Junk")):
        old.create(name, special_use=use)
    for name in ("Sent", "Work/2024", "Muted"):
        old.append(name, mail(2), internaldate=DATE)
    old.append("Work/2024", mail(3), internaldate=DATE)
    old.append("Junk", mail(4), internaldate=DATE)
    root = archived(old)
    with LoopbackServer(GmailAccount()) as server:
        new = server.account
        planned = rehearsed(server, root)
        assert (planned.total("to_send"), octets(new, "[Gmail]/All Mail")) == (4, [])
        report = run(server, root)
        assert (report.exit_code, report.total("sent"), server.counts.appended) == (0, 4, 4)
        assert sorted(octets(new, "[Gmail]/All Mail")) == sorted([mail(1), mail(2), mail(3)])
        assert octets(new, "[Gmail]/Spam") == [mail(4)]
        assert sorted(octets(new, "INBOX")) == [mail(1), mail(2)]
        assert octets(new, "[Gmail]/Sent Mail") == octets(new, "Muted_") == [mail(2)]
        assert sorted(octets(new, "Work/2024")) == sorted([mail(2), mail(3)])
        again = run(server, root)
        assert (again.total("sent"), again.total("copied"), server.counts.appended) == (0, 0, 4)
        found = verified(server, root)
        assert (found.exit_code, found.problems) == (0, [])


def test_at_gmail_nothing_is_moved_out_of_all_mail_by_what_is_in_the_trash_as_well(
    archived: Callable[[LoopbackAccount], Path],
) -> None:
    old = source(mail(1), mail(2))
    for name, use in (("Trash", "\\Trash"), ("Junk", "\\Junk")):
        old.create(name, special_use=use)
        old.append(name, mail(1), internaldate=DATE)
        old.append(name, mail(3), internaldate=DATE)
    root = archived(old)
    with LoopbackServer(GmailAccount()) as server:
        report = run(server, root)
        assert (report.exit_code, report.total("sent")) == (0, 3)
        assert sorted(octets(server.account, "INBOX")) == [mail(1), mail(2)]
        assert octets(server.account, "[Gmail]/Spam") + octets(server.account, "[Gmail]/Trash") == [mail(3)]
        again = run(server, root)
        assert (again.total("sent"), again.total("removed")) == (0, 0)
        assert verified(server, root).exit_code == 0


def test_at_gmail_the_limit_of_a_day_is_no_full_mailbox(archived: Callable[[LoopbackAccount], Path]) -> None:
    root = archived(source(*(mail(number) for number in range(10))))
    with LoopbackServer(GmailAccount()) as server:
        assert isinstance(server.account, GmailAccount)
        server.account.upload_limit = 4 * len(mail(0))
        report = run(server, root)
        assert (report.exit_code, report.total("sent"), report.total("refused")) == (3, 4, 0)
        assert "come back later" in report.error
        server.account.uploaded = 0
        server.account.upload_limit = 1 << 30
        assert run(server, root).total("sent") == 6
        assert len(octets(server.account, "INBOX")) == 10


def test_what_a_strict_server_refuses_is_listed_and_sent_mended_only_if_wanted(
    archived: Callable[[LoopbackAccount], Path],
) -> None:
    root = archived(source(NUL, LF, UNENDED, EIGHT_BIT, mail(1)))
    strict = LoopbackAccount(capabilities=CAPABILITIES)
    strict.refuses = frozenset({"bare-newline", "8bit-header", "no-final-crlf"})
    with LoopbackServer(strict) as server:
        planned = rehearsed(server, root)
        assert ["NUL" in one.reason for one in planned.refusals] == [True]
        report = run(server, root)
        assert (report.exit_code, report.total("sent"), report.total("refused")) == (3, 1, 4)
        assert all(one.fix and one.odd and not one.mended for one in report.refusals)
        assert "its header is not ASCII" in {one.odd for one in report.refusals}
        report = run(server, root, ONE._replace(fix=True))
        assert (report.exit_code, report.total("sent"), report.total("mended")) == (0, 4, 4)
        assert all(one.mended for one in report.refusals)
        assert b"Subject: nul\r\n\r\na b\r\n" in octets(strict, "INBOX")
        assert run(server, root).total("known") == 5


def test_a_message_with_two_flaws_is_mended_of_both(archived: Callable[[LoopbackAccount], Path]) -> None:
    root = archived(source(b"Subject: two\n\na\0b\n"))
    strict = LoopbackAccount(capabilities=CAPABILITIES)
    strict.refuses = frozenset({"bare-newline"})
    with LoopbackServer(strict) as server:
        report = run(server, root, ONE._replace(fix=True))
        assert (report.exit_code, report.total("mended")) == (0, 1)
        assert octets(strict, "INBOX") == [b"Subject: two\r\n\r\na b\r\n"]


def test_literal8_carries_nul_where_it_is_offered(archived: Callable[[LoopbackAccount], Path]) -> None:
    root = archived(source(NUL, mail(1)))
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES | {"BINARY"})) as server:
        assert run(server, root).exit_code == 0
        assert octets(server.account, "INBOX") == [NUL, mail(1)]


@pytest.mark.parametrize(
    "missing", [{"MULTIAPPEND"}, {"LITERAL+"}, {"UIDPLUS"}, {"MULTIAPPEND", "LITERAL+", "UIDPLUS"}]
)
def test_a_server_with_few_extensions_gets_all_once(
    archived: Callable[[LoopbackAccount], Path], missing: set[str]
) -> None:
    old = source(*(mail(number) for number in range(20)))
    old.create("Other")
    old.append("Other", mail(3), internaldate=DATE + timedelta(days=3), flags={"\\Seen", "$Work"})
    root = archived(old)
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES - missing)) as server:
        for _ in range(2):
            assert run(server, root).exit_code == 0
        assert octets(server.account, "INBOX") == [mail(number) for number in range(20)]
        assert octets(server.account, "Other") == [mail(3)]
        assert server.counts.appended + server.counts.copied == 21


def test_a_message_beyond_the_limit_is_refused_without_being_sent(archived: Callable[[LoopbackAccount], Path]) -> None:
    root = archived(source(mail(1), mail(2, 3000)))
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES | {"APPENDLIMIT=1000"})) as server:
        assert rehearsed(server, root).total("refused") == 1
        report = run(server, root)
        assert (report.total("sent"), report.total("refused"), server.counts.appends) == (1, 1, 1)


def test_copies_that_lose_their_date_are_sent_instead(archived: Callable[[LoopbackAccount], Path]) -> None:
    old = source(mail(1), mail(2), mail(3))
    old.create("Other")
    for number in (1, 2, 3):
        old.append("Other", mail(number), internaldate=DATE + timedelta(days=number - 1), flags={"\\Seen", "$Work"})
    root = archived(old)
    careless = LoopbackAccount(capabilities=CAPABILITIES)
    careless.copy_keeps_date = False
    with LoopbackServer(careless) as server:
        report = run(server, root)
        assert (report.exit_code, report.total("copied"), report.total("sent")) == (0, 1, 5)
        assert any("changes the date of what it copies" in note for note in report.notes)


def test_flags_that_are_not_kept_are_counted(archived: Callable[[LoopbackAccount], Path]) -> None:
    root = archived(source(mail(1), mail(2)))
    account = LoopbackAccount(capabilities=CAPABILITIES)
    account.permanent = frozenset({"\\Seen"})
    with LoopbackServer(account) as server:
        assert rehearsed(server, root).dropped_flags == {"$Work": 2}
        assert run(server, root).dropped_flags == {"$Work": 2}
        assert {message.flags for message in account.messages("INBOX")} == {frozenset({"\\Seen"})}
