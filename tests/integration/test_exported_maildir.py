"""A Dovecot serves the Maildir that was exported, also one that it has been using."""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mailarchive.ops.events import ignore
from mailarchive.ops.export import export
from mailarchive.ops.selection import Selection
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import message, pull_memory
from tests.servers.dovecot import Dovecot

DATE = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)


def seen(dovecot: Dovecot, mailbox: str) -> dict[bytes, tuple[set[bytes], bytes]]:
    """Return flags and INTERNALDATE by the message's octets."""
    client = dovecot.login()
    client.select(mailbox, readonly=True)
    _, answers = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
    client.logout()
    found = {}
    for part in answers:
        if isinstance(part, tuple):
            facts = re.search(rb'FLAGS \(([^)]*)\) INTERNALDATE "([^"]*)"', part[0])
            assert facts is not None
            found[part[1]] = set(facts[1].split()) - {b"\\Recent"}, facts[2]
    return found


def owned(path: Path) -> None:
    """Give a tree to who Dovecot runs as: the owner of its top."""
    top = path.stat()
    for below in path.rglob("*"):
        shutil.chown(below, top.st_uid, top.st_gid)


def test_dovecot_serves_what_was_exported_into_its_own_maildir(
    tmp_path: Path, start_dovecot: Callable[..., Dovecot]
) -> None:
    account = MemoryAccount()
    for path in ("INBOX", "Sent/ü.2024"):
        account.create(path)
    account.append("INBOX", message(1), ["\\Seen", "\\Flagged"], DATE)
    account.append("Sent/ü.2024", message(2), ["\\Answered", "$Label1", "$Forwarded"], DATE)
    pull_memory(tmp_path / "archive", account)
    dovecot = start_dovecot(mail_format="maildir")
    dovecot.load("INBOX", b"Subject: theirs\r\n\r\n")
    for written in (2, 0):
        report = export(tmp_path / "archive", dovecot.mail, "maildir", Selection(), ignore)
        assert report.messages == written
        owned(dovecot.mail)
        date = b"29-Feb-2024 23:59:58 +0000"
        inbox = seen(dovecot, "INBOX")
        assert inbox.keys() == {b"Subject: theirs\r\n\r\n", message(1)}
        assert inbox[message(1)] == ({b"\\Seen", b"\\Flagged"}, date)
        names = dovecot.doveadm("mailbox", "list", "-u", "user").split()
        (below,) = [name for name in names if name.startswith("Sent/")]
        assert seen(dovecot, f'"{below_raw(dovecot)}"') == {
            message(2): ({b"\\Answered", b"$Label1", b"$Forwarded"}, date)
        }
        assert below == "Sent/ü%2E2024"


def test_flags_that_were_changed_over_imap_stay(tmp_path: Path, start_dovecot: Callable[..., Dovecot]) -> None:
    account = MemoryAccount()
    account.create("INBOX")
    for number in (1, 2):
        account.append("INBOX", message(number), (), DATE)
    pull_memory(tmp_path / "archive", account)
    dovecot = start_dovecot(mail_format="maildir")
    dovecot.create("x")
    export(tmp_path / "archive", dovecot.mail, "maildir", Selection(), ignore)
    owned(dovecot.mail)
    client = dovecot.login()
    client.select("INBOX")
    found = next(uid for uid, octets in dovecot.messages("INBOX").items() if octets == message(1))
    client.uid("STORE", str(found), "+FLAGS", "(\\Answered)")
    client.logout()
    for uid in (1, 2):
        account.set_flags("INBOX", uid, ["\\Seen"])
    pull_memory(tmp_path / "archive", account)
    assert export(tmp_path / "archive", dovecot.mail, "maildir", Selection(), ignore).messages == 0
    owned(dovecot.mail)
    flags = {octets: flags for octets, (flags, _) in seen(dovecot, "INBOX").items()}
    assert flags == {message(1): {b"\\Answered"}, message(2): {b"\\Seen"}}


def below_raw(dovecot: Dovecot) -> str:
    """Return the name of the mailbox below Sent as LIST sends it."""
    client = dovecot.login()
    _, lines = client.list('""', '"Sent/*"')
    client.logout()
    (line,) = lines
    assert isinstance(line, bytes)
    return line.decode("ascii").rsplit('"/" ', 1)[1].strip('"')
