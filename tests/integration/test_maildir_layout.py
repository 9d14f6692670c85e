"""The layout maildir: what Dovecot, mutt, notmuch and the standard library read of it is what the server had."""

import errno
import imaplib
import mailbox
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, get_args
from unittest.mock import Mock

import pytest

from mailarchive import files
from mailarchive.archive.archive import Kind, open_for_reading
from mailarchive.cli.main import main
from mailarchive.loopback.corpus import Mail
from mailarchive.mail.maildir_name import parse
from mailarchive.ops import browse
from mailarchive.ops.convert import convert
from mailarchive.ops.events import ignore
from mailarchive.ops.export import Format, export
from mailarchive.ops.options import PullOptions
from mailarchive.ops.repair import repair
from mailarchive.ops.selection import Selection
from mailarchive.ops.verify import verify
from mailarchive.sources.memory import MemoryAccount
from tests.fault import archives
from tests.fault.archives import MAILDIR, MBOX, PLAIN, Journal, held, ignore_text, in_account, make, message, no_damage
from tests.fault.archives import pull_memory as pull
from tests.servers.dovecot import Dovecot, mail_user
from tests.servers.still_clock import StillClock

DAY = datetime(2024, 2, 29, 23, 59, tzinfo=UTC)


@pytest.fixture(params=(MAILDIR, PLAIN), ids=("zstd", "none"))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """Let the archives of a test be message files, compressed or not."""
    chosen: Kind = request.param
    monkeypatch.setattr(archives, "kind", chosen)
    return chosen


@pytest.fixture
def maildir(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the archives of a test be compressed message files."""
    monkeypatch.setattr(archives, "kind", MAILDIR)


class Seen(NamedTuple):
    """What a server answers of a message."""

    uid: int
    flags: frozenset[str]
    date: datetime
    octets: bytes


def seen(server: Dovecot) -> dict[str, list[Seen]]:
    """Return what an IMAP client sees of every mailbox."""
    found = {}
    with imaplib.IMAP4(server.host, server.port) as client:
        client.login(server.user, server.password)
        for line in client.list()[1]:
            assert isinstance(line, bytes)
            name = line.rpartition(b' "/" ')[2].decode().strip('"')
            if b"\\NonExistent" in line or b"\\Noselect" in line:
                continue
            client.select(f'"{name}"', readonly=True)
            answers = client.fetch("1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")[1]
            found[name] = sorted(_seen(*answer) for answer in answers if isinstance(answer, tuple))
    return found


def _seen(line: bytes, octets: bytes) -> Seen:
    text = line.decode()
    uid, flags, date = (
        re.search(pattern, text) for pattern in (r"UID (\d+)", r"FLAGS \(([^)]*)\)", r'INTERNALDATE "([^"]*)"')
    )
    assert uid
    assert flags
    assert date
    when = datetime.strptime(date[1].strip(), "%d-%b-%Y %H:%M:%S %z")
    return Seen(int(uid[1]), frozenset(flags[1].split()) - {"\\Recent"}, when.astimezone(UTC), octets)


def everything(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, time and mode of everything below ``root``."""
    return {str(path): ((s := path.lstat()).st_ino, s.st_mtime_ns, s.st_mode) for path in root.rglob("*")}


def serve(root: Path) -> Path:
    """Give the archive to the user of the tests' Dovecot, who may only read it; return the Maildir of its account."""
    user, group = mail_user()
    for path in [root, *root.rglob("*")]:
        shutil.chown(path, user, group)
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in root.parents:
        if parent.owner() == "root" and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    return next(path for path in (root / "maildir").iterdir() if path.is_dir())


@pytest.mark.parametrize("layout", ["zstd", "none"])
def test_a_dovecot_that_may_only_read_serves_what_the_server_had(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILARCHIVE_PASSWORD", "secret")
    monkeypatch.setenv("MAILARCHIVE_ARCHIVE", str(tmp_path / "archive"))
    assert main(["init", "--layout", "maildir", "--compression", layout]) == 0
    with Dovecot() as server:
        flags = ("\\Seen", "$Forwarded", "work")
        server.load_all(
            Mail(path, message(number, 700), DAY + timedelta(hours=number), flags[: number % 4])
            for path, count in (("INBOX", 6), ("a/b", 3), ("Entwürfe", 2))
            for number in range(count)
        )
        pull_again = ["pull", f"imap://{server.user}@{server.host}:{server.port}", "--quiet"]
        assert main(pull_again) == 0
        with imaplib.IMAP4(server.host, server.port) as client:
            client.login(server.user, server.password)
            client.select("INBOX")
            client.store("1", "+FLAGS", "(\\Flagged later)")
            client.store("2", "-FLAGS", "(\\Seen)")
            client.store("3", "+FLAGS", "(\\Deleted)")
            client.expunge()
        server.load_all([Mail("INBOX", message(99, 700), DAY, ("\\Answered",))])
        assert main(pull_again) == 0
        wanted = seen(server)
    served = serve(tmp_path / "archive")
    before = everything(tmp_path / "archive")
    with Dovecot(serving=served, extra="mail_plugins = $mail_plugins zlib") as server:
        assert seen(server) == wanted
    assert sum(map(len, wanted.values())) == 11
    assert everything(tmp_path / "archive") == before


def test_the_standard_library_and_notmuch_read_plain_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "kind", PLAIN)
    account = MemoryAccount()
    account.create("a/b")
    for number in range(4):
        account.append("a/b", message(number), ["\\Seen"] * (number % 2), DAY)
    assert pull(tmp_path / "archive", account).status == "complete"
    root = tmp_path / "archive" / "maildir" / "me@memory.example"
    box = mailbox.Maildir(root, create=False).get_folder("a.b")
    assert sorted(box.get_bytes(key).replace(b"\n", b"\r\n") for key in box.iterkeys()) == sorted(
        map(message, range(4))
    )
    assert sorted(entry.get_flags() for entry in box.itervalues()) == ["", "", "S", "S"]
    if notmuch := shutil.which("notmuch"):
        config = tmp_path / "notmuch"
        config.write_text(f"[database]\npath={root}\n[new]\ntags=new\n[maildir]\nsynchronize_flags=false\n")
        environment = {**os.environ, "NOTMUCH_CONFIG": str(config), "HOME": str(tmp_path)}
        subprocess.run([notmuch, "new"], env=environment, check=True, capture_output=True)
        counted = subprocess.run([notmuch, "count", "*"], env=environment, check=True, capture_output=True)
        assert int(counted.stdout) == 4


def test_a_message_in_several_mailboxes_is_one_file_where_it_has_one_date(tmp_path: Path, kind: Kind) -> None:
    assert kind
    account = MemoryAccount()
    for path, date in (("INBOX", DAY), ("a", DAY), ("b", DAY + timedelta(days=1))):
        account.create(path)
        account.append(path, message(1), (), date)
    assert pull(tmp_path / "archive", account).status == "complete"
    times = {str(path.parent.parent.name): path.stat() for path in (tmp_path / "archive" / "maildir").rglob("cur/*")}
    assert {name: status.st_mtime for name, status in times.items()} == {
        "me@memory.example": DAY.timestamp(),
        ".a": DAY.timestamp(),
        ".b": DAY.timestamp() + 86400,
    }
    assert times[".a"].st_ino == times["me@memory.example"].st_ino != times[".b"].st_ino


@pytest.mark.usefixtures("maildir")
def test_without_hard_links_messages_are_copied_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    told: list[str] = []
    account = archives.account_at_first()
    assert pull(tmp_path / "archive", account, tell=told).status == "complete"
    assert len([text for text in told if "hard links" in text]) == 1
    assert len(list((tmp_path / "archive" / "maildir").rglob("cur/*"))) == len(in_account(account))
    assert not list((tmp_path / "archive" / "maildir").rglob("tmp/*"))
    no_damage(tmp_path / "archive")


@pytest.mark.usefixtures("maildir")
def test_many_small_messages_are_made_durable_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if files._syncfs() is None:
        pytest.skip("this system has no syncfs that can be trusted")
    account = MemoryAccount()
    account.create("INBOX")
    for number in range(1500):
        account.append("INBOX", message(number, 80), (), DAY)
    fsync = Mock(wraps=os.fsync)
    monkeypatch.setattr(os, "fsync", fsync)
    assert pull(tmp_path / "archive", account).status == "complete"
    assert fsync.call_count < 60


@pytest.mark.usefixtures("maildir")
def test_a_tree_that_was_deleted_or_meddled_with_is_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    account = make(root)
    before = {path.relative_to(root) for path in root.rglob("cur/*")}
    first, second, third, *_ = sorted((root / "maildir").rglob("cur/*"))
    octets = third.read_bytes()
    third.unlink()
    third.write_bytes(b"Subject: another\n\n")
    assert verify(root, quick=False, observer=ignore).damage
    assert main(["rebuild", "--archive", str(root), "--quiet"]) == 0
    assert third.read_bytes() == octets
    first.unlink()
    second.rename(second.with_name(f"{parse(second.name).base}:2,T"))
    (second.parent / "by hand").write_bytes(b"Subject: mine\n\n")
    [found] = {text.partition(":")[0] for text in verify(root, quick=False, observer=ignore).damage}
    assert found.startswith("the tree does not show mailbox")
    assert main(["rebuild", "--archive", str(root), "--quiet"]) == 0
    assert {path.relative_to(root) for path in root.rglob("cur/*") if path.name != "by hand"} == before
    no_damage(root)
    shutil.rmtree(root / "maildir")
    assert pull(root, account).status == "complete"
    assert {path.relative_to(root) for path in root.rglob("cur/*")} == before
    no_damage(root)


@pytest.mark.usefixtures("maildir")
def test_the_tree_follows_mailboxes_that_are_renamed_and_deleted(tmp_path: Path) -> None:
    root, account = tmp_path / "archive", MemoryAccount()
    for number, path in enumerate(("INBOX", "old", "going")):
        account.create(path)
        account.append(path, message(number), (), DAY)
    pull(root, account)
    account.delete("going")
    account.delete("old")
    account.create("new")
    account.append("new", message(1), (), DAY)
    assert pull(root, account).status == "complete"
    tree = root / "maildir" / "me@memory.example"
    assert sorted(path.name for path in tree.iterdir() if path.name.startswith(".")) == [".new"]
    assert len(list((root / "messages").rglob("*.zst"))) == 3
    no_damage(root)


@pytest.mark.usefixtures("maildir")
def test_older_messages_with_new_keywords_may_come_later(tmp_path: Path) -> None:
    root, account = tmp_path / "archive", MemoryAccount()
    account.create("INBOX")
    account.append("INBOX", message(1), ("$Old",), DAY - timedelta(days=900))
    account.append("INBOX", message(2), ("$New",), DAY)
    pull(root, account, options=PullOptions(since=DAY.date(), connections=1))
    assert pull(root, account).status == "complete"
    directory = root / "maildir" / "me@memory.example"
    assert (directory / "dovecot-keywords").read_text() == "0 $New\n1 $Old\n"
    uids = [line.partition(" ")[0] for line in (directory / "dovecot-uidlist").read_text().splitlines()]
    assert uids == ["3", "1", "2"]
    no_damage(root)


@pytest.mark.usefixtures("maildir")
def test_names_from_a_server_stay_within_the_tree(tmp_path: Path) -> None:
    root, account = tmp_path / "archive", MemoryAccount()
    evil = ("../../up", "a.b", "a", "A", "x" * 300, "x" * 299 + "y", "new\nline", "..", ".", "cur", "%2E")
    for number, path in enumerate(evil):
        account.create(path)
        account.append(path, message(number), (), DAY)
    assert pull(root, account).status == "complete"
    assert len({str(path.parent).casefold() for path in (root / "maildir").rglob("cur/*")}) == len(evil)
    assert {path.name for path in tmp_path.iterdir()} == {"archive"}
    assert not [path for path in root.rglob("*") if "\n" in str(path)]
    no_damage(root)


def test_a_damaged_or_missing_file_is_named_given_up_and_fetched_again(tmp_path: Path, kind: Kind) -> None:
    assert kind
    root, account = tmp_path / "archive", archives.account_at_first()
    pull(root, account)
    first, second, *_ = sorted((root / "messages").rglob("*0000*"), reverse=True)
    first.unlink()
    octets = bytearray(second.read_bytes())
    octets[len(octets) // 2] ^= 1
    second.write_bytes(octets)
    assert verify(root, quick=False, observer=ignore).damaged_messages == 2
    assert len(repair(root, ignore, StillClock()).damaged) >= 1
    account.fetches.clear()
    assert pull(root, account).status == "complete"
    assert 2 <= sum(account.fetches.values()) <= 4
    assert held(root) == in_account(account)
    no_damage(root)


@pytest.mark.parametrize("before", [MBOX, MAILDIR, PLAIN], ids=["mbox", "zstd", "none"])
@pytest.mark.parametrize("after", [MBOX, MAILDIR, PLAIN], ids=["mbox", "zstd", "none"])
def test_an_archive_in_another_layout_has_the_same_messages_and_history(
    tmp_path: Path, before: Kind, after: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "kind", before)
    first, second = tmp_path / "first", tmp_path / "second"
    account = make(first)
    report = convert(first, second, after, ignore, StillClock())
    assert report.messages == len(Journal.of(first).digests())
    assert list(browse.messages(first, Selection(gone=None))) == list(browse.messages(second, Selection(gone=None)))
    kept = ("run", "ended", "mailbox", "vanished", "placed", "flags", "gone", "cursor")
    assert [line for line in Journal.of(first).lines if line["t"] in kept] == [
        line for line in Journal.of(second).lines if line["t"] in kept
    ]
    assert held(second) == in_account(account)
    account.fetches.clear()
    assert pull(second, account).status == "complete"
    assert not account.fetches


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    """An archive that has lost a message for good."""
    root, account = tmp_path / "archive", archives.account_at_first()
    pull(root, account)
    account.expunge("INBOX", 7)
    pull(root, account)
    with open_for_reading(root, ignore_text) as archive:
        digest = next(record.digest for record in archive.catalog.placements(1, gone=True))
        stored = archive.message(digest)
    path = next((root / "mail").glob("open-*.mbox"))
    octets = bytearray(path.read_bytes())
    octets[stored.offset + stored.length // 2] ^= 1
    path.write_bytes(octets)
    return root


def test_a_damaged_message_ends_a_conversion_and_a_lost_one_stays_lost(lost: Path, tmp_path: Path) -> None:
    target = tmp_path / "other"
    assert main(["convert", str(lost), str(target), "--layout", "maildir", "--quiet"]) == 13
    assert not target.exists()
    assert len(repair(lost, ignore, StillClock()).damaged) == 1
    assert main(["convert", str(lost), str(target), "--layout", "maildir", "--quiet"]) == 13
    assert verify(target, quick=False, observer=ignore).damage == verify(lost, quick=False, observer=ignore).damage


@pytest.mark.parametrize(
    "arguments",
    [
        ["init", "PLACE", "--layout", "mh"],
        ["init", "PLACE", "--compression", "none"],
        ["init", "PLACE", "--layout", "maildir", "--compression", "gzip"],
        ["init", "PLACE", "--layout", "maildir", "--compression", "none", "--level", "3"],
        ["init", "PLACE", "--layout", "maildir", "--level", "20"],
        ["init", "TAKEN"],
        ["init", "FOREIGN"],
        ["convert", "TAKEN", "FOREIGN", "--layout", "mbox"],
    ],
)
def test_what_cannot_be_made_is_said(tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "TAKEN")]) == 0
    (tmp_path / "FOREIGN").mkdir()
    (tmp_path / "FOREIGN" / "thesis").touch()
    capsys.readouterr()
    given = [str(tmp_path / part) if part.isupper() else part for part in arguments]
    assert main(given) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "PLACE").exists()


@pytest.mark.parametrize("form", sorted({*get_args(Format)} - {"one-mbox"}))
def test_exports_are_the_same_whatever_the_layout(
    tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for kind in (MBOX, MAILDIR, PLAIN):
        monkeypatch.setattr(archives, "kind", kind)
        root = tmp_path / f"{kind.layout}-{kind.level}"
        make(root)
        out = tmp_path / f"out-{kind.layout}-{kind.level}"
        export(root, out, form, Selection(gone=None), ignore)
        found.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert found[0] == found[1] == found[2] != {}


@pytest.mark.usefixtures("maildir")
def test_what_is_linked_takes_its_room_once(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    make(root)
    once = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and path.stat().st_nlink == 1)
    linked = [path.stat() for path in (root / "messages").rglob("*.zst")]
    files = sum(status.st_size for status in linked if status.st_nlink > 1)
    found = browse.stats(root)
    assert found.disk_bytes + found.catalog_bytes == pytest.approx(once + files, abs=4096 * 16)


@pytest.mark.usefixtures("maildir")
def test_a_journal_cut_anywhere_is_mended(tmp_path: Path) -> None:
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    account = make(whole)
    octets = (whole / "journal" / "tail.jsonl").read_bytes()
    for cut in range(len(octets) // 3, len(octets), 401):
        shutil.copytree(whole, copy)
        (copy / "journal" / "tail.jsonl").write_bytes(octets[:cut])
        archives.can_be_completed(copy, account, Journal.of(copy))
        shutil.rmtree(copy)
