"""What every Target promises; an implementation subclasses TargetContract and says how it is read back."""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailarchive.errors import ArchiveDamaged, UsageError
from mailarchive.mail import mboxrd
from mailarchive.mail.digest import digest_of
from mailarchive.mail.eol import EolScanner, lf_text
from mailarchive.targets.base import Home, Place, Target
from mailarchive.targets.paths import Tell, ignore_text

DATE = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)
ODD = (
    b"",
    b"no line end",
    b"Subject: crlf\r\n\r\nFrom here\r\n>From there\r\n",
    b"Subject: lf\n\n>>From there",
    b"Subject: mixed\r\n\nbare\rcr\r\n",
    b"\0\xff\r\n\r\n\0",
)

Found = dict[tuple[str, ...], list[bytes]]
"""Messages by the path of their mailbox below the target."""


def place_of(octets: bytes, *mailbox: str, uid: int = 1, box: int = 0, gone: bool = False) -> Place:
    """Return where a message with ``octets`` goes; mailboxes of one name are one unless ``box`` differs."""
    scanner = EolScanner()
    scanner.feed(octets)
    length = len(mboxrd.encode(lf_text(octets)[0], final=scanner.final, date=DATE))
    home = Home("me@host", mailbox, box, gone)
    return Place(home, uid, digest_of(octets), len(octets), DATE, scanner.eol, scanner.final, 0, length)


class TargetContract:
    """Subclasses open a target below a directory, and find messages there by the path of their mailbox."""

    def open(self, root: Path, tell: Tell = ignore_text) -> Target:
        raise NotImplementedError

    def found(self, root: Path) -> Found:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _no_ends(self) -> None:
        self.ends: dict[Home, int] = {}

    def next(self, place: Place) -> Place:
        """Return ``place`` behind those of its mailbox that were asked for before."""
        at = self.ends.get(place.home, 0)
        self.ends[place.home] = at + place.length
        return replace(place, at=at)

    def put(self, target: Target, octets: bytes, place: Place) -> None:
        target.put(self.next(place), iter([octets[:5], octets[5:]]))

    def all(self, root: Path) -> list[bytes]:
        return sorted(octets for messages in self.found(root).values() for octets in messages)

    def test_octets_come_out_as_they_went_in(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        for uid, octets in enumerate(ODD):
            self.put(target, octets, place_of(octets, "INBOX", uid=uid))
        assert target.close() > 0
        assert self.all(tmp_path / "out") == sorted(ODD)
        assert [path[:2] for path in self.found(tmp_path / "out")] == [("me@host", "INBOX")]

    @pytest.mark.parametrize(
        "mailboxes",
        [
            [("work",), ("Work",), ("WORK",)],
            [("a",), ("a", "b"), ("a.mbox", "b"), ("a.mbox",)],
            [("..", "x"), (".",), ("/etc/passwd",), ("",), ("x", "")],
            [("ü" * 200,), ("ü" * 201,)],
            [("nul",), ("con.txt",), ("%6Eul",)],
            [("x.gone",), ("x",)],
        ],
    )
    def test_each_mailbox_has_a_place_of_its_own_below_the_target(
        self, tmp_path: Path, mailboxes: list[tuple[str, ...]]
    ) -> None:
        target = self.open(tmp_path / "out")
        for box, parts in enumerate(mailboxes):
            octets = "/".join(parts).encode()
            self.put(target, octets, place_of(octets, *parts, box=box))
        target.close()
        found = self.found(tmp_path / "out")
        assert len(found) == len(mailboxes)
        assert all(len(messages) == 1 for messages in found.values())
        assert len({"/".join(path).casefold() for path in found}) == len(mailboxes)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_names_too_long_for_a_path_have_a_shorter_one_of_their_own_and_it_is_said(self, tmp_path: Path) -> None:
        told: list[str] = []
        target = self.open(tmp_path / "out", told.append)
        deep, long = ("a",) * 2000, ("ü" * 120,) * 30
        names = [deep, (*deep, "b"), long, (*long, "b"), ("short",)]
        for box, name in enumerate(names):
            for uid in (1, 2):
                octets = b"%d %d" % (box, uid)
                self.put(target, octets, place_of(octets, *name, uid=uid, box=box))
        target.close()
        assert [len(messages) for messages in self.found(tmp_path / "out").values()] == [2] * len(names)
        assert len(told) == 4
        assert all("too long for a path" in text for text in told)

    def test_mailboxes_whose_names_read_the_same_stay_apart(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        for box in (1, 2):
            self.put(target, b"%d" % box, place_of(b"%d" % box, "Entwürfe", box=box))
        target.close()
        assert sorted(self.found(tmp_path / "out").values()) == [[b"1"], [b"2"]]

    def test_what_is_gone_is_kept_beside_what_is_there(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        self.put(target, b"there", place_of(b"there", "x"))
        self.put(target, b"gone", place_of(b"gone", "x", gone=True))
        self.put(target, b"other", place_of(b"other", "x.gone", box=7))
        target.close()
        found = self.found(tmp_path / "out")
        assert len(found) == 3
        assert self.all(tmp_path / "out") == [b"gone", b"other", b"there"]

    def test_an_error_while_a_message_comes_goes_through_and_leaves_nothing_of_it(self, tmp_path: Path) -> None:
        def torn() -> Iterator[bytes]:
            yield b"half"
            raise ArchiveDamaged("torn")

        target = self.open(tmp_path / "out")
        self.put(target, b"first\n", place_of(b"first\n", "x"))
        with pytest.raises(ArchiveDamaged, match="torn"):
            target.put(self.next(place_of(b"half of it\n", "x", uid=2)), torn())
        self.put(target, b"last\n", place_of(b"last\n", "x", uid=3))
        target.close()
        assert self.all(tmp_path / "out") == [b"first\n", b"last\n"]
        assert not list((tmp_path / "out").rglob("*.tmp"))

    def test_a_second_export_to_the_same_place_gives_the_same(self, tmp_path: Path) -> None:
        for _ in range(2):
            self.ends.clear()
            target = self.open(tmp_path / "out")
            for octets in ODD:
                place = place_of(octets, "x", uid=len(octets))
                if not target.has(place):
                    self.put(target, octets, place)
            target.close()
        assert self.all(tmp_path / "out") == sorted(ODD)

    def test_several_targets_put_together_what_comes_in_any_order(self, tmp_path: Path) -> None:
        first, second = self.open(tmp_path / "out"), self.open(tmp_path / "out")
        names = ["a", "A", "a.gone"]
        messages = [b"%d\r\nFrom %s\r\n" % (number, b"x" * number) for number in range(20)]
        pairs = [
            (octets, self.next(place_of(octets, names[uid % 3], box=uid % 3, uid=uid, gone=uid % 2 > 0)))
            for uid, octets in enumerate(messages)
        ]
        self.note(pairs)
        homes = list(dict.fromkeys(place.home for _, place in pairs))
        for target in (first, second):
            target.reserve(homes)
        random.Random(1).shuffle(pairs)
        for number, (octets, place) in enumerate(pairs):
            (first, second)[number % 2].put(place, [octets])
        first.learn(second.told())
        assert first.close() in {len(homes), len(messages)}
        assert second.close() == 0
        assert self.all(tmp_path / "out") == sorted(messages)
        assert len(self.found(tmp_path / "out")) == len(homes)

    def test_what_is_damaged_anywhere_leaves_no_hole(self, tmp_path: Path) -> None:
        def torn() -> Iterator[bytes]:
            yield b"half"
            raise ArchiveDamaged("torn")

        for damaged in ({0}, {4}, {1, 2}, {0, 2, 4}, {0, 1, 2, 3}):
            root = tmp_path / "".join(map(str, sorted(damaged)))
            target = self.open(root)
            self.ends.clear()
            for uid in range(5):
                octets = b"%d\n" % uid * (uid + 1)
                if uid in damaged:
                    with pytest.raises(ArchiveDamaged, match="torn"):
                        target.put(self.next(place_of(octets, "x", uid=uid)), torn())
                else:
                    self.put(target, octets, place_of(octets, "x", uid=uid))
            target.close()
            assert self.all(root) == [b"%d\n" % uid * (uid + 1) for uid in range(5) if uid not in damaged]

    def note(self, pairs: Sequence[tuple[bytes, Place]]) -> None:
        """Take notice of messages that are put without ``put``."""

    def test_giving_up_leaves_no_half_files(self, tmp_path: Path) -> None:
        target = self.open(tmp_path / "out")
        self.put(target, b"x", place_of(b"x", "x"))
        target.abort()
        target.abort()
        assert not list((tmp_path / "out").rglob("*.tmp"))

    def test_nothing_is_written_into_a_directory_of_others(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(UsageError, match="not empty"):
            self.open(tmp_path)
        with pytest.raises(UsageError, match="not a directory"):
            self.open(tmp_path / "thesis.txt")

    def test_others_may_not_read_what_was_exported(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            target = self.open(tmp_path / "out")
            self.put(target, b"x", place_of(b"x", "a", "b"))
            target.close()
        finally:
            os.umask(before)
        assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
        files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}

    def test_what_another_process_wrote_is_given_up_too(self, tmp_path: Path) -> None:
        place, root = place_of(b"half an export", "INBOX"), tmp_path / "out"
        mine, other = self.open(root), self.open(root)
        for target in (mine, other):
            target.reserve([place.home])
        self.put(other, b"half an export", place)
        other.told()
        mine.abort()
        assert not list(root.rglob("*.tmp"))
