"""All targets keep what the contract promises."""

import errno
import mailbox
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from mailarchive.errors import ArchiveDamaged, UsageError
from mailarchive.mail import client_marks, mboxrd
from mailarchive.mail.eol import lf_text
from mailarchive.targets.base import Place, Target
from mailarchive.targets.paths import MARK, Tell, ignore_text
from mailarchive.targets.registry import Format, mozilla, open_target
from mailarchive.targets.stream import StreamTarget
from tests.contract.target_contract import DATE, ODD, Found, TargetContract, place_of


class TestEml(TargetContract):
    def open(self, root: Path, tell: Tell = ignore_text) -> Target:
        return open_target("eml", root, tell)

    def found(self, root: Path) -> Found:
        found: Found = {}
        for path in root.rglob("*.eml"):
            if path.is_file():
                found.setdefault(path.parent.relative_to(root).parts, []).append(path.read_bytes())
        return found

    def test_a_file_has_the_time_of_the_message(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        place = place_of(b"x", "INBOX", uid=17)
        self.put(target, b"x", place)
        (path,) = (tmp_path / "out").rglob("*.eml")
        assert path.name == f"0000000017-{place.digest.hex()[:16]}.eml"
        assert datetime.fromtimestamp(path.stat().st_mtime, UTC) - DATE < timedelta(seconds=1)

    def test_what_is_there_whole_is_not_asked_for_again(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        place = place_of(b"whole", "INBOX")
        assert not target.has(place)
        self.put(target, b"whole", place)
        assert target.has(place)
        (path,) = (tmp_path / "out").rglob("*.eml")
        for other in (b"who", b"whose"):
            path.write_bytes(other)
            assert not target.has(place)


class MboxContract(TargetContract):
    """Subclasses say what an entry's octets are, and which mailbox a path is."""

    form: Format = "mbox"
    entries: ClassVar[dict[bytes, bytes]] = {}

    def open(self, root: Path, tell: Tell = ignore_text) -> Target:
        return open_target(self.form, root, tell)

    def mailbox_of(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return (*path[:-1], path[-1].removesuffix(".mbox"))

    def put(self, target: Target, octets: bytes, place: Place) -> None:
        self.note([(octets, place)])
        super().put(target, octets, place)

    def note(self, pairs: Sequence[tuple[bytes, Place]]) -> None:
        for octets, place in pairs:
            self.entries[mboxrd.encode(lf_text(octets)[0], final=place.final, date=place.date)] = octets

    def found(self, root: Path) -> Found:
        """Cut the files into entries, and take for each the octets of which it must have been made."""
        found: Found = {}
        for path in root.rglob("*"):
            if path.is_file() and path.name != MARK:
                entries = re.split(rb"^(?=From MAILER-DAEMON )", path.read_bytes(), flags=re.MULTILINE)
                if any(entries):
                    name = self.mailbox_of(path.relative_to(root).parts)
                    found[name] = [self.entries[entry] for entry in entries if entry]
        return found


class TestMbox(MboxContract):
    def test_the_standard_library_counts_the_same_messages(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        for uid, octets in enumerate(ODD):
            self.put(target, octets, place_of(octets, "INBOX", uid=uid))
        assert target.close() == 1
        path = tmp_path / "out" / "me@host" / "INBOX.mbox"
        with closing(mailbox.mbox(path)) as reader:  # noqa: TID251 - an independent reader
            assert len(reader) == len(ODD)


class TestThunderbird(MboxContract):
    form: Format = "thunderbird"

    def mailbox_of(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part.removesuffix(".sbd") for part in path)

    def test_each_directory_stands_beside_a_mailbox(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        place = place_of(b"x", "a", "b.sbd")
        target.reserve([place.home])
        self.put(target, b"x", place)
        assert target.close() == 1
        files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
        assert files == {MARK, "me@host", "me@host.sbd/a", "me@host.sbd/a.sbd/b%2Esbd"}

    def test_a_message_has_its_flags_where_thunderbird_looks(self, tmp_path: Path) -> None:
        flags = ("\\Seen", "\\Flagged", "\\Deleted", "$label1")
        lines = mozilla((), flags, ())
        assert lines.startswith(b"X-Mozilla-Status: 0005\nX-Mozilla-Status2: 00200000\nX-Mozilla-Keys: $label1 ")
        assert client_marks.read(lines).flags == {"\\Seen", "\\Flagged", "$label1"}
        assert client_marks.without(lines, of_mbox=True) == b""


class TestMaildir(TargetContract):
    sent: ClassVar[dict[bytes, bytes]] = {}

    def open(self, root: Path, tell: Tell = ignore_text) -> Target:
        return open_target("maildir", root, tell)

    def put(self, target: Target, octets: bytes, place: Place) -> None:
        self.note([(octets, place)])
        super().put(target, octets, place)

    def note(self, pairs: Sequence[tuple[bytes, Place]]) -> None:
        self.sent.update({lf_text(octets)[0]: octets for octets, _ in pairs})

    def found(self, root: Path) -> Found:
        found: Found = {}
        for path in root.rglob("cur/*"):
            account, *directory = path.relative_to(root).parts[:-2]
            key = (account, *(directory or ["INBOX"]))
            found.setdefault(key, []).append(self.sent[path.read_bytes()])
        return found

    def flagged(self, octets: bytes, *flags: str, box: int = 0) -> Place:
        place = place_of(octets, "a.b", "Entwürfe", box=box)
        words = tuple(flag for flag in flags if flag[0] != "\\")
        return replace(place, home=replace(place.home, keywords=words), flags=flags)

    def names(self, root: Path) -> list[str]:
        return sorted(path.name.partition(",F=")[2] for path in root.rglob("cur/*"))

    def export(self, root: Path, *places: Place) -> int:
        target = self.open(root)
        target.reserve([place.home for place in places])
        for place in places:
            if not target.has(place):
                self.put(target, b"x", place)
        return target.close()

    def test_a_mailbox_is_a_maildir_to_the_standard_library(self, tmp_path: Path) -> None:
        place = self.flagged(b"x", "\\Seen", "\\Flagged", "work", "Later")
        self.export(tmp_path / "out", place)
        directory = tmp_path / "out" / "me@host" / ".a%2Eb.Entw&APw-rfe"
        assert (directory / "maildirfolder").is_file()
        assert (directory / "dovecot-keywords").read_text() == "0 work\n1 Later\n"
        ((_, message),) = mailbox.Maildir(directory, create=False).items()
        assert message.get_flags() == "FSab"
        assert message.get_date() == DATE.timestamp()

    def test_the_same_message_twice_in_a_mailbox_is_two_files_and_stays_so(self, tmp_path: Path) -> None:
        place = self.flagged(b"x")
        assert [self.export(tmp_path / "out", place, place) for _ in range(2)] == [2, 0]
        assert len(self.all(tmp_path / "out")) == 2

    def test_flags_follow_the_archive_until_a_mail_program_changes_them(self, tmp_path: Path) -> None:
        root = tmp_path / "out"
        self.export(root, self.flagged(b"x"))
        assert self.export(root, self.flagged(b"x", "\\Seen")) == 0
        assert self.names(root) == ["S:2,S"]
        (path,) = root.rglob("cur/*")
        path.rename(path.parents[1] / "new" / path.name.replace(":2,S", ":2,RS"))
        assert self.export(root, self.flagged(b"x", "\\Seen", "\\Flagged")) == 0
        assert [path.name[-5:] for path in root.rglob("new/*")] == [":2,RS"]
        assert not self.names(root)

    def test_a_maildir_of_another_program_gets_what_it_lacks(self, tmp_path: Path) -> None:
        others = mailbox.Maildir(tmp_path / "Maildir")
        key = others.add(b"Subject: theirs\n\n")
        place = place_of(b"x", "INBOX")
        for _ in range(2):
            target = self.open(tmp_path / "Maildir")
            if not target.has(place):
                self.put(target, b"x", place)
            target.close()
        assert len(others) == 2
        assert others.get_bytes(key) == b"Subject: theirs\n\n"
        assert not (tmp_path / "Maildir" / MARK).exists()
        elsewhere = replace(place.home, account="you@host")
        with pytest.raises(UsageError, match="2 accounts"):
            self.open(tmp_path / "Maildir").reserve([place.home, elsewhere])

    def test_keywords_of_another_program_keep_their_letters(self, tmp_path: Path) -> None:
        told: list[str] = []
        file = tmp_path / "out" / "me@host" / ".a%2Eb.Entw&APw-rfe" / "dovecot-keywords"
        self.export(tmp_path / "out", self.flagged(b"x"))
        file.write_text("0 theirs\n30 odd\n")
        self.export(tmp_path / "out", self.flagged(b"x", "mine"))
        assert file.read_text() == "0 theirs\n30 odd\n1 mine\n"
        assert self.names(tmp_path / "out") == ["b:2,b"]
        (file.parent / "dovecot-uidlist").touch()
        self.open(tmp_path / "out", told.append).reserve([self.flagged(b"x", "more").home])
        assert "more" not in file.read_text()
        assert "without more" in told[0]

    def test_a_file_system_without_colons_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_old: str, _new: str) -> None:
            raise OSError(errno.EINVAL, "as FAT does")

        target = self.open(tmp_path / "out")
        self.put(target, b"x", place_of(b"x", "INBOX"))
        monkeypatch.setattr(os, "rename", refuse)
        with pytest.raises(UsageError, match="no ':' in names"):
            target.close()
        target.abort()
        assert not list(tmp_path.rglob("tmp/*"))

    def test_files_are_durable_before_they_are_in_the_mailbox(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = self.open(tmp_path / "out")
        for number in range(3):
            self.put(target, b"%d" % number, place_of(b"%d" % number, "INBOX"))
        seen: list[int] = []
        sync = os.fsync

        def noted(fd: int) -> None:
            seen.append(len(self.all(tmp_path / "out")))
            sync(fd)

        monkeypatch.setattr(os, "fsync", noted)
        target.told()
        assert seen == [0, 0, 0, 3]
        assert not list(tmp_path.rglob("tmp/*"))


class TestStream:
    def test_what_is_damaged_does_not_reach_the_pipe(self) -> None:
        def torn() -> Iterator[bytes]:
            yield b"x" * (1 << 21)
            raise ArchiveDamaged("torn")

        sent: list[bytes] = []
        target = StreamTarget(sent.extend)
        place = replace(place_of(b"x" * (2 << 20), "INBOX"), lines=b"Status: RO\n")
        with pytest.raises(ArchiveDamaged):
            target.put(place, torn())
        assert not sent
        target.put(place, [b"x" * (2 << 20)])
        assert b"".join(sent) == mboxrd.encode(b"Status: RO\n" + b"x" * (2 << 20), final=False, date=DATE)
