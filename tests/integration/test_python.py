"""An archive is an object to a Python program, and a mailbox of the standard library."""

import email
import mailbox
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

import mailarchive
from mailarchive.mail.digest import digest_of
from tests.fault.archives import ODD as ODD_OCTETS
from tests.fault.archives import SMALL, account_at_first, change, make, message, pull_memory

SCRIPT = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module, name, value in SMALL:
        monkeypatch.setattr(module, name, value)
    make(tmp_path / "my-archive")
    return tmp_path / "my-archive"


@pytest.fixture
def archive(path: Path) -> Iterator[mailarchive.Archive]:
    with mailarchive.open(path) as archive:
        yield archive


def damage(path: Path) -> None:
    for file in (path / "mail").iterdir():
        file.write_bytes(bytes(len(file.read_bytes())))


def test_the_script_of_the_readme_runs(path: Path) -> None:
    (script,) = SCRIPT.findall((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=path.parent, capture_output=True, check=True
    )
    assert b"INBOX" in done.stdout
    assert b"message 20" in done.stdout
    assert not done.stderr


def test_mailboxes_and_their_messages_are_objects(archive: mailarchive.Archive) -> None:
    names = [(str(box), box.parts, box.present, len(box)) for box in archive.mailboxes]
    inbox = next(box for box in archive.mailboxes if box.name == "INBOX")
    assert ("a/b", ("a", "b"), True, 5) in names
    assert archive.accounts == [inbox.account]
    assert [one.digest for one in inbox.messages()] == [one.digest for one in archive.messages(mailbox="INBOX")]
    assert len(inbox) == len(list(inbox))


def test_a_message_has_its_octets_and_what_the_server_said_of_it(archive: mailarchive.Archive) -> None:
    one = archive.get(digest_of(message(6)).hex()[:10])
    assert one is not None
    assert one.octets == message(6)
    with one.open() as file:
        assert file.read() == one.octets
    assert (one.size, one.header("Subject"), one.header("to")) == (len(one.octets), "message 6", None)
    assert one.email["subject"] == "message 6"
    assert {str(one.mailbox) for one in archive.messages(mailbox=["a/*", "new"])} == {"a/b", "new"}
    flags = {flag for one in archive.messages(mailbox="a/b") for flag in one.flags}
    assert flags == {"keyword"}
    assert archive.get("0" * 64) is None
    with pytest.raises(ValueError, match="several"):
        archive.get(next(digit for digit in "0123456789abcdef" if _begins(archive, digit) > 1))
    with pytest.raises(ValueError):
        archive.get("no digest")


def _begins(archive: mailarchive.Archive, digit: str) -> int:
    return len({one.digest for one in archive.messages(gone=None) if one.digest[0] == digit})


def test_messages_are_chosen_by_day_and_by_what_vanished(archive: mailarchive.Archive) -> None:
    assert [one.octets for one in archive.messages(mailbox="INBOX", gone=True)] == [ODD_OCTETS[3]]
    one = next(one for one in archive.messages(gone=True))
    assert one.gone_at is not None
    day = date(2024, 3, 1)
    found = list(archive.messages(since=day, before=day + timedelta(days=2)))
    assert found
    assert all(one.internaldate and one.internaldate.date() - day < timedelta(days=2) for one in found)


def test_a_search_asks_the_header_and_the_caller(archive: mailarchive.Archive) -> None:
    found = {one.header("subject") for one in archive.search("MESSAGE 2")}
    assert found == {f"message {number}" for number in (2, 20, 21, 22)}
    large = archive.search("message", where=lambda one: one.size > 2000)
    assert [one.header("subject") for one in large] == ["message 20"]


def test_damage_is_an_error_of_the_message_and_told_by_a_search(path: Path) -> None:
    damage(path)
    told: list[str] = []
    with mailarchive.open(path, told.append) as archive:
        one = next(archive.messages(mailbox="a/b"))
        with pytest.raises(mailarchive.ArchiveDamaged):
            _ = one.octets
        list(archive.search("message", mailbox="a/b"))
    assert told


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(mailarchive.ArchiveMissing):
        mailarchive.open(tmp_path)
    with pytest.raises(mailarchive.MailArchiveError):
        mailarchive.Mailbox(tmp_path)


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mailarchive.nothing  # type: ignore[attr-defined]
    assert all(hasattr(mailarchive, name) for name in mailarchive.__all__)


def test_a_mailbox_of_the_standard_library_has_every_message(path: Path, tmp_path: Path) -> None:
    box = mailarchive.Mailbox(path, "a/b")
    assert isinstance(box, mailbox.Mailbox)
    octets = [message(3), *(message(number, 900) for number in range(5, 9))]
    assert sorted(map(box.get_bytes, box.iterkeys())) == sorted(octets)
    assert len(box) == len(list(box)) == 5
    assert [key in box for key in (0, "4", 5, -1, "x", None)] == [True, True, False, False, False, False]
    copy = mailbox.mbox(tmp_path / "copy")  # noqa: TID251 - what a script may do
    for each in box:
        copy.add(each)
    assert {each["subject"] for each in copy} == {f"message {n}" for n in (3, 5, 6, 7, 8)}
    assert [box.get(key) for key in ("5", "-1", "x")] == [None, None, None]
    copy.close()
    box.close()


def test_flags_and_the_date_of_receipt_are_those_of_an_mbox(path: Path) -> None:
    box = mailarchive.Mailbox(path)
    flags = [box[key].get_flags() for key in box.iterkeys()]
    assert flags[:3] == ["RO", "OF", "RO"]
    assert box["0"].get_from().startswith("MAILER-DAEMON Thu Feb 29 23:59")
    with box.get_file("4") as file:
        assert email.message_from_binary_file(file)["subject"] == box["4"]["subject"]
    box.close()


def test_folders_are_the_mailboxes_of_the_account(path: Path) -> None:
    box = mailarchive.Mailbox(path)
    assert box.list_folders() == ["a/b", "empty", "new"]
    below = box.get_folder("a/b")
    assert len(below) == 5
    assert below.list_folders() == []
    with pytest.raises(mailbox.NoSuchMailboxError, match="no mailbox x"):
        box.get_folder("x")
    below.close()
    box.close()


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("add", ["x"]),
        ("remove", [0]),
        ("discard", [0]),
        ("clear", []),
        ("pop", [0]),
        ("popitem", []),
        ("update", [{}]),
        ("__setitem__", [0, "x"]),
        ("__delitem__", [0]),
        ("add_folder", ["x"]),
    ],
)
def test_nothing_can_be_changed(path: Path, verb: str, arguments: list[object]) -> None:
    box = mailarchive.Mailbox(path)
    with pytest.raises(mailarchive.ReadOnly):
        getattr(box, verb)(*arguments)
    box.lock()
    box.flush()
    box.unlock()
    assert len(box) == len(box.keys())
    box.close()


def test_a_mailbox_is_read_while_a_pull_writes(path: Path) -> None:
    box = mailarchive.Mailbox(path, "a/b")
    account = account_at_first()
    change(account)
    account.append("a/b", message(99))
    pull_memory(path, account)
    assert len(box) == 5
    assert len(list(box)) == 5
    later = mailarchive.Mailbox(path, "a/b")
    assert len(later) == 6
    later.close()
    box.close()
