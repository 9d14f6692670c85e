"""All targets keep what the contract promises."""

import mailbox
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from mailarchive.mail import mboxrd
from mailarchive.mail.eol import lf_text
from mailarchive.targets.base import Place, Target
from mailarchive.targets.paths import MARK, Tell, ignore_text
from mailarchive.targets.registry import open_target
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


class TestMbox(TargetContract):
    entries: ClassVar[dict[bytes, bytes]] = {}

    def open(self, root: Path, tell: Tell = ignore_text) -> Target:
        return open_target("mbox", root, tell)

    def put(self, target: Target, octets: bytes, place: Place) -> None:
        self.entries[mboxrd.encode(lf_text(octets)[0], final=place.final, date=place.date)] = octets
        super().put(target, octets, place)

    def found(self, root: Path) -> Found:
        """Cut the files into entries, and take for each the octets of which it must have been made."""
        found: Found = {}
        for path in root.rglob("*"):
            if path.is_file() and path.name != MARK:
                entries = re.split(rb"^(?=From MAILER-DAEMON )", path.read_bytes(), flags=re.MULTILINE)
                parts = path.relative_to(root).parts
                name = (*parts[:-1], parts[-1].removesuffix(".mbox"))
                found[name] = [self.entries[entry] for entry in entries if entry]
        return found

    def test_the_standard_library_counts_the_same_messages(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        for uid, octets in enumerate(ODD):
            self.put(target, octets, place_of(octets, "INBOX", uid=uid))
        assert target.close() == 1
        path = tmp_path / "out" / "me@host" / "INBOX.mbox"
        with closing(mailbox.mbox(path)) as reader:  # noqa: TID251 - an independent reader
            assert len(reader) == len(ODD)
