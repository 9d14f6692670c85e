"""What people have in files comes into the archive octet for octet, once, and is not downloaded again."""

import bz2
import errno
import gzip
import lzma
import mailbox
import os
import random
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

import mailarchive
from mailarchive.cli.main import main
from mailarchive.errors import StorageFailed, UsageError
from mailarchive.loopback.corpus import Mail
from mailarchive.loopback.gmail import GmailAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.mail import mboxrd
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.digest import digest_of, header_digest_of
from mailarchive.mail.eol import lf_text
from mailarchive.mail.variants import form_digest, section_of, server_form, wire_size
from mailarchive.ops.options import PullOptions
from mailarchive.readers import mboxes
from mailarchive.readers.base import Dialect
from mailarchive.sources.memory import MemoryAccount
from tests.fault.archives import message, no_damage, pull_memory
from tests.fault.test_storage import FailingCall
from tests.integration.gmails import Gmail
from tests.integration.imports import DAY, held, rd, run, takeout_of
from tests.servers.dovecot import Dovecot

BODIES = (
    b"Subject: one\n\nFrom here on\n>From there\n>>From both\n",
    b"Subject: two\n\nno line end",
    b"Subject: three\n\n\n\nFrom me: a sentence\n\nFrom now on it is 12:30, Monday\n\n",
    b"Subject: \xff four\r\n\r\nfour\r\n",
    b"\nno header\n",
)


def once_quoted(body: bytes) -> bytes:
    return re.sub(rb"^(From )", rb">\1", body, flags=re.MULTILINE)


def o(body: bytes) -> bytes:
    return mboxrd.from_line(DAY) + once_quoted(body) + (b"\n" if body.endswith(b"\n") else b"\n\n")


def counted(body: bytes) -> bytes:
    """Return a message with its Content-Length, as mboxcl2 has it."""
    header, empty, text = body.partition(b"\n\n")
    return mboxrd.from_line(DAY) + header + b"\nContent-Length: %d" % len(text) + empty + text + b"\n"


def test_an_mbox_of_our_own_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "old.mbox"
    bodies = [body for body in BODIES if b"\r" not in body and body.endswith(b"\n")]
    path.write_bytes(b"".join(map(rd, bodies)))
    report = run(tmp_path / "archive", path)
    assert (report.new, report.known, report.exit_code) == (len(bodies), 0, 0)
    assert held(tmp_path / "archive") == {"old": sorted(bodies)}
    with mailarchive.open(tmp_path / "archive") as archive:
        assert {one.internaldate for one in archive.messages()} == {DAY}
    no_damage(tmp_path / "archive")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_compressed_files_are_told_by_their_beginning(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "old.mbox.zip").write_bytes(pack(rd(BODIES[0]) + rd(BODIES[2])))
    assert run(tmp_path / "archive", tmp_path / "old.mbox.zip", mailbox=("x",)).new == 2
    assert held(tmp_path / "archive") == {"x": sorted([BODIES[0], BODIES[2]])}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_compressed_file_that_is_cut_gives_what_is_whole_and_is_named(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    noise = random.Random(1)
    bodies = [b"Subject: %d\n\n%s\n" % (number, noise.randbytes(30_000).hex().encode()) for number in range(80)]
    packed = pack(b"".join(map(rd, bodies)))
    (tmp_path / "cut.mbox").write_bytes(packed[: -len(packed) // 4])
    report = run(tmp_path / "archive", tmp_path / "cut.mbox")
    assert report.exit_code == 3
    assert "cut.mbox" in report.left_out[0]
    found = held(tmp_path / "archive")["cut"]
    assert 40 < len(found) <= 60
    assert sorted(found) == sorted(bodies[: len(found)])


def test_zstd_frames_of_any_kind_may_follow_each_other(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18\4\0\0\0note"
    frames = [zstandard.compress(rd(body)) for body in (BODIES[0], BODIES[2])]
    (tmp_path / "x.mbox.zst").write_bytes(skippable + frames[0] + skippable + frames[1] + skippable)
    assert run(tmp_path / "archive", tmp_path / "x.mbox.zst").new == 2
    assert held(tmp_path / "archive") == {"x": sorted([BODIES[0], BODIES[2]])}


@pytest.mark.parametrize(
    ("dialect", "write", "bodies"),
    [
        ("mboxrd", rd, [BODIES[0], BODIES[2]]),
        ("mboxo", o, [BODIES[2], b"Subject: x\n\n>>From both\n"]),
        ("mboxcl2", counted, [b"Subject: y\n\n>From a\nFrom x Mon Jan  1 00:00:00 2024\n\nFrom b\n", BODIES[2]]),
    ],
)
def test_each_dialect_can_be_forced(
    tmp_path: Path, dialect: Dialect, write: Callable[[bytes], bytes], bodies: list[bytes]
) -> None:
    (tmp_path / "m").write_bytes(b"".join(map(write, bodies)))
    assert run(tmp_path / "archive", tmp_path / "m", dialect=dialect).new == len(bodies)
    found = [re.sub(rb"Content-Length: \d+\n", b"", octets) for octets in held(tmp_path / "archive")["m"]]
    assert sorted(found) == sorted(bodies)


def test_mboxcl2_is_told_by_its_lengths(tmp_path: Path) -> None:
    inside = b"Subject: y\n\n>From a\n\nFrom x Mon Jan  1 00:00:00 2024\n\nFrom b\n"
    (tmp_path / "m").write_bytes(counted(inside) + counted(BODIES[2]))
    assert run(tmp_path / "archive", tmp_path / "m").new == 2
    assert [octets for octets in held(tmp_path / "archive")["m"] if inside[-40:] in octets]


@pytest.mark.parametrize("piece", [16, 64, 1 << 20])
@pytest.mark.parametrize("large", [200, 1 << 24])
def test_pieces_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, large: int) -> None:
    monkeypatch.setattr(mboxes, "PIECE", piece)
    monkeypatch.setattr(mboxes, "LARGE", large)
    bodies = [
        *(body for body in BODIES if body.endswith(b"\n") and b"\r" not in body),
        b"Subject: l\n\n" + b"x\n" * 3000,
    ]
    (tmp_path / "m").write_bytes(b"".join(map(rd, bodies)))
    run(tmp_path / "archive", tmp_path / "m")
    assert held(tmp_path / "archive") == {"m": sorted(bodies)}


def test_importing_again_and_after_an_interruption_stores_nothing_twice(tmp_path: Path) -> None:
    bodies = [message(number).replace(b"\r\n", b"\n") for number in (*range(20), 3, 3)]
    (tmp_path / "m").write_bytes(b"".join(map(rd, bodies)))
    (tmp_path / "half").write_bytes(b"".join(map(rd, bodies[:9])))
    root = tmp_path / "archive"
    assert run(root, tmp_path / "half", mailbox=("m",)).new == 9
    report = run(root, tmp_path / "m")
    assert (report.new, report.known, report.linked) == (11, 9, 2)
    assert run(root, tmp_path / "m").known == len(bodies)
    assert held(root) == {"m": sorted(bodies)}


LABELS = {
    1: ["Inbox", "Unread"],
    2: ["Posteingang", "Geöffnet", "Markiert", "Work/2024"],
    3: ["Archived", "Opened"],
    4: ["Sent", "Opened", "Category Personal"],
}


def test_a_takeout_has_mailboxes_and_flags_and_is_not_downloaded_again(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    (tmp_path / "All mail.mbox").write_bytes(takeout_of(LABELS))
    assert run(root, tmp_path / "All mail.mbox", account="takeout").new == 4
    with mailarchive.open(root) as archive:
        found = {(one.mailbox.name, one.header("subject")): set(one.flags) for one in archive.messages()}
    assert found == {
        ("INBOX", "message 1"): set(),
        ("INBOX", "message 2"): {"\\Seen", "\\Flagged"},
        ("Work/2024", "message 2"): {"\\Seen", "\\Flagged"},
        ("All Mail", "message 3"): {"\\Seen"},
        ("Sent", "message 4"): {"\\Seen"},
    }
    with Dovecot(rawlog=True) as server:
        server.load_all(
            [
                *(Mail("INBOX", message(number), DAY + timedelta(seconds=number)) for number in (1, 2, 9)),
                Mail("Sent", message(4), DAY),
            ]
        )
        before = server.body_fetches()
        url = f"imap://{server.user}@{server.host}:{server.port}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MAILARCHIVE_PASSWORD", server.password)
            assert main(["pull", url, "--archive", str(root), "--quiet"]) == 0
            assert server.body_fetches() - before == 1
            assert main(["pull", url, "--archive", str(root), "--quiet"]) == 0
            assert main(["pull", "--archive", str(root), "--quiet"]) == 0
        assert server.body_fetches() - before == 1
    no_damage(root)


@pytest.mark.parametrize("keep", [False, True])
def test_other_forms_of_a_message_are_recognised_or_kept(tmp_path: Path, keep: bool) -> None:
    root, account = tmp_path / "archive", MemoryAccount()
    account.create("INBOX")
    account.append("INBOX", message(1), (), DAY)
    account.append("INBOX", message(2), (), DAY)
    pull_memory(root, account)
    lf = message(1).replace(b"\r\n", b"\n")
    marked = b"Status: RO\nX-Mozilla-Keys: work\n" + message(2).replace(b"\r\n", b"\n")
    other = message(2).replace(b"\r\n", b"\n").replace(b"message 2", b"massage 2")
    (tmp_path / "m").write_bytes(rd(lf) + rd(marked) + rd(other))
    report = run(root, tmp_path / "m", keep_variants=keep)
    assert (report.new, report.variants) == ((3, 0) if keep else (1, 2))
    wanted = [lf, marked, other] if keep else [message(1), message(2), other]
    assert held(root)["m"] == sorted(wanted)


def test_a_variant_of_what_was_imported_is_recognised_by_its_octets(tmp_path: Path) -> None:
    root, first = tmp_path / "archive", message(1).replace(b"\r\n", b"\n")
    same_header = first.replace(b"\n\n", b"\n\nX", 1)[:-2] + b"\n"
    (tmp_path / "a").write_bytes(rd(first))
    (tmp_path / "b").write_bytes(rd(b"X-Mozilla-Status: 0001\n" + first) + rd(same_header))
    run(root, tmp_path / "a")
    report = run(root, tmp_path / "b")
    assert (report.variants, report.new) == (1, 1)


def test_maildirs_with_flags_keywords_and_mailboxes(tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "Maildir")
    entry = mailbox.MaildirMessage(b"Subject: x\n\nFrom x\n")
    entry.set_flags("FSa")
    entry.set_subdir("cur")
    entry.set_date(DAY.timestamp())
    box.add(entry)
    box.add_folder("Archive.2019").add(b"Subject: y\n\ny\n")
    (tmp_path / "Maildir" / "dovecot-keywords").write_text("0 work\n")
    packed = tmp_path / "Maildir" / "cur" / "1.2.3,S=10:2,"
    packed.write_bytes(zstandard.compress(b"Subject: z\n\nz\n"))
    assert run(tmp_path / "archive", tmp_path / "Maildir").new == 3
    assert held(tmp_path / "archive") == {
        "INBOX": [b"Subject: x\n\nFrom x\n", b"Subject: z\n\nz\n"],
        "Archive/2019": [b"Subject: y\n\ny\n"],
    }
    with mailarchive.open(tmp_path / "archive") as archive:
        [one] = archive.search(where=lambda one: one.header("subject") == "x")
        assert one.flags == {"\\Flagged", "\\Seen", "work"}
        assert one.internaldate == DAY


def test_trees_of_other_programs(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    crlf = b"Date: Thu, 29 Feb 2024 23:59:07 +0000\r\nSubject: e\r\n\r\ne\r\n"
    apple = b"Subject: a\n\napple\n"
    about = b'<plist version="1.0"><dict><key>flags</key><integer>17</integer></dict></plist>'
    files = {
        "mails/one.eml": crlf,
        "Work.mbox/5A1C0B9E-0000-4000-8000-000000000001/Data/Messages/7.emlx": b"%d\n" % len(apple) + apple + about,
        "mh/.mh_sequences": b"unseen: 2\nflagged: 1-2\n",
        "mh/1": b"Subject: m1\n\n1\n",
        "mh/2": b"Subject: m2\n\n2\n",
        "Local Folders/Archive": rd(b"X-Mozilla-Status: 0005\nX-Mozilla-Status2: 00000000\nSubject: t\n\nt\n"),
        "Local Folders/Archive.msf": b"// <!-- <mdb:mork:z v=1.4/> -->",
        "Local Folders/Archive.sbd/2019": rd(b"Subject: t2\n\nt\n"),
        "notes.txt": b"no mail",
    }
    for name, octets in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(octets)
    report = run(tmp_path / "archive", tree)
    assert (report.new, report.left_out) == (6, [])
    with mailarchive.open(tmp_path / "archive") as archive:
        found = {str(one.header("subject")): (one.mailbox.name, set(one.flags)) for one in archive.messages()}
        [eml] = archive.messages(mailbox="mails")
        assert (eml.octets, eml.internaldate) == (crlf, DAY)
    assert found == {
        "e": ("mails", set()),
        "a": ("Work", {"\\Seen", "\\Flagged"}),
        "m1": ("mh", {"\\Seen", "\\Flagged"}),
        "m2": ("mh", {"\\Flagged"}),
        "t": ("Local Folders/Archive", {"\\Seen", "\\Flagged"}),
        "t2": ("Local Folders/Archive/2019", set()),
    }


def test_what_is_no_mail_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.emlx").write_bytes(b"not a number\nSubject: x\n\n")
    (tmp_path / "old.dbx").write_bytes(b"\xcf\xad\x12\xfe")
    (tmp_path / "m.mbox").write_bytes(mboxrd.from_line(DAY) + rd(b"Subject: y\n\n"))
    assert main(["import", str(tmp_path), "--archive", str(tmp_path / "archive")]) == 3
    said = capsys.readouterr()
    assert "partial: 4 messages found: 1 new" in said.out
    assert all(name in said.err for name in ("x.emlx", "old.dbx", "m.mbox, message 1"))


@pytest.mark.parametrize("arguments", [["missing"], ["empty"], ["m", "--dialect", "mmdf"], ["m", "--account", ""]])
def test_what_cannot_be_imported_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "m").write_bytes(rd(BODIES[0]))
    assert main(["import", str(tmp_path / arguments[0]), *arguments[1:], "--archive", str(tmp_path / "a")]) == 2


def test_an_account_of_a_server_is_not_imported_into(tmp_path: Path) -> None:
    account = MemoryAccount()
    pull_memory(tmp_path / "archive", account)
    (tmp_path / "m").write_bytes(rd(BODIES[0]))
    arguments = [
        "import",
        str(tmp_path / "m"),
        "--account",
        account.account.name,
        "--archive",
        str(tmp_path / "archive"),
    ]
    assert main(arguments) == 2


def test_the_form_at_a_server_is_that_without_what_programs_add() -> None:
    plain = b"Subject: x\r\n folded\r\nX-Mine: 1\r\n\r\nStatus: not a header\r\n"
    kept = b"X-Mozilla-Status: 0001\nSubject: x\n folded\nStatus: RO\n more\nX-Mine: 1\n\nStatus: not a header\n"
    header = header_digest_of(plain)
    assert form_digest([kept], "lf", header) == form_digest([plain[:20], plain[20:]], "crlf", header)
    assert form_digest([kept], "lf", header) == digest_of(plain)
    assert form_digest([kept], "lf", header_digest_of(b"Subject: another\n\n")) is None
    as_it_is, without = MemoryBody(kept), MemoryBody(plain)
    size = wire_size(as_it_is, "lf")
    assert size == len(kept) + kept.count(b"\n")
    assert server_form(section_of(as_it_is), "lf", size, of_mbox=True) == (header, len(plain))
    assert server_form(section_of(without), "crlf", len(plain), of_mbox=True) is None
    own = kept.partition(b"\n")[2].replace(b"\n", b"\r\n")
    assert server_form(section_of(as_it_is), "lf", size, of_mbox=False) == (header_digest_of(own), len(own))


def test_gmail_sends_no_body_of_what_its_takeout_had(tmp_path: Path) -> None:
    account = GmailAccount()
    for number, labels in enumerate((["\\Inbox"], ["\\Sent"], ["\\Inbox", "Work"], [])):
        account.deliver(message(number), labels)
    (tmp_path / "Takeout.mbox").write_bytes(takeout_of({number: ["Inbox", "Opened"] for number in range(4)}))
    with LoopbackServer(account) as server:
        site = Gmail(server, tmp_path / "archive")
        run(site.root, tmp_path / "Takeout.mbox", account="takeout")
        assert site.pull().status == "complete"
        assert site.bodies() == 0
        account.deliver(message(9), ["\\Inbox"])
        assert site.pull().status == "complete"
        assert site.bodies() == 1
        shown = {name: len(each) for name, each in account.expected().items() if each}
    with mailarchive.open(site.root) as archive:
        pulled = [box for box in archive.mailboxes if box.account != "takeout" and len(box)]
        assert {box.name: len(box) for box in pulled} == shown
    no_damage(site.root)


@pytest.mark.skipif(shutil.which("readpst") is None, reason="readpst is not installed (apt-get install pst-utils)")
def test_a_pst_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "mail.pst").write_bytes(b"!BDN" + bytes(1000))
    report = run(tmp_path / "archive", tmp_path / "mail.pst")
    assert (report.new, report.exit_code) == (0, 3)
    assert "mail.pst" in report.left_out[0]


def test_programs_that_are_not_there_are_named_with_what_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, install in (("a.pst", "pst-utils"), ("b.msg", "libemail-outlook-message-perl")):
        (tmp_path / name).write_bytes(b"x")
        [sentence] = run(tmp_path / "archive", tmp_path / name).left_out
        assert install in sentence


def test_a_pst_is_read_by_what_readpst_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "readpst"
    tool.parent.mkdir()
    (tmp_path / "made").write_bytes(rd(BODIES[0]))
    tool.write_text(f'#!/bin/sh\nmkdir -p "$6/Personal/Inbox"; cp {tmp_path}/made "$6/Personal/Inbox/mbox"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    (tmp_path / "old.pst").write_bytes(b"!BDN")
    assert run(tmp_path / "archive", tmp_path / "old.pst").new == 1
    assert held(tmp_path / "archive") == {"old/Personal/Inbox": [BODIES[0]]}


def test_links_pipes_and_what_may_not_be_read_hold_nothing_up(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "up").symlink_to(tree)
    (tree / "dangling").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    (tree / os.fsdecode(b"m\xff\n.mbox")).write_bytes(rd(BODIES[0]))
    report = run(tmp_path / "archive", tree)
    assert report.new == 1
    assert held(tmp_path / "archive") == {"m\ufffd\n": [BODIES[0]]}


def test_a_draft_that_may_have_been_written_on_is_downloaded(tmp_path: Path) -> None:
    (tmp_path / "old.eml").write_bytes(b"Subject: x\r\nMessage-ID: <1@x>\r\n\r\nI will come\r\n")
    run(tmp_path / "archive", tmp_path / "old.eml")
    account = MemoryAccount()
    account.create("Drafts")
    account.append("Drafts", b"Subject: x\r\nMessage-ID: <1@x>\r\n\r\nI may stay.\r\n", ["\\Draft"], DAY)
    assert pull_memory(tmp_path / "archive", account).accounts[0].downloaded_messages == 1


def eml_and_server(tmp_path: Path, ours: bytes, *theirs: bytes) -> tuple[Path, MemoryAccount]:
    """Import one message, and return the archive, and a server with other messages of another day."""
    (tmp_path / "old.eml").write_bytes(ours)
    run(tmp_path / "archive", tmp_path / "old.eml")
    account = MemoryAccount()
    account.create("INBOX")
    for octets in theirs:
        account.append("INBOX", octets, (), DAY)
    return tmp_path / "archive", account


def downloaded(root: Path, account: MemoryAccount, **options: Any) -> int:
    report = pull_memory(root, account, options=PullOptions(connections=1, **options))
    assert report.status == "complete"
    return report.accounts[0].downloaded_messages


def pulled(root: Path) -> list[bytes]:
    with mailarchive.open(root) as archive:
        return [one.octets for box in archive.mailboxes if box.account != "import" for one in box]


@pytest.mark.parametrize("text", [b"Pay 1000 EUR\r\n", b"Pay 9999 EUR\r\n"])
def test_without_message_id_a_files_word_is_not_believed_before_the_texts_are_compared(
    tmp_path: Path, text: bytes
) -> None:
    header = b"Subject: invoice\r\n\r\n"
    root, account = eml_and_server(tmp_path, header + b"Pay 9999 EUR\r\n", header + text)
    assert downloaded(root, account, dry_run=True) == 0
    assert downloaded(root, account) == (text != b"Pay 9999 EUR\r\n")
    assert pulled(root) == [header + text]


@pytest.mark.parametrize("mixed", [b"a\r\nb\n" * 2000, b"", b"\r\n"])
def test_texts_of_any_line_ends_and_of_none_are_compared(tmp_path: Path, mixed: bytes) -> None:
    octets = b"Subject: x\r\n\r\n" + mixed
    root, account = eml_and_server(tmp_path, octets, octets)
    assert downloaded(root, account) == 0


@pytest.mark.parametrize("layout", ["mbox", "maildir"])
def test_paranoid_compares_later_what_only_a_file_vouched_for(tmp_path: Path, layout: str) -> None:
    assert main(["init", str(tmp_path / "archive"), "--layout", layout]) == 0
    header = b"Subject: invoice\r\nMessage-ID: <1@x>\r\n\r\n"
    root, account = eml_and_server(tmp_path, header + b"Pay 9999 EUR\r\n", header + b"Pay 1000 EUR\r\n")
    assert downloaded(root, account) == 0
    assert pulled(root) == [header + b"Pay 9999 EUR\r\n"]
    report = pull_memory(root, account, options=PullOptions(connections=1, paranoid=True))
    assert report.accounts[0].downloaded_messages == 1
    assert report.accounts[0].notes == ["message 1 of INBOX is not what its header looks like"]
    assert pulled(root) == [header + b"Pay 1000 EUR\r\n"]
    assert downloaded(root, account, paranoid=True) == 0
    assert len(held(root)["INBOX"]) == 2
    no_damage(root)


def test_paranoid_takes_no_form_for_another_message(tmp_path: Path) -> None:
    (tmp_path / "All mail.mbox").write_bytes(takeout_of(LABELS))
    run(tmp_path / "archive", tmp_path / "All mail.mbox")
    account = MemoryAccount()
    account.create("INBOX")
    for number in (1, 2):
        account.append("INBOX", message(number), (), DAY)
    assert downloaded(tmp_path / "archive", account) == 0
    report = pull_memory(tmp_path / "archive", account, options=PullOptions(connections=1, paranoid=True))
    assert (report.accounts[0].downloaded_messages, report.accounts[0].notes) == (2, [])
    assert pulled(tmp_path / "archive") == [message(1), message(2)]


@pytest.mark.parametrize("own_first", [True, False])
def test_a_message_with_such_fields_of_its_own_is_itself_before_it_is_a_form(tmp_path: Path, own_first: bool) -> None:
    own = b"Subject: x\r\nMessage-ID: <1@x>\r\nStatus: RO\r\nX-TUID: mine\r\n\r\ntext\r\n"
    without = own.replace(b"Status: RO\r\nX-TUID: mine\r\n", b"")
    theirs = [own, without] if own_first else [without, own]
    root, account = eml_and_server(tmp_path, b"", *theirs)
    (tmp_path / "old.mbox").write_bytes(rd(own))
    run(root, tmp_path / "old.mbox")
    assert downloaded(root, account) == 1
    assert sorted(lf_text(body)[0] for body in pulled(root)) == sorted(lf_text(body)[0] for body in theirs)


def test_what_was_imported_is_recognised_in_a_converted_archive_too(tmp_path: Path) -> None:
    (tmp_path / "All mail.mbox").write_bytes(takeout_of(LABELS))
    run(tmp_path / "mbox", tmp_path / "All mail.mbox")
    assert main(["convert", str(tmp_path / "mbox"), str(tmp_path / "maildir"), "--layout", "maildir"]) == 0
    account = MemoryAccount()
    account.create("INBOX")
    account.append("INBOX", message(1), (), DAY)
    assert downloaded(tmp_path / "maildir", account) == 0


def test_a_pipe_by_itself_and_an_archive_of_ours_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        run(tmp_path / "archive", tmp_path / "pipe")
    (tmp_path / "m").write_bytes(rd(BODIES[0]))
    run(tmp_path / "archive", tmp_path / "m")
    with pytest.raises(UsageError, match="there is no mail"):
        run(tmp_path / "other", tmp_path / "archive")


def test_an_imported_account_is_never_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m").write_bytes(rd(BODIES[0]))
    pull_memory(tmp_path / "archive", MemoryAccount())
    run(tmp_path / "archive", tmp_path / "m", account="old mail")
    main(["status", "--archive", str(tmp_path / "archive")])
    said = capsys.readouterr().out
    assert "me@memory.example" in said
    assert "old mail" not in said


def test_what_was_exported_with_labels_comes_back_with_flags_and_mailboxes(tmp_path: Path) -> None:
    account = MemoryAccount()
    for path, flags in (("INBOX", ["\\Seen", "work"]), ("Archive/2019", []), ("x,y", ["\\Flagged", "\\Answered"])):
        account.create(path)
        account.append(path, message(len(path)), flags, DAY)
    pull_memory(tmp_path / "one", account)
    arguments = ["export", str(tmp_path / "all"), "--one-file", "--labels-header", "--archive", str(tmp_path / "one")]
    assert main([*arguments, "--quiet"]) == 0
    assert run(tmp_path / "two", tmp_path / "all").new == 3
    found = []
    for root in (tmp_path / "one", tmp_path / "two"):
        with mailarchive.open(root) as archive:
            found.append({(one.mailbox.name, one.header("subject"), one.flags) for one in archive.messages()})
    assert found[0] == found[1]


def test_a_full_disk_is_said_and_the_next_import_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [message(number, 3000).replace(b"\r\n", b"\n") for number in range(900)]
    (tmp_path / "m").write_bytes(b"".join(map(rd, bodies)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FailingCall(os.write, 11, errno.ENOSPC))
        with pytest.raises(StorageFailed, match="the disk is full"):
            run(tmp_path / "archive", tmp_path / "m")
    report = run(tmp_path / "archive", tmp_path / "m")
    assert report.new + report.known == len(bodies)
    assert held(tmp_path / "archive") == {"m": sorted(bodies)}
    no_damage(tmp_path / "archive")
