"""What may happen in an account at a server between two pulls."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from mailarchive.loopback.account import LoopbackAccount
from tests.property.machine import flags, paths, picks
from tests.property.mail_strategies import mail_octets

Change = tuple[object, ...]
"""The name of a method of Life and its arguments."""


def _change(name: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Change]:
    return st.tuples(st.just(name), *arguments)


changes = st.lists(
    st.one_of(
        _change("append", picks, mail_octets, flags),
        _change("append_many", picks, st.integers(1, 12)),
        _change("copy", picks, picks, st.booleans()),
        _change("move_all", picks, picks),
        _change("expunge", picks),
        _change("set_flags", picks, flags),
        _change("create", paths),
        _change("delete", picks),
        _change("rename", picks, paths),
        _change("number_anew", picks, st.sampled_from((1, 1, 7))),
    ),
    min_size=1,
    max_size=6,
)


class Life:
    """Changes an account; numbers stand for whichever mailbox or message that is now."""

    def __init__(self, account: LoopbackAccount) -> None:
        self.account = account
        self._count = 0

    def happen(self, happened: Iterable[Change]) -> None:
        """Carry out changes."""
        for name, *arguments in happened:
            getattr(self, str(name))(*arguments)

    def box(self, number: int) -> str:
        """Return the name of some mailbox."""
        boxes = self.account.mailboxes()
        return boxes[number % len(boxes)].name

    def pick(self, number: int) -> tuple[str, int] | None:
        """Return some message, by mailbox and UID."""
        there = [(box.name, uid) for box in self.account.mailboxes() for uid in box.messages]
        return there[number % len(there)] if there else None

    def _date(self) -> datetime:
        """Return a moment that no other delivery has."""
        self._count += 1
        return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=self._count)

    def _is_lasting(self, name: str) -> bool:
        """Return whether no user can delete or rename a mailbox."""
        return name == "INBOX" or self.account[name].special_use is not None

    def _is_ordinary(self, name: str) -> bool:
        """Return whether messages are copied out of a mailbox as out of any other."""
        return self.account[name].special_use not in {"\\Junk", "\\Trash"}

    def append(self, number: int, octets: bytes, names: set[str]) -> None:
        self.account.append(self.box(number), octets, internaldate=self._date(), flags=names)

    def append_many(self, number: int, count: int) -> None:
        for _ in range(count):
            date = self._date()
            octets = b"Subject: %d\r\n\r\n" % self._count + b"%d " % self._count * 100
            self.account.append(self.box(number), octets, internaldate=date)

    def copy(self, number: int, to: int, moved: bool) -> None:
        if (picked := self.pick(number)) and self._is_ordinary(picked[0]):
            (self.account.move if moved else self.account.copy)(*picked, self.box(to))

    def move_all(self, number: int, to: int) -> None:
        if self._is_ordinary(self.box(number)):
            for message in self.account.messages(self.box(number)):
                self.account.move(self.box(number), message.uid, self.box(to))

    def expunge(self, number: int) -> None:
        if picked := self.pick(number):
            self.account.expunge(*picked)

    def set_flags(self, number: int, names: set[str]) -> None:
        if picked := self.pick(number):
            self.account.set_flags(*picked, names)

    def create(self, path: str) -> None:
        if path not in self.account:
            self.account.create(path)

    def delete(self, number: int) -> None:
        if not self._is_lasting(self.box(number)):
            self.account.delete(self.box(number))

    def rename(self, number: int, path: str) -> None:
        old = self.box(number)
        names = {box.name for box in self.account.mailboxes()}
        moving = {name for name in names if name == old or name.startswith(old + "/")}
        if not self._is_lasting(old) and not {path + name.removeprefix(old) for name in moving} & names:
            self.account.rename(old, path)

    def number_anew(self, number: int, first: int) -> None:
        self.account.reset_uidvalidity(self.box(number), first_uid=first)
