"""An account that behaves as Gmail's IMAP does: one set of messages, and mailboxes that are views of their labels."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailarchive.loopback.account import DEFAULT_DATE, LoopbackAccount, LoopbackMailbox, LoopbackMessage
from mailarchive.loopback.gmail_names import ENGLISH, no_label
from mailarchive.mail.mailbox_name import decode_name

CAPABILITIES = frozenset(
    {
        "IMAP4rev1",
        "APPENDLIMIT=35651584",
        "CHILDREN",
        "CONDSTORE",
        "ENABLE",
        "ESEARCH",
        "ID",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "LITERAL-",
        "MOVE",
        "NAMESPACE",
        "SPECIAL-USE",
        "UIDPLUS",
        "UNSELECT",
        "X-GM-EXT-1",
    }
)
_LABELS = {"\\Drafts": "\\Draft", "\\Important": "\\Important", "\\Sent": "\\Sent", "\\Flagged": "\\Starred"}
_PLACES = ("\\All", "\\Junk", "\\Trash")


@dataclass(slots=True)
class _Message:
    """One message of the account; ``place`` is the special use of the mailbox in which it is whatever its labels."""

    octets: bytes = field(repr=False)
    internaldate: datetime
    flags: frozenset[str]
    labels: frozenset[str]
    thread_id: str
    place: str = "\\All"


class GmailAccount(LoopbackAccount):
    r"""See LoopbackAccount, whose methods do here what they do at Gmail: copying adds a label, removing takes it away.

    Own labels are mailboxes of their name: ``create`` makes one, ``delete`` takes it from all messages.
    """

    def __init__(self, *, names: Mapping[str, str] = ENGLISH, capabilities: Iterable[str] = CAPABILITIES) -> None:
        self._messages: dict[str, _Message] = {}
        self._hidden: dict[bytes, LoopbackMailbox] = {}
        self._limit: int | None = None
        self._number = itertools.count(1)
        self.upload_limit: int | None = None
        """How many octets APPEND takes, now that ``uploaded`` of them have come."""
        self.uploaded = 0
        super().__init__(capabilities=capabilities)
        for use, name in names.items():
            self.create(name, special_use=use)
        self._names = dict(names)

    # -- messages by their id ----------------------------------------------------------------------------------------

    def deliver(
        self,
        octets: bytes,
        labels: Iterable[str] = ("\\Inbox",),
        *,
        flags: Iterable[str] = (),
        internaldate: datetime = DEFAULT_DATE,
        thread_id: str = "",
    ) -> str:
        """Add a message with ``labels`` (own ones need no ``create``) and return its id."""
        with self.lock:
            identity = f"G{next(self._number)}"
            message = _Message(octets, internaldate, frozenset(flags), frozenset(), thread_id or identity)
            self._messages[identity] = message
            self.label(identity, *labels)
            return identity

    def label(self, identity: str, *labels: str) -> None:
        """Give labels to a message."""
        with self.lock:
            for name in labels:
                if not name.startswith("\\") and self.wire_name(name) not in {**self._hidden, **self._mailboxes}:
                    self.create(name)
            self._messages[identity].labels |= frozenset(labels)
            self._follow()

    def unlabel(self, identity: str, *labels: str) -> None:
        """Take labels from a message."""
        with self.lock:
            self._messages[identity].labels -= frozenset(labels)
            self._follow()

    def put(self, identity: str, place: str) -> None:
        r"""Move a message to ``\All``, ``\Junk`` or ``\Trash``; its labels stay, and count in ``\All`` only."""
        with self.lock:
            self._messages[identity].place = place
            self._follow()

    def forget(self, identity: str) -> None:
        """Delete a message for ever."""
        with self.lock:
            del self._messages[identity]
            self._follow()

    def expected(self) -> dict[str, dict[str, bytes]]:
        """Return for each mailbox, hidden ones too and without any limit, the octets of its messages by their id."""
        with self.lock:
            boxes = [*self._mailboxes.values(), *self._hidden.values()]
            return {box.name: {name: self._messages[name].octets for name in self._members(box)} for box in boxes}

    # -- what a user can set -----------------------------------------------------------------------------------------

    def hide(self, name: str) -> None:
        """Show a mailbox no more in IMAP."""
        with self.lock:
            raw = self.wire_name(name)
            self._hidden[raw] = self._mailboxes.pop(raw)

    def show(self, name: str) -> None:
        """Show a hidden mailbox again."""
        with self.lock:
            raw = self.wire_name(name)
            self._mailboxes[raw] = self._hidden.pop(raw)
            self._follow()

    def limit(self, messages: int | None) -> None:
        """Show only so many of the newest messages of each mailbox."""
        with self.lock:
            self._limit = messages
            self._follow()

    # -- what IMAP allows --------------------------------------------------------------------------------------------

    def used(self) -> int:
        with self.lock:
            return sum(len(message.octets) for message in self._messages.values())

    def no_room(self, size: int, *, appending: bool) -> str:
        if not appending:
            return ""
        if self.upload_limit is not None and self.uploaded + size > self.upload_limit:
            return "Account exceeded command or bandwidth limits."
        return super().no_room(size, appending=appending)

    def no_name(self, name: str | bytes) -> str:
        return no_label(decode_name(self.wire_name(name)))

    # -- what IMAP does ----------------------------------------------------------------------------------------------

    def append(
        self,
        mailbox: str | bytes,
        octets: bytes,
        *,
        internaldate: datetime = DEFAULT_DATE,
        flags: Iterable[str] = (),
        labels: Sequence[str] = (),
        email_id: str | None = None,
    ) -> int:
        r"""Add a message, or show in ``mailbox`` too the one of these octets that is there, whose flags stay.

        Spam and trash are apart: only there is a message known again that is there. ``\Deleted`` makes a message
        vanish at once.
        """
        with self.lock:
            del email_id
            box, given = self[mailbox], frozenset(flags)
            self.uploaded += len(octets)
            known = None if "\\Deleted" in given else self._known(octets, self._place_of(box))
            identity = known or self.deliver(octets, labels, flags=given - {"\\Flagged"}, internaldate=internaldate)
            starred = {"\\Starred"} if "\\Flagged" in given else set()
            self.label(identity, *labels, *starred)
            uid = self._enter(identity, box)
            if "\\Deleted" in given:
                self.forget(identity)
            return uid

    def copy(self, mailbox: str | bytes, uid: int, destination: str | bytes) -> int:
        with self.lock:
            return self._enter(self[mailbox].messages[uid].email_id, self[destination])

    def expunge(self, mailbox: str | bytes, *uids: int) -> None:
        with self.lock:
            box = self[mailbox]
            for message in [box.messages[uid] for uid in uids if uid in box.messages]:
                if label := self._label_of(box):
                    self.unlabel(message.email_id, label)
                elif box.special_use == "\\All":
                    self.put(message.email_id, "\\Trash")
                else:
                    self.forget(message.email_id)

    def set_flags(self, mailbox: str | bytes, uid: int, flags: Iterable[str]) -> None:
        with self.lock:
            message = self._messages[self[mailbox].messages[uid].email_id]
            given = frozenset(flags)
            message.flags = given - {"\\Flagged"}
            starred = frozenset({"\\Starred"}) if "\\Flagged" in given else frozenset()
            message.labels = message.labels - {"\\Starred"} | starred
            self._follow()

    def set_labels(self, mailbox: str | bytes, uid: int, labels: Iterable[str]) -> None:
        with self.lock:
            identity = self[mailbox].messages[uid].email_id
            self._messages[identity].labels = frozenset()
            self.label(identity, *labels)

    def change_labels(self, mailbox: str | bytes, uid: int, sign: str, labels: Iterable[str]) -> None:
        with self.lock:
            identity = self[mailbox].messages[uid].email_id
            if sign == "-":
                self.unlabel(identity, *labels)
            elif sign == "+":
                self.label(identity, *labels)
            else:
                self.set_labels(mailbox, uid, labels)

    def delete(self, name: str | bytes) -> None:
        with self.lock:
            label = self._label_of(self[name])
            super().delete(name)
            for message in self._messages.values():
                message.labels -= {label}
            self._follow()

    def rename(self, old: str | bytes, new: str | bytes) -> None:
        with self.lock:
            before = {box.raw: (box, self._label_of(box)) for box in self._mailboxes.values()}
            super().rename(old, new)
            for box, label in before.values():
                for message in self._messages.values():
                    if label in message.labels:
                        message.labels = message.labels - {label} | {self._label_of(box)}
            self._follow()

    def _known(self, octets: bytes, place: str) -> str | None:
        for identity, message in self._messages.items():
            if message.place == place and message.octets == octets:
                return identity
        return None

    def _place_of(self, box: LoopbackMailbox) -> str:
        return "\\All" if self._label_of(box) else box.special_use or "\\All"

    def _enter(self, identity: str, box: LoopbackMailbox) -> int:
        """Let a message be in ``box`` and return its UID there."""
        if label := self._label_of(box):
            self.label(identity, label)
        else:
            self.put(identity, self._place_of(box))
        return next(uid for uid, message in box.messages.items() if message.email_id == identity)

    # -- the views ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _label_of(box: LoopbackMailbox) -> str:
        if box.special_use in _PLACES:
            return ""
        return "\\Inbox" if box.raw == b"INBOX" else _LABELS.get(box.special_use or "", box.name)

    def _members(self, box: LoopbackMailbox) -> Iterator[str]:
        label = self._label_of(box)
        for identity, message in self._messages.items():
            if (message.place == "\\All" and label in message.labels) if label else message.place == box.special_use:
                yield identity

    def _follow(self) -> None:
        """Bring every mailbox in step with the messages; what changed in one gets a new MODSEQ there."""
        for box in [*self._mailboxes.values(), *self._hidden.values()]:
            shown = list(self._members(box))[-(self._limit or len(self._messages)) :]
            uids = {message.email_id: uid for uid, message in box.messages.items()}
            for identity in uids.keys() - set(shown):
                del box.messages[uids[identity]]
                box.touch()
            for identity in shown:
                uid = uids.get(identity, box.uidnext)
                now = self._seen_in(box, uid, identity)
                before = box.messages.get(uid)
                if before is None or replace(before, modseq=0) != now:
                    box.uidnext = max(box.uidnext, uid + 1)
                    box.messages[uid] = replace(now, modseq=box.touch())

    def _seen_in(self, box: LoopbackMailbox, uid: int, identity: str) -> LoopbackMessage:
        """Return a message as it is shown in ``box``, whose own label is not among those told."""
        message = self._messages[identity]
        flags = message.flags | ({"\\Flagged"} if "\\Starred" in message.labels else set())
        labels = tuple(sorted(message.labels - {self._label_of(box)}))
        return LoopbackMessage(uid, message.octets, message.internaldate, flags, 0, identity, labels, message.thread_id)
