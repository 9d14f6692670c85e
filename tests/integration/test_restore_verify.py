"""What `restore --verify` finds at a target, at servers that behave and at others."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailarchive.clock import Stop
from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops import restore_verify as verifying
from mailarchive.ops.events import Event, MailboxPlanned, MessagesDone
from mailarchive.ops.restore_verify import RestoreVerification, verify_restore
from tests.integration.loopback_restores import DATE, FLAGS, ONE, archive_of, run, source, target_at, verified
from tests.integration.sites import mail
from tests.servers.faulty import Cut, Omit, Refuse, faulty
from tests.servers.still_clock import StillClock

COUNTS = ("same", "changed", "mended", "different", "missing", "removed", "damaged", "uncompared")
LF = b"Subject: lf\n\nbody\n"
UNENDED = b"Subject: lf\n\nbody"


def counts(found: RestoreVerification) -> dict[str, int]:
    """Return the counts that are not 0, after asserting that they add up."""
    for box in found.mailboxes:
        assert box.wanted == sum(getattr(box, name) for name in COUNTS), box
    return {name: found.total(name) for name in COUNTS if found.total(name)}


def compared(server: LoopbackServer, root: Path) -> RestoreVerification:
    """Compare without downloading."""
    stop = Stop()
    target = target_at(server, stop)
    return verify_restore(root, target, ONE, full=False, observer=print, clock=StillClock(), stop=stop)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return archive_of(source(*map(mail, range(1, 11))), tmp_path)


def test_a_body_that_is_refused_is_not_compared_and_all_others_are(root: Path) -> None:
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES)) as server:
        run(server, root)
        with faulty(server, Refuse(uids={4})):
            found = verified(server, root)
    assert counts(found) == {"same": 9, "uncompared": 1}
    assert found.exit_code == 3
    assert len(found.problems) == 1
    assert "(uid 4) is not shown" in found.problems[0]


def test_a_body_that_is_left_out_is_not_taken_for_the_same(root: Path) -> None:
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES)) as server:
        run(server, root)
        with faulty(server, Omit(uids={4})):
            found = verified(server, root)
    assert counts(found) == {"same": 9, "uncompared": 1}
    assert found.exit_code == 3


@pytest.mark.parametrize("full", [False, True])
def test_line_ends_that_the_server_made_crlf_are_no_fault(full: bool, tmp_path: Path) -> None:
    root = archive_of(source(LF, UNENDED, mail(1)), tmp_path)
    account = LoopbackAccount(capabilities=CAPABILITIES)
    for number, octets in enumerate((LF.replace(b"\n", b"\r\n"), LF.replace(b"\n", b"\r\n"), mail(1))):
        account.append("INBOX", octets, internaldate=DATE + timedelta(days=number), flags=FLAGS)
    with LoopbackServer(account) as server:
        found = verified(server, root) if full else compared(server, root)
    assert counts(found) == {"same": 1, "changed": 2}
    assert (found.exit_code, found.problems) == (0, [])


def test_other_octets_of_the_same_size_are_seen_with_full_only(tmp_path: Path) -> None:
    root = archive_of(source(LF, mail(1)), tmp_path)
    account = LoopbackAccount(capabilities=CAPABILITIES)
    with LoopbackServer(account) as server:
        run(server, root)
        first = account.messages("INBOX")[0]
        account["INBOX"].messages[first.uid] = replace(first, octets=first.octets.replace(b"body", b"BODY"))
        assert counts(compared(server, root)) == {"same": 2}
        found = verified(server, root)
    assert counts(found) == {"same": 1, "different": 1}
    assert "has other octets" in found.problems[0]


def test_what_was_removed_is_told_from_what_was_never_sent(root: Path) -> None:
    account = LoopbackAccount(capabilities=CAPABILITIES)
    with LoopbackServer(account) as server:
        run(server, root, ONE._replace(selection=replace(ONE.selection, before=(DATE + timedelta(days=3)).date())))
        account.expunge("INBOX", 2)
        found = verified(server, root)
    assert counts(found) == {"same": 2, "missing": 7, "removed": 1}
    assert sum("was restored, and has been removed" in problem for problem in found.problems) == 1


def test_progress_is_told_within_a_mailbox_and_once_though_the_line_is_cut(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_A_TIME", 4)
    events: list[Event] = []
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES)) as server:
        run(server, root)
        stop = Stop()
        target = target_at(server, stop)
        with faulty(server, Cut(uids={6})):
            found = verify_restore(root, target, ONE, full=True, observer=events.append, clock=StillClock(), stop=stop)
    size = sum(len(mail(number)) for number in range(1, 11))
    assert [event[2:] for event in events if isinstance(event, MailboxPlanned)] == [(10, size)]
    done = [event for event in events if isinstance(event, MessagesDone)]
    assert [event.messages for event in done] == [4, 4, 2]
    assert sum(event.octets for event in done) == size
    assert counts(found) == {"same": 10}


def test_a_mailbox_that_goes_away_meanwhile_is_not_compared_to_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_A_TIME", 4)
    account = LoopbackAccount(capabilities=CAPABILITIES)
    with LoopbackServer(account) as server:
        run(server, root)
        stop = Stop()
        target = target_at(server, stop)

        def observer(event: Event) -> None:
            if isinstance(event, MessagesDone):
                account.reset_uidvalidity("INBOX")

        with faulty(server, Cut(uids={6})):
            found = verify_restore(root, target, ONE, full=True, observer=observer, clock=StillClock(), stop=stop)
    assert counts(found) == {"same": 4, "uncompared": 6}
    assert found.exit_code == 3
    assert "made anew" in found.mailboxes[0].error


def test_sentences_that_are_not_kept_are_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_MOST_SENTENCES", 3)
    with LoopbackServer(LoopbackAccount(capabilities=CAPABILITIES)) as server:
        found = verified(server, root)
    assert counts(found) == {"missing": 10}
    assert (len(found.problems), found.unlisted) == (3, 7)
