"""Archives of other tools, imported: the next pull downloads only what the tool did not have."""

import getpass
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

import mailarchive
from mailarchive.cli.main import main
from mailarchive.loopback.corpus import Mail
from mailarchive.loopback.gmail import GmailAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.mail import mboxrd
from tests.fault.archives import message, no_damage
from tests.integration.gmails import Gmail
from tests.servers.dovecot import Dovecot

DAY = datetime(2024, 2, 29, 12, tzinfo=UTC)
OWN = (
    b"Return-Path: <x@y>\r\nDelivered-To: me@y\r\nReceived: from a by b; Thu, 29 Feb 2024 12:00:00 +0000\r\n"
    b"Subject: fields of its own\r\nMessage-ID: <own@y>\r\nStatus: quo\r\n\r\nFrom here\r\n"
)
FLAGS = ("\\Seen", "\\Flagged")
MAILS = [
    *(Mail("INBOX", message(number, 600), DAY + timedelta(hours=number), FLAGS[: number % 3]) for number in range(5)),
    *(Mail("Work/2024", message(number, 600), DAY, FLAGS[:1]) for number in range(5, 8)),
    Mail("INBOX", OWN, DAY),
]

MBSYNC = """
IMAPAccount a
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
{place}
Inbox {root}/mail/INBOX
SubFolders {folders}

Channel a
Far :far:
Near :near:
Patterns *
Sync Pull
Create Near
SyncState *
"""
OFFLINEIMAP = """
[general]
accounts = a
metadata = {root}/metadata
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {root}/mail
[Repository far]
type = IMAP
remotehost = {host}
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
auth_mechanisms = LOGIN
readonly = yes
"""
GETMAIL = """
[retriever]
type = {kind}
server = {host}
port = {port}
username = {user}
password = {password}
{mailboxes}
[destination]
type = {form}
path = {root}/mail{slash}
{as_user}
[options]
delete = false
read_all = false
verbose = 0
"""

Sync = Callable[[str, Path, int], None]


def configured(template: str, root: Path, port: int, **more: str) -> Path:
    """Write a configuration below ``root`` and return its path."""
    path = root / "config"
    known = {"host": Dovecot.host, "port": port, "user": Dovecot.user, "password": Dovecot.password, "root": root}
    path.write_text(template.format(**known, **more))
    path.chmod(0o600)
    return path


def run(*command: object, home: Path) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True, env={**os.environ, "HOME": str(home)})


def mbsync(folders: str, root: Path, port: int) -> None:
    (root / "mail").mkdir()
    place = f"Path {root}/mail/" if folders == "Verbatim" else "# the mailboxes are in the INBOX"
    run("mbsync", "-q", "-c", configured(MBSYNC, root, port, folders=folders, place=place), "a", home=root)


def offlineimap(_form: str, root: Path, port: int) -> None:
    run("offlineimap", "-o", "-u", "quiet", "-c", configured(OFFLINEIMAP, root, port), home=root)


def getmail(form: str, root: Path, port: int) -> None:
    """Run getmail over IMAP; it refuses to deliver as root, and then delivers as nobody."""
    if form == "Maildir":
        for name in ("cur", "new", "tmp"):
            (root / "mail" / name).mkdir(parents=True)
    else:
        (root / "mail").touch()
    more = {"kind": "SimpleIMAPRetriever", "mailboxes": "mailboxes = ALL", "form": form}
    more |= {"slash": "/" if form == "Maildir" else "", "as_user": ""}
    if getpass.getuser() == "root":
        more["as_user"] = "user = nobody"
        for path in (root, *root.rglob("*")):
            shutil.chown(path, "nobody")
        for parent in root.parents:
            if parent.owner() == "root" and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    run("getmail", f"--getmaildir={root}", f"--rcfile={configured(GETMAIL, root, port, **more)}", home=root)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dovecot]:
    monkeypatch.setenv("MAILARCHIVE_PASSWORD", Dovecot.password)
    with Dovecot(rawlog=True) as started:
        started.load_all(MAILS)
        yield started


def bodies_of_a_pull(server: Dovecot, root: Path) -> int:
    """Return how many bodies the server sends for a pull."""
    before = server.body_fetches()
    url = f"imap://{server.user}@{server.host}:{server.port}"
    assert main(["pull", url, "--archive", str(root), "--quiet"]) == 0
    return server.body_fetches() - before


@pytest.mark.parametrize(
    ("program", "sync", "form"),
    [
        ("mbsync", mbsync, "Verbatim"),
        ("mbsync", mbsync, "Maildir++"),
        ("offlineimap", offlineimap, ""),
        ("getmail", getmail, "Maildir"),
        ("getmail", getmail, "Mboxrd"),
    ],
)
def test_what_a_tool_has_is_not_downloaded_again(
    tmp_path: Path, server: Dovecot, program: str, sync: Sync, form: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install isync offlineimap3 getmail6")
    root, theirs = tmp_path / "archive", tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    if form == "Maildir++":
        server.create("Later")
    sync(form, theirs, server.port)
    mail = theirs / "mail" / "INBOX" if form == "Maildir++" else theirs / "mail"
    assert main(["import", str(mail), "--archive", str(root), "--quiet"]) == 0
    with mailarchive.open(root) as archive:
        found = [(one.mailbox.name, one.header("subject")) for one in archive.messages()]
    assert len(found) == len(set(found)) == len(MAILS)
    server.load_all([Mail("INBOX", message(100), DAY)])
    in_doubt = form == "Mboxrd"  # whether Status is the message's own or mutt's
    assert bodies_of_a_pull(server, root) == 1 + in_doubt
    no_damage(root)


def test_imap_backups_mbox_and_flags(tmp_path: Path, server: Dovecot) -> None:
    root, theirs = tmp_path / "archive", tmp_path / "theirs"
    for mailbox in ("INBOX", "Work/2024"):
        path = theirs / f"{mailbox}.mbox"
        path.parent.mkdir(parents=True, exist_ok=True)
        text, about = b"", []
        for uid, mail in enumerate((mail for mail in MAILS if mail.mailbox == mailbox), 1):
            entry = b"From a@b Thu Feb 29 12:00:00 2024\n" + mboxrd.quote(mail.octets.replace(b"\r\n", b"\n")) + b"\n"
            flags = [flag.removeprefix("\\") for flag in mail.flags]
            about.append({"uid": uid, "offset": len(text), "length": len(entry), "flags": flags})
            text += entry
        path.write_bytes(text)
        state = {"version": 3, "uid_validity": 1, "messages": about}
        path.with_suffix(".imap").write_text(json.dumps(state))
    assert main(["import", str(theirs), "--archive", str(root), "--quiet"]) == 0
    with mailarchive.open(root) as archive:
        found = {(one.mailbox.name, one.octets): one.flags for one in archive.messages()}
    assert found == {(mail.mailbox, mail.octets.replace(b"\r\n", b"\n")): set(mail.flags) for mail in MAILS}
    assert bodies_of_a_pull(server, root) == 0


def test_got_your_back_has_labels_and_dates(tmp_path: Path) -> None:
    theirs = tmp_path / "GYB"
    (theirs / "2024" / "2" / "29").mkdir(parents=True)
    account = GmailAccount()
    labels = ("INBOX UNREAD", "SENT CATEGORY_PERSONAL", "Work/2024 STARRED", "")
    db = sqlite3.connect(theirs / "msg-db.sqlite")
    db.execute(
        "CREATE TABLE messages (message_num INTEGER PRIMARY KEY, message_filename TEXT, message_internaldate TEXT)"
    )
    db.execute("CREATE TABLE labels (message_num INTEGER, label TEXT)")
    for number, names in enumerate(labels):
        account.deliver(message(number), internaldate=DAY)
        (theirs / "2024" / "2" / "29" / f"{number:x}.eml").write_bytes(message(number))
        db.execute(
            "INSERT INTO messages VALUES (?, ?, ?)", (number, f"2024/2/29/{number:x}.eml", "2024-02-29 12:00:00")
        )
        db.executemany("INSERT INTO labels VALUES (?, ?)", [(number, name) for name in names.split()])
    db.execute("INSERT INTO messages VALUES (90, '../../outside.eml', '')")
    db.execute("INSERT INTO messages VALUES (91, '2024/2/29/missing.eml', 'no date')")
    db.commit()
    db.close()
    with LoopbackServer(account) as server:
        site = Gmail(server, tmp_path / "archive")
        assert main(["import", str(theirs), "--archive", str(site.root), "--quiet"]) == 3
        with mailarchive.open(site.root) as archive:
            found = {
                (one.mailbox.name, one.header("subject"), one.flags, one.internaldate) for one in archive.messages()
            }
        seen = frozenset({"\\Seen"})
        assert found == {
            ("INBOX", "message 0", frozenset(), DAY),
            ("Sent", "message 1", seen, DAY),
            ("Work/2024", "message 2", seen | {"\\Flagged"}, DAY),
            ("All Mail", "message 3", seen, DAY),
        }
        assert site.pull().status == "complete"
        assert site.bodies() == 0


def test_mailvault_has_each_message_once_and_says_where_it_was(tmp_path: Path, server: Dovecot) -> None:
    root, theirs = tmp_path / "archive", tmp_path / "theirs"
    server.load_all([Mail("Work/2024", MAILS[0].octets, DAY)])
    seen: dict[str, list[str]] = {}
    for number, mail in enumerate([*MAILS, Mail("Work/2024", MAILS[0].octets)]):
        name = hashlib.sha256(mail.octets).hexdigest()
        path = theirs / "mail" / name[:2] / name[2:4] / f"{name}.eml{'.zst' if number % 2 else ''}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not any(name in names for names in seen.values()):
            path.write_bytes(zstandard.compress(mail.octets) if number % 2 else mail.octets)
        seen.setdefault(mail.mailbox, []).append(name)
    for folder, names in seen.items():
        log = theirs / "meta" / "a1" / f"{folder.replace('/', '')}.jsonl"
        log.parent.mkdir(parents=True, exist_ok=True)
        header = {"version": 2, "mailbox": "x", "folder": folder, "prev": None}
        log.write_text("\n".join(map(json.dumps, [header, *({"store_id": name} for name in names)])))
    assert main(["import", str(theirs), "--archive", str(root), "--quiet"]) == 0
    with mailarchive.open(root) as archive:
        assert {box.name: len(box) for box in archive.mailboxes} == {"INBOX": 6, "Work/2024": 4}
    assert bodies_of_a_pull(server, root) == 0
