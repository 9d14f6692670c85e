"""``cleanup`` as a user types it: a plan first, and with ``--yes`` what was planned."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.restores import url_of
from tests.servers.dovecot import Dovecot
from tests.system.conftest import Program

OLD = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def program(dovecot: Dovecot, tmp_path: Path) -> Program:
    dovecot.create("Trash")
    for number in range(30):
        dovecot.load("INBOX", b"Subject: %d\r\n\r\nx\r\n" % number, OLD)
    program = Program(tmp_path, {"MAILARCHIVE_PASSWORD": dovecot.password})
    program("pull", url_of(dovecot), "--quiet")
    return program


def test_a_plan_is_shown_and_carried_out_only_when_that_is_said(program: Program, dovecot: Dovecot) -> None:
    words = ("cleanup", url_of(dovecot), "--mailbox", "inbox", "--older-than", "90")
    plan = program(*words).stdout
    assert "INBOX: 30 at the server, 3 messages to remove" in plan
    assert "kept: 27 more than may go in one run" in plan
    assert "Nothing was changed. With --yes these messages are moved to Trash." in plan
    assert len(dovecot.messages("INBOX")) == 30
    assert "3 of 3 moved to Trash" in program(*words, "--yes").stdout
    done = program.json(*words, "--expunge", "--cap", "20", "--yes")
    assert (done["exit_code"], done["trash"], done["mailboxes"][0]["removed"]) == (0, None, 20)
    assert (len(dovecot.messages("INBOX")), len(dovecot.messages("Trash"))) == (7, 3)
    (inbox, _trash) = program.json("pull")["accounts"][0]["mailboxes"]
    assert (inbox["listed"], inbox["known"], inbox["gone"]) == (7, 7, 0)
    assert len(program.rows("list", "--gone")) == 23
    program("verify", "--quiet")


def test_what_makes_no_sense_is_refused(program: Program, dovecot: Dovecot) -> None:
    words = ("cleanup", url_of(dovecot), "--older-than", "90", "--yes")
    assert "Missing option '--mailbox'" in program(*words, code=2).stderr
    assert "the server has no mailbox *" in program(*words, "--mailbox", "*", code=2).stderr
    for cap in ("0", "0%", "101%", "many", "-1"):
        assert "is neither a number nor a share" in program(*words, "-m", "INBOX", f"--cap={cap}", code=2).stderr
    assert "0 is not in the range" in program(*words, "-m", "INBOX", "--older-than", "0", code=2).stderr
    (program.archive / "mail" / "open-00000001.mbox").write_bytes(b"")
    assert "nothing was removed" in program(*words, "-m", "INBOX", code=13).stderr
    assert len(dovecot.messages("INBOX")) == 30
