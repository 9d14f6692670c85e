"""Restores to servers and accounts that change or fail in the middle: nothing is lost, nothing comes twice."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.faults import Fault
from mailarchive.loopback.gmail import GmailAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.loopback.wire import Command, Wire
from mailarchive.mail.mending import Flaw, mend
from mailarchive.ops.naming import Wishes
from mailarchive.ops.restore_common import SETTLING
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.selection import Selection
from mailarchive.remote.imap import sets
from tests.integration.loopback_restores import (
    DATE,
    FLAGS,
    ONE,
    also_in,
    archive_of,
    octets,
    rehearsed,
    run,
    source,
    verified,
)
from tests.integration.sites import mail
from tests.servers.faulty import ALWAYS, ActBefore, CutAtCommand, Occasional, RefuseCommand, faulty
from tests.servers.faulty_uploads import AnswerInstead, CutAtOctets, CutWhenDone
from tests.servers.still_clock import StillClock

LF = b"Subject: lf\nMessage-ID: <lf@x>\n\nbody\n"
LONG = b"Subject: long\r\nMessage-ID: <long@x>\r\n\r\n" + b"x" * 3000 + b"\r\n"
CRLF = LF.replace(b"\n", b"\r\n")


def account(**set_to: object) -> LoopbackAccount:
    """Return an empty account with these attributes."""
    found = LoopbackAccount(capabilities=CAPABILITIES)
    for name, value in set_to.items():
        setattr(found, name, value)
    return found


# -- mended copies -------------------------------------------------------------------------------------------------


def test_a_mended_copy_whose_answer_is_lost_is_recognised_and_not_sent_again(tmp_path: Path) -> None:
    root = archive_of(source(LF, mail(1)), tmp_path)
    with LoopbackServer(account(refuses=frozenset({"bare-newline"}))) as server:
        run(server, root)
        cut = CutWhenDone(name="APPEND")
        with faulty(server, cut):
            report = run(server, root, ONE._replace(fix=True))
        assert cut.struck == 1
        assert (report.exit_code, report.total("sent"), report.total("mended")) == (0, 1, 1)
        assert octets(server.account, "INBOX") == [mail(1), CRLF]
        assert run(server, root).total("known") == 2
        found = verified(server, root)
        assert (found.exit_code, found.total("mended"), found.total("same")) == (0, 1, 1)


def test_a_mended_copy_that_was_not_written_down_is_known_as_one_to_the_next_run(tmp_path: Path) -> None:
    root = archive_of(source(LONG, mail(1)), tmp_path)
    with LoopbackServer(account(refuses=frozenset({"long-line"}), longest_line=998)) as server:
        run(server, root)
        shutil.copytree(root, tmp_path / "before")
        run(server, root, ONE._replace(fix=True))
        report = run(server, tmp_path / "before")
        assert (report.exit_code, report.total("sent"), report.total("known")) == (0, 0, 2)
        assert report.total("mended") == 0
        assert verified(server, tmp_path / "before").total("mended") == 1
        assert octets(server.account, "INBOX") == [mail(1), mend(LONG, {Flaw.LONG_LINE})]


def test_a_mended_copy_is_not_copied_into_other_mailboxes_as_if_it_were_the_message(tmp_path: Path) -> None:
    old = source(LF, mail(1))
    also_in(old, "Other", LF)
    root = archive_of(old, tmp_path)
    with LoopbackServer(account(refuses=frozenset({"bare-newline"}))) as server:
        only = RestoreOptions(Selection(("INBOX",)), connections=1, fix=True)
        assert run(server, root, only).total("mended") == 1
        report = run(server, root, ONE._replace(fix=True))
        assert (report.total("copied"), report.total("sent"), report.total("mended")) == (0, 1, 1)
        assert octets(server.account, "Other") == [CRLF]


# -- copying -------------------------------------------------------------------------------------------------------


def test_what_was_copied_before_a_refusal_is_not_sent_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "LONGEST", 1)
    mails = [mail(number) for number in range(9)]
    old = source(*mails)
    also_in(old, "Other", *mails[::2])
    root = archive_of(old, tmp_path)
    with LoopbackServer(account()) as server:
        refusal = AnswerInstead(name="UID COPY", skip=2, line="NO [LIMIT] Not now")
        with faulty(server, refusal):
            report = run(server, root)
        assert refusal.struck == 1
        assert (report.exit_code, report.total("copied"), report.total("sent")) == (0, 4, 10)
        assert sorted(octets(server.account, "Other")) == sorted(mails[::2])


def test_an_original_with_other_flags_or_another_date_is_not_copied(tmp_path: Path) -> None:
    mails = [mail(number) for number in range(3)]
    old = source(*mails)
    also_in(old, "Other", *mails)
    root = archive_of(old, tmp_path)
    new = account()
    new.append("INBOX", mail(0), internaldate=DATE, flags={"\\Flagged"})
    new.append("INBOX", mail(1), internaldate=DATE - timedelta(days=9), flags=FLAGS)
    with LoopbackServer(new) as server:
        report = run(server, root)
        assert (report.total("there"), report.total("sent"), report.total("copied")) == (2, 3, 1)
        kept = {one.octets: (one.flags, one.internaldate) for one in new.messages("Other")}
        assert kept == {octets: (FLAGS, DATE + timedelta(days=number)) for number, octets in enumerate(mails)}


def test_where_no_original_can_be_opened_all_is_sent(tmp_path: Path) -> None:
    old = source(mail(1), mail(2))
    also_in(old, "Other", mail(1), mail(2))
    root = archive_of(old, tmp_path)
    with LoopbackServer(account()) as server:
        with faulty(server, RefuseCommand(name="EXAMINE", mailbox="INBOX", times=ALWAYS, text="[SERVERBUG] No")):
            report = run(server, root)
        assert (report.exit_code, report.total("sent")) == (0, 4)
        assert octets(server.account, "Other") == [mail(1), mail(2)]


def test_where_copying_ends_the_connection_all_is_sent(tmp_path: Path) -> None:
    old = source(mail(1), mail(2))
    also_in(old, "Other", mail(1), mail(2))
    root = archive_of(old, tmp_path)
    with LoopbackServer(account()) as server:
        with faulty(server, CutAtCommand(name="UID COPY", times=ALWAYS)):
            report = run(server, root)
        assert (report.exit_code, report.total("sent")) == (0, 4)
        assert octets(server.account, "Other") == [mail(1), mail(2)]


def test_copies_whose_answer_is_lost_count_as_copied_and_not_as_sent(tmp_path: Path) -> None:
    mails = [mail(number) for number in range(6)]
    old = source(*mails)
    also_in(old, "Other", *mails)
    root = archive_of(old, tmp_path)
    with LoopbackServer(account()) as server:
        cut = CutWhenDone(name="UID COPY", skip=1)
        with faulty(server, cut):
            report = run(server, root, ONE._replace(max_upload=10 * sum(map(len, mails))))
        assert cut.struck == 1
        assert (report.exit_code, report.total("copied"), report.total("sent")) == (0, 6, 6)
        assert report.total("sent_bytes") == sum(map(len, mails))
        assert sorted(octets(server.account, "Other")) == sorted(mails)


class MakesCrlf(LoopbackAccount):
    """Makes all line ends CRLF, as many servers do."""

    def append(self, mailbox: str | bytes, octets: bytes, **more: Any) -> int:
        return super().append(mailbox, octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), **more)


def test_where_line_ends_are_changed_what_was_sent_is_copied_all_the_same(tmp_path: Path) -> None:
    mails = [LF, LF.replace(b"lf", b"two")]
    old = source(*mails)
    also_in(old, "Other", *mails)
    root = archive_of(old, tmp_path)
    with LoopbackServer(MakesCrlf(capabilities=CAPABILITIES)) as server:
        report = run(server, root)
        assert (report.exit_code, report.total("copied"), report.total("sent")) == (0, 2, 2)
        assert not any("copies" in note for note in report.notes)
        assert run(server, root).total("known") == 4


def test_a_mailbox_is_opened_once_to_copy_from_it_whatever_how_many_want_what_it_has(tmp_path: Path) -> None:
    mails = [mail(number) for number in range(6)]
    old = source(*mails)
    for name in ("A", "B", "C", "D"):
        also_in(old, name, *mails)
    root = archive_of(old, tmp_path)
    with LoopbackServer(account()) as server:
        report = run(server, root)
        assert (report.total("sent"), report.total("copied")) == (6, 24)
        commands = [command.split()[0] for command in server.counts.commands]
        # Before the first copy, after it to see whether it is like its original, and for all others.
        assert commands.count("EXAMINE") == 3
        assert (commands.count("SELECT"), commands.count("FETCH")) == (5, 0)


# -- what is there -------------------------------------------------------------------------------------------------


def test_a_cut_copy_at_the_target_does_not_keep_the_message_away(tmp_path: Path) -> None:
    root = archive_of(source(mail(1)), tmp_path)
    new = account()
    new.append("INBOX", mail(1)[:100], internaldate=DATE)
    with LoopbackServer(new) as server:
        assert run(server, root).total("sent") == 1
        assert octets(new, "INBOX") == [mail(1)[:100], mail(1)]


def test_a_mailbox_made_anew_is_filled_again_though_the_server_does_not_tell_before_it_is_opened(
    tmp_path: Path,
) -> None:
    old = source(mail(1))
    also_in(old, "Other", mail(1))
    root = archive_of(old, tmp_path)
    new = LoopbackAccount(capabilities=CAPABILITIES - {"LIST-STATUS"})
    with LoopbackServer(new) as server:
        run(server, root)
        new.delete("Other")
        new.create("Other")
        with faulty(server, RefuseCommand(name="STATUS", times=ALWAYS)):
            report = run(server, root)
        assert (report.exit_code, len(octets(new, "Other"))) == (0, 1)


def test_what_was_removed_is_noticed_in_a_mailbox_that_needs_nothing(tmp_path: Path) -> None:
    root = archive_of(source(mail(1), mail(2), mail(3)), tmp_path)
    new = account()
    with LoopbackServer(new) as server:
        run(server, root)
        new.expunge("INBOX", 2)
        report = run(server, root)
        assert (report.total("known"), report.total("removed"), report.total("sent")) == (3, 1, 0)
        only = RestoreOptions(Selection(since=(DATE + timedelta(days=2)).date()))
        assert run(server, root, only).total("removed") == 0
        again = ONE._replace(again=True)
        assert rehearsed(server, root, again).total("to_send") == 1
        assert run(server, root, again).total("sent") == 1
        assert sorted(octets(new, "INBOX")) == sorted([mail(1), mail(2), mail(3)])
        report = run(server, root)
        assert (report.total("known"), report.total("removed"), report.total("sent")) == (3, 0, 0)


def test_a_copy_that_comes_to_the_archive_after_another_was_sent_again_is_sent(tmp_path: Path) -> None:
    old = source(mail(1))
    root = archive_of(old, tmp_path)
    new = account()
    with LoopbackServer(new) as server:
        run(server, root)
        new.expunge("INBOX", 1)
        assert run(server, root, ONE._replace(again=True)).total("sent") == 1
        old.append("INBOX", mail(1), internaldate=DATE, flags=FLAGS)
        archive_of(old, tmp_path)
        assert run(server, root).total("sent") == 1
        assert octets(new, "INBOX") == [mail(1), mail(1)]


def test_what_was_removed_is_sent_again_also_where_uids_are_not_told(tmp_path: Path) -> None:
    root = archive_of(source(mail(1), mail(2), mail(3)), tmp_path)
    new = LoopbackAccount(capabilities=CAPABILITIES - {"UIDPLUS"})
    again = ONE._replace(again=True)
    with LoopbackServer(new) as server:
        run(server, root)
        new.expunge("INBOX", 2)
        assert rehearsed(server, root, again).total("to_send") == 1
        report = run(server, root, again)
        assert (report.total("sent"), report.total("known")) == (1, 2)
        report = run(server, root, again)
        assert (report.total("sent"), report.total("known")) == (0, 3)
        assert sorted(octets(new, "INBOX")) == sorted([mail(1), mail(2), mail(3)])


def test_a_deleted_mailbox_of_a_server_that_numbers_nothing_anew_is_filled_again_once(tmp_path: Path) -> None:
    old = source(mail(1))
    also_in(old, "Work", mail(1))
    root = archive_of(old, tmp_path)
    new = account()
    with LoopbackServer(new) as server:
        run(server, root)
        uidvalidity = new["Work"].uidvalidity
        new.delete("Work")
        with faulty(server, ActBefore(name="SELECT", act=lambda: setattr(new["Work"], "uidvalidity", uidvalidity))):
            assert run(server, root).exit_code == 0
        assert len(octets(new, "Work")) == 1
        report = run(server, root)
        assert (report.total("known"), report.total("removed")) == (2, 0)


def test_a_mailbox_that_was_given_another_name_is_not_filled_a_second_time(tmp_path: Path) -> None:
    old = source(mail(1))
    old.create("Work")
    old.append("Work", mail(2))
    root = archive_of(old, tmp_path)
    new = account()
    with LoopbackServer(new) as server:
        run(server, root)
        new.rename("Work", "Job")
        for report in (rehearsed(server, root), run(server, root)):
            assert report.exit_code == 3
            assert [(box.mailbox, "Job" in box.error, box.left) for box in report.mailboxes if box.error] == [
                ("Work", True, 1)
            ]
        assert "Work" not in new
        found = verified(server, root)
        assert any("seems to be called Job" in box.error for box in found.mailboxes)
        go_on = ONE._replace(wishes=Wishes(renames={("Work",): ("Job",)}))
        assert (run(server, root, go_on).total("sent"), run(server, root, go_on).exit_code) == (0, 0)
        report = run(server, root)
        assert (report.exit_code, report.total("sent"), "Work" in new) == (3, 0, False)
        assert run(server, root, ONE._replace(again=True)).total("sent") == 1


def test_a_mailbox_that_was_deleted_is_made_again_and_it_is_said(tmp_path: Path) -> None:
    old = source(mail(1))
    old.create("Work")
    old.append("Work", mail(2))
    root = archive_of(old, tmp_path)
    new = account()
    with LoopbackServer(new) as server:
        run(server, root)
        new.delete("Work")
        assert any("made again" in note for note in rehearsed(server, root).notes)
        report = run(server, root)
        assert (report.exit_code, report.total("sent")) == (0, 1)
        assert any("Work" in note and "made again" in note for note in report.notes)


def test_a_mailbox_made_anew_in_the_middle_ends_its_own_restore_and_the_next_run_fills_it(tmp_path: Path) -> None:
    root = archive_of(source(*(mail(number) for number in range(8))), tmp_path)
    new = LoopbackAccount(capabilities=CAPABILITIES - {"MULTIAPPEND"})
    with LoopbackServer(new) as server:

        def make_anew() -> None:
            new.reset_uidvalidity("INBOX")

        with faulty(server, ActBefore(name="APPEND", skip=3, act=make_anew), CutAtCommand(name="APPEND", skip=4)):
            report = run(server, root)
        assert report.exit_code == 3
        assert any("made anew" in box.error for box in report.mailboxes)
        assert run(server, root).exit_code == 0
        assert sorted(octets(new, "INBOX")) == sorted(mail(number) for number in range(8))


# -- troubles on the way -------------------------------------------------------------------------------------------


def test_after_a_lost_connection_the_server_is_given_time_before_it_is_looked_again(tmp_path: Path) -> None:
    root = archive_of(source(mail(1), mail(2)), tmp_path)
    clock = StillClock()
    with LoopbackServer(account()) as server:
        with faulty(server, CutWhenDone(name="APPEND")):
            assert run(server, root, clock=clock).exit_code == 0
        assert SETTLING in clock.sleeps
        assert octets(server.account, "INBOX") == [mail(1), mail(2)]


def test_the_server_is_waited_for_only_if_something_may_be_on_its_way(tmp_path: Path) -> None:
    old = source(mail(1), LF)
    root = archive_of(old, tmp_path)
    clock = StillClock()
    with LoopbackServer(account(refuses=frozenset({"bare-newline"}))) as server:
        assert run(server, root, clock=clock).exit_code == 3
        before = clock.monotonic()
        assert run(server, root, clock=clock).exit_code == 3
        assert clock.monotonic() - before < SETTLING
        for number in range(2, 9):
            old.append("INBOX", mail(number))
        archive_of(old, tmp_path)
        with faulty(server, CutAtCommand(name="APPEND", times=ALWAYS)):
            assert run(server, root, clock=clock).exit_code == 20
        before = clock.monotonic()
        run(server, root, clock=clock)
        assert clock.monotonic() - before >= SETTLING


def test_a_server_that_ends_every_connection_is_left_alone_after_a_while(tmp_path: Path) -> None:
    root = archive_of(source(*(mail(number) for number in range(40))), tmp_path)
    cut = CutAtCommand(name="APPEND", times=ALWAYS)
    with LoopbackServer(account()) as server:
        with faulty(server, cut):
            report = run(server, root)
        assert (report.exit_code, report.total("sent"), report.status) == (20, 0, "failed")
        assert report.total("refused") <= 10
        assert cut.struck < 25
        assert run(server, root).exit_code == 0
        assert len(octets(server.account, "INBOX")) == 40


@pytest.mark.parametrize("words", ["[UNAVAILABLE] Try again later", "[LIMIT] Not now", "Too many requests, throttled"])
@pytest.mark.parametrize("missing", [set[str](), {"MULTIAPPEND"}])
def test_a_server_that_takes_nothing_for_now_is_left_alone(words: str, missing: set[str], tmp_path: Path) -> None:
    root = archive_of(source(*(mail(number) for number in range(300))), tmp_path)
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES - missing)) as server:
        refusal = AnswerInstead(name="APPEND", skip=150 if missing else 0, times=ALWAYS, line=f"NO {words}")
        with faulty(server, refusal):
            report = run(server, root)
        assert (report.exit_code, report.total("refused"), "for now" in report.error) == (3, 0, True)
        assert report.total("left") == 300 - report.total("sent") > 0
        assert refusal.struck <= 150
        with faulty(server, AnswerInstead(name="APPEND", skip=2, times=2, line=f"NO {words}")):
            report = run(server, root)
        assert report.total("refused") + report.total("sent") + report.total("known") == 300
        assert run(server, root).exit_code == 0
        assert len(octets(server.account, "INBOX")) == 300


def test_messages_that_end_the_connection_are_given_up_and_all_others_are_sent(tmp_path: Path) -> None:
    poison = [b"Subject: poison\r\n\r\n%d\r\n" % number for number in range(3)]
    mails = [mail(0), poison[0], poison[1], mail(1), mail(2), poison[2], mail(3)]
    root = archive_of(source(*mails), tmp_path)
    with LoopbackServer(account()) as server:
        with faulty(server, CutAtOctets(octets=b"poison")):
            report = run(server, root)
        assert (report.exit_code, report.total("sent"), report.total("refused")) == (3, 4, 3)
        assert all("connection ends" in one.reason for one in report.refusals)
        assert octets(server.account, "INBOX") == [mail(number) for number in range(4)]


@pytest.mark.parametrize("answer", ["NO [ALREADYEXISTS] It is there", "NO Cannot be made", "BAD What?"])
def test_a_mailbox_whose_making_was_not_answered_is_used(tmp_path: Path, answer: str) -> None:
    old = source(mail(1))
    old.create("Work%")
    old.append("Work%", mail(2))
    root = archive_of(old, tmp_path)
    with LoopbackServer(account()) as server:
        with faulty(
            server, CutWhenDone(name="CREATE"), AnswerInstead(name="CREATE", skip=1, times=ALWAYS, line=answer)
        ):
            report = run(server, root)
        assert (report.exit_code, octets(server.account, "Work%")) == (0, [mail(2)])


def test_a_mailbox_that_cannot_be_made_is_said_with_what_to_do(tmp_path: Path) -> None:
    old = source(mail(1))
    old.create("Work")
    root = archive_of(old, tmp_path)
    with LoopbackServer(account(refused_names="Work")) as server:
        report = run(server, root)
        assert (report.exit_code, report.total("sent")) == (3, 1)
        assert [("cannot be made" in box.error, "--map" in box.hint) for box in report.mailboxes if box.error] == [
            (True, True)
        ]


def test_what_one_connection_gives_up_another_does(tmp_path: Path) -> None:
    old = source(mail(0))
    for number in range(1, 6):
        old.create(f"Box {number}")
        old.append(f"Box {number}", mail(number))
    root = archive_of(old, tmp_path)
    with LoopbackServer(account()) as server:
        with faulty(server, CutAtCommand(name="SELECT", mailbox="Box 3", times=5)):
            report = run(server, root, RestoreOptions(connections=2))
        assert (report.exit_code, report.total("sent")) == (0, 6)
        assert all(octets(server.account, f"Box {number}") == [mail(number)] for number in range(1, 6))


def test_want_of_room_is_no_flaw_of_a_message_and_ends_the_sending(tmp_path: Path) -> None:
    root = archive_of(source(*(LF + b"%d" % number * 50 for number in range(30))), tmp_path)
    new = account(quota=500)
    with LoopbackServer(new) as server:
        report = run(server, root, ONE._replace(fix=True))
        assert (report.exit_code, report.total("mended")) == (3, 0)
        assert report.total("sent") > 0
        assert report.total("left") == 30 - report.total("sent") - report.total("refused") > 10
        assert [one.fix for one in report.refusals] == [""] * report.total("refused")
        assert all("takes no further message" in box.error and "room" in box.hint for box in report.mailboxes)
        new.quota = None
        assert run(server, root).exit_code == 0
        assert len(octets(new, "INBOX")) == 30


def test_what_is_sent_again_after_a_loss_is_not_counted_twice_for_the_day(tmp_path: Path) -> None:
    mails = [mail(number) for number in range(10)]
    root = archive_of(source(*mails), tmp_path)
    with LoopbackServer(account()) as server:
        with faulty(server, CutAtCommand(name="APPEND", times=2)):
            report = run(server, root, ONE._replace(max_upload=sum(map(len, mails))))
        assert (report.exit_code, report.total("sent")) == (0, 10)


def test_what_arrived_although_its_answer_was_lost_counts_for_the_day(tmp_path: Path) -> None:
    mails = [mail(number) for number in range(10)]
    root = archive_of(source(*mails), tmp_path)
    new = LoopbackAccount(capabilities=CAPABILITIES - {"MULTIAPPEND"})
    with LoopbackServer(new) as server:
        cut = CutWhenDone(name="APPEND", skip=3)
        with faulty(server, cut):
            report = run(server, root, ONE._replace(max_upload=sum(map(len, mails[:6]))))
        assert (cut.struck, report.exit_code, report.total("sent")) == (1, 3, 6)
        assert sorted(octets(new, "INBOX")) == sorted(mails[:6])


def test_what_has_to_wait_for_another_day_is_said(tmp_path: Path) -> None:
    root = archive_of(source(*(mail(number) for number in range(10))), tmp_path)
    with LoopbackServer(account()) as server:
        report = run(server, root, ONE._replace(max_upload=4 * len(mail(0))))
        assert (report.exit_code, report.total("sent"), report.total("left")) == (3, 4, 6)
        assert any("--max-upload" in note for note in report.notes)


class AskForPatience(Occasional):
    """Tells the client to slow down in front of the answer to an APPEND that was carried out."""

    def done(self, wire: Wire, command: Command, answer: str) -> None:
        if command.name == "APPEND" and answer.startswith("OK") and self.due():
            wire.line("* OK Success [THROTTLED]")


def test_a_server_that_asks_for_patience_while_it_takes_mail_is_heeded(tmp_path: Path) -> None:
    root = archive_of(source(*(mail(number) for number in range(300))), tmp_path)
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES - {"MULTIAPPEND"})) as server:
        fault: Fault = AskForPatience()
        with faulty(server, fault):
            report = run(server, root)
        assert (report.exit_code, "slow down" in report.error) == (3, True)
        assert 0 < report.total("sent") < 300
        with faulty(server, AskForPatience(times=2)):
            assert run(server, root, waits=True).exit_code == 0
        assert server.counts.appended == 300


# -- the rehearsal -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [set[str](), {"UIDPLUS"}])
def test_the_rehearsal_says_what_will_be_sent_and_copied(tmp_path: Path, missing: set[str]) -> None:
    mails = [mail(number) for number in range(6)]
    old = source(*mails)
    also_in(old, "Same", *mails[:4])
    old.create("Read")
    old.append("Read", mail(0), internaldate=DATE, flags={"\\Seen"})
    old.append("Read", mail(1), internaldate=datetime(2020, 1, 1, tzinfo=UTC), flags=FLAGS)
    root = archive_of(old, tmp_path)
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES - missing)) as server:
        plan, done = rehearsed(server, root), run(server, root)
        assert (plan.total("to_send"), plan.total("to_copy")) == (done.total("sent"), done.total("copied"))
        assert done.total("copied") == (0 if missing else 4)


def test_the_rehearsal_counts_a_message_that_a_mailbox_has_twice_as_the_run_does(tmp_path: Path) -> None:
    old = source(mail(1))
    also_in(old, "Twice", mail(1))
    also_in(old, "Twice", mail(1))
    root = archive_of(old, tmp_path)
    with LoopbackServer(account()) as server:
        plan, done = rehearsed(server, root), run(server, root)
        assert (plan.total("to_send"), plan.total("to_copy")) == (done.total("sent"), done.total("copied")) == (2, 1)


def test_the_rehearsal_knows_what_will_be_sent_mended(tmp_path: Path) -> None:
    nul = b"Subject: nul\r\nMessage-ID: <nul@x>\r\n\r\na\0b\0\r\n"
    root = archive_of(source(nul, mail(1)), tmp_path)
    new = LoopbackAccount(capabilities=CAPABILITIES - {"BINARY"})
    with LoopbackServer(new) as server:
        plan = rehearsed(server, root)
        assert (plan.exit_code, plan.total("to_send"), plan.total("refused")) == (3, 1, 1)
        plan = rehearsed(server, root, ONE._replace(fix=True))
        assert (plan.exit_code, plan.total("to_send"), plan.total("mended"), plan.total("refused")) == (0, 2, 1, 0)
        assert [refusal.mended for refusal in plan.refusals] == [True]
        done = run(server, root, ONE._replace(fix=True))
        assert (done.exit_code, done.total("sent"), done.total("mended")) == (0, 2, 1)
        assert done.total("sent_bytes") == plan.total("to_send_bytes")
        assert [(one.reason, one.odd, one.fix) for one in plan.refusals] == [
            (one.reason, one.odd, one.fix) for one in done.refusals
        ]


def test_copies_need_room_too(tmp_path: Path) -> None:
    old = source(mail(1), mail(2))
    also_in(old, "Other", mail(1), mail(2))
    root = archive_of(old, tmp_path)
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES | {"QUOTA"})) as server:
        server.account.quota = 3 << 10
        assert not any("room" in note for note in rehearsed(server, root).notes)
        server.account.quota = 1 << 10
        assert any("room" in note for note in rehearsed(server, root).notes)


def test_labels_come_after_all_mail_also_when_it_was_sent_in_two_attempts(tmp_path: Path) -> None:
    old = source(*(mail(number) for number in range(5)))
    also_in(old, "Work", mail(1), mail(2))
    root = archive_of(old, tmp_path)
    with LoopbackServer(GmailAccount()) as server:
        with faulty(server, CutAtCommand(name="SELECT", mailbox="[Gmail]/All Mail", times=5)):
            report = run(server, root, RestoreOptions(connections=2))
        assert (report.exit_code, sorted(octets(server.account, "Work"))) == (0, [mail(1), mail(2)])
