"""What is no mail, is not whole, never ends, or is called as only its program knows."""

import gzip
import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import mailarchive
from mailarchive.archive.archive import Kind
from mailarchive.archive.archive import make as make_archive
from mailarchive.cli.main import main
from mailarchive.mail.mailbox_name import encode_name
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import message, no_damage, pull_memory
from tests.integration.imports import DAY, held, rd, run, takeout_of
from tests.servers.still_clock import StillClock

ONE, TWO = b"Subject: one\n\n1\n", b"Subject: two\n\n2\n"


def maildir(path: Path, *names: str) -> Path:
    """Make a Maildir with messages ``Subject: one`` of these names."""
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    for name in names or ("1.a.host:2,S",):
        (path / "cur" / name).write_bytes(ONE)
    return path


def emlx(tmp_path: Path, length: int, octets: bytes, about: bytes) -> Path:
    path = tmp_path / "1.emlx"
    path.write_bytes(b"%d      \n" % length + octets + about)
    return path


def test_what_never_ends_is_named_and_the_rest_imported(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    box = maildir(tree / "box")
    for pipe in ("box/cur/2.pipe:2,", "box/dovecot-keywords"):
        os.mkfifo(tree / pipe)
    (box / "cur" / "3.zero:2,").symlink_to("/dev/zero")
    (tree / "mh").mkdir()
    (tree / "mh" / "1").write_bytes(TWO)
    for pipe in ("mh/2", "mh/.mh_sequences", "x.mbox", "x.eml"):
        os.mkfifo(tree / pipe)
    report = run(tmp_path / "archive", tree)
    assert held(tmp_path / "archive") == {"box": [ONE], "mh": [TWO]}
    assert (report.exit_code, [line.rpartition("/")[2] for line in report.left_out]) == (
        3,
        ["2.pipe:2,: it is not a regular file", "3.zero:2,: it is not a regular file"],
    )


def test_what_should_be_a_mailbox_and_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "cut.mbox.gz").write_bytes(gzip.compress(rd(ONE))[:15])
    (tmp_path / "text.mbox").write_bytes(b"no mail\n")
    (tmp_path / "Inbox").write_bytes(b"no mail\n")
    (tmp_path / "Inbox.msf").write_bytes(b"")
    (tmp_path / "letter.txt").write_bytes(b"no mail\n")
    (tmp_path / "good.mbox").write_bytes(rd(ONE))
    report = run(tmp_path / "archive", tmp_path)
    assert (report.new, report.exit_code) == (1, 3)
    assert sorted(line.rpartition("/")[2].partition(":")[0] for line in report.left_out) == [
        "Inbox",
        "cut.mbox.gz",
        "text.mbox",
    ]


@pytest.mark.parametrize(
    ("before", "left_out"), [(b"\xef\xbb\xbf", 0), (b"\xef\xbb\xbf\r\n\n", 0), (b"stray\nFrom me to you\n", 1)]
)
def test_an_mbox_may_begin_with_something_else(tmp_path: Path, before: bytes, left_out: int) -> None:
    (tmp_path / "old.mbox").write_bytes(before + rd(ONE) + rd(TWO))
    report = run(tmp_path / "archive", tmp_path / "old.mbox")
    assert held(tmp_path / "archive") == {"old": [ONE, TWO]}
    assert len(report.left_out) == left_out


def test_messages_without_a_header_are_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.mbox").write_bytes(rd(ONE) + rd(b"and so on\n") + rd(b"\nempty header\n"))
    assert main(["import", str(tmp_path / "old.mbox"), "--archive", str(tmp_path / "archive")]) == 0
    assert "1 of the messages have no header" in capsys.readouterr().err
    assert held(tmp_path / "archive") == {"old": [b"\nempty header\n", ONE, b"and so on\n"]}


ABOUT = b'<?xml version="1.0"?>\n<plist version="1.0"><dict><key>flags</key><integer>17</integer></dict></plist>\n'


@pytest.mark.parametrize(
    ("told", "about", "exit_code"),
    [(0, ABOUT, 0), (-9, ABOUT, 0), (9, ABOUT, 3), (0, b"", 0), (-9, b"", 0), (1 << 30, b"", 3)],
)
def test_an_emlx_whose_length_is_not_true_is_imported_whole(
    tmp_path: Path, told: int, about: bytes, exit_code: int
) -> None:
    report = run(tmp_path / "archive", emlx(tmp_path, len(ONE) + told, ONE, about))
    assert held(tmp_path / "archive") == {"INBOX": [ONE]}
    assert report.exit_code == exit_code
    with mailarchive.open(tmp_path / "archive") as archive:
        [one] = archive.messages()
        assert one.flags == ({"\\Seen", "\\Flagged"} if about else set())


def test_an_emlx_that_tells_no_length_is_left_out(tmp_path: Path) -> None:
    path = emlx(tmp_path, 1, ONE, b"")
    path.write_bytes(ONE)
    assert run(tmp_path / "archive", path).exit_code == 3


def test_apples_messages_without_their_attachments_are_pointed_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emlx(tmp_path, len(ONE), ONE, b"").rename(tmp_path / "1.partial.emlx")
    assert main(["import", str(tmp_path), "--archive", str(tmp_path / "archive")]) == 0
    assert "1 of the messages" in capsys.readouterr().err


def test_names_in_modified_utf_7_are_decoded(tmp_path: Path) -> None:
    for name in ("Entwürfe", "Q&A"):
        maildir(tmp_path / "tree" / encode_name(name).decode())
    (tmp_path / "tree" / (encode_name("Gelöscht").decode() + ".mbox")).write_bytes(rd(ONE))
    for name in ("AT&T", "x&AEE-"):
        maildir(tmp_path / "tree" / name)
    run(tmp_path / "archive", tmp_path / "tree")
    assert set(held(tmp_path / "archive")) == {"Entwürfe", "Q&A", "Gelöscht", "AT&T", "x&AEE-"}


def test_a_dot_stands_between_the_parts_of_offlineimaps_names_only(tmp_path: Path) -> None:
    md5 = hashlib.md5(b"A.B").hexdigest()
    maildir(tmp_path / "tree" / "A.B", f"1_0.1.host,U=1,FMD5={md5}:2,S")
    maildir(tmp_path / "tree" / "v1.0")
    run(tmp_path / "archive", tmp_path / "tree")
    assert set(held(tmp_path / "archive")) == {"A/B", "v1.0"}


def test_imap_backups_keywords_are_none_of_the_systems_flags(tmp_path: Path) -> None:
    (tmp_path / "INBOX.mbox").write_bytes(rd(ONE))
    state = {"version": 3, "messages": [{"uid": 1, "offset": 0, "flags": ["Seen", "$Forwarded", "work"]}]}
    (tmp_path / "INBOX.imap").write_text(json.dumps(state))
    run(tmp_path / "archive", tmp_path / "INBOX.mbox")
    with mailarchive.open(tmp_path / "archive") as archive:
        [one] = archive.messages()
        assert one.flags == {"\\Seen", "$Forwarded", "work"}


def test_imap_backups_flags_that_cannot_be_read_are_missed(tmp_path: Path) -> None:
    (tmp_path / "INBOX.mbox").write_bytes(rd(ONE))
    (tmp_path / "INBOX.imap").write_text('{"version": 3, "messages": [{')
    report = run(tmp_path / "archive", tmp_path)
    assert held(tmp_path / "archive") == {"INBOX": [ONE]}
    assert (report.exit_code, "INBOX.imap" in report.left_out[0]) == (3, True)


def test_what_got_your_backs_database_does_not_name_is_imported_too(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "msg-db.sqlite")) as db:
        db.execute("CREATE TABLE messages (message_num, message_filename, message_internaldate)")
        db.execute("CREATE TABLE labels (message_num, label)")
        db.execute("INSERT INTO messages VALUES (1, '2024/1.eml', '2024-02-29 12:00:00')")
        db.execute("INSERT INTO labels VALUES (1, 'INBOX')")
        db.commit()
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "1.eml").write_bytes(ONE)
    (tmp_path / "2024" / "2.eml").write_bytes(TWO)
    assert run(tmp_path / "archive", tmp_path).exit_code == 0
    assert held(tmp_path / "archive") == {"INBOX": [ONE], "All Mail": [TWO]}


def test_a_takeouts_message_without_labels_is_in_all_mail_and_seen(tmp_path: Path) -> None:
    (tmp_path / "Takeout.mbox").write_bytes(takeout_of({1: [], 2: ["Inbox", "Unread"]}))
    run(tmp_path / "archive", tmp_path / "Takeout.mbox")
    with mailarchive.open(tmp_path / "archive") as archive:
        assert {(one.mailbox.name, one.flags) for one in archive.messages()} == {
            ("All Mail", frozenset({"\\Seen"})),
            ("INBOX", frozenset()),
        }


@pytest.mark.parametrize("options", [("--mailbox", ""), ("--account", "\x1b[31mx"), ("--account", " ")])
def test_names_that_cannot_be_printed_are_refused(
    tmp_path: Path, options: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.eml").write_bytes(ONE)
    assert main(["import", str(tmp_path / "old.eml"), *options, "--archive", str(tmp_path / "archive")]) == 2
    said = capsys.readouterr().err
    assert "needs a name that can be printed" in said
    assert "\x1b" not in said
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize("kind", [Kind(), Kind("maildir")], ids=["mbox", "maildir"])
def test_a_pull_under_the_name_of_what_was_imported_takes_the_name_over(tmp_path: Path, kind: Kind) -> None:
    root, account = tmp_path / "archive", MemoryAccount()
    make_archive(root, kind, StillClock())
    account.create("INBOX")
    account.append("INBOX", message(1), (), DAY)
    pull_memory(tmp_path / "other", account)
    with mailarchive.open(tmp_path / "other") as archive:
        [name] = {box.account for box in archive.mailboxes}
    for number in (1, 2):
        path = tmp_path / f"{number}.eml"
        path.write_bytes(message(number))
    run(root, tmp_path / "1.eml", tmp_path / "2.eml", account=name)
    report = pull_memory(root, account)
    assert (report.accounts[0].downloaded_messages, sum(box.gone for box in report.accounts[0].mailboxes)) == (0, 0)
    with mailarchive.open(root) as archive:
        assert {box.account: len(box) for box in archive.mailboxes} == {name: 1, f"{name} (imported)": 2}
    if kind.layout == "maildir":
        assert {path.name for path in (root / "maildir").iterdir()} >= {name}
    no_damage(root)
    assert run(root, tmp_path / "1.eml", account=f"{name} (imported)").known == 1
