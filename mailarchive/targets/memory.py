"""An account in memory, as a target: the first AccountTarget."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mailarchive.errors import ConnectionLost, MailboxUnavailable, MessageRefused, NoRoom
from mailarchive.mail.mailbox_name import decode_name
from mailarchive.model import KEEPS_ALL, Account, ListedMailbox, MailboxName, Outbound, Permanent
from mailarchive.remote.memory import DELIMITER, MemoryAccount, MemoryOpenMailbox
from mailarchive.targets.accounts import NO_ROOM, Abilities, Copying, Outcome

__all__ = ["MemoryAccount", "MemoryOpenTarget", "MemoryTarget"]

_FULL = "the account is full"


class MemoryTarget:
    """One connection to a MemoryAccount. See ``AccountTarget``."""

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account
        self._closed = False

    @property
    def account(self) -> Account:
        return self._account.account

    def abilities(self) -> Abilities:
        self.check()
        account = self._account
        return Abilities(
            b"", DELIMITER, account.append_limit, account.room(), takes_nul=True, tells_uids=True, has_labels=False
        )

    def mailboxes(self) -> list[ListedMailbox]:
        self.check()
        return self._account.listed()

    def create(self, name: MailboxName, use: str | None = None) -> None:
        self.check()
        if not all(name.parts):
            raise MailboxUnavailable(f"{name} cannot be made: a part of its name is empty")
        self._account.ensure(decode_name(name.raw), [use] if use else [])

    def open(self, mailbox: ListedMailbox) -> "MemoryOpenTarget":
        self.check()
        return MemoryOpenTarget(self._account, mailbox.name, self.check)

    def look(self, mailbox: ListedMailbox) -> "MemoryOpenTarget":
        return self.open(mailbox)

    def close(self) -> None:
        self._closed = True

    def check(self) -> None:
        """Raise ConnectionLost after ``close``."""
        if self._closed:
            raise ConnectionLost("the connection was closed")


class MemoryOpenTarget(MemoryOpenMailbox):
    """A mailbox of a MemoryAccount that messages are put into. See ``OpenTarget``."""

    @property
    def permanent(self) -> Permanent:
        return KEEPS_ALL

    def append(self, messages: Iterable[Outbound], *, alone: bool = False) -> Iterator[Outcome]:
        del alone
        for place, message in enumerate(messages):
            self._check()
            path, mailbox = self._account.find(self._name)
            octets = b"".join(message.body.chunks())
            if self._account.room() == 0:
                raise NoRoom(f"{self._name} takes no further message: {_FULL}")
            if refused := self._refused(place, len(octets)):
                yield refused
                continue
            uid = self._account.append(path, octets, message.flags, message.date)
            yield Outcome(place, uid if mailbox.uidvalidity == self.cursor.uidvalidity else None)

    def _refused(self, place: int, size: int) -> Outcome | None:
        limit, room = self._account.append_limit, self._account.room()
        if limit is not None and size > limit:
            return Outcome(place, None, f"A message may have {limit} octets", "TOOBIG")
        return Outcome(place, None, _FULL, NO_ROOM) if room is not None and size > room else None

    def copy(self, wanted: Iterable[Copying]) -> Iterator[Mapping[int, int]]:
        for one in wanted:
            self._check()
            yield self._copied(one)

    def _copied(self, copying: Copying) -> Mapping[int, int]:
        here = dict(self._messages())
        try:
            path, mailbox = self._account.find(copying.name)
        except MailboxUnavailable:
            return {}
        messages = {uid: here[uid] for uid in copying.uids if uid in here}
        room = self._account.room()
        if room is not None and sum(message.facts.size or 0 for message in messages.values()) > room:
            return {}
        uids = {
            uid: self._account.append(path, message.octets, message.facts.flags, message.facts.internaldate)
            for uid, message in messages.items()
        }
        return uids if mailbox.uidvalidity == copying.uidvalidity else {}

    def label(self, uids: Sequence[int], labels: Sequence[str]) -> None:
        del uids, labels
        raise MessageRefused("there are no labels")
