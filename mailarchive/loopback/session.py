"""What the server remembers about one connection, and the updates it owes it."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from mailarchive.loopback.account import LoopbackAccount, LoopbackMailbox, LoopbackMessage
from mailarchive.loopback.faults import Fault, Refused
from mailarchive.loopback.syntax import BadSyntax, sequence
from mailarchive.loopback.wire import Command, Counts, Hangup, Wire


@dataclass(slots=True)
class Selected:
    """A mailbox opened by SELECT or EXAMINE; ``view`` maps sequence numbers (from 1) to UIDs."""

    mailbox: LoopbackMailbox
    read_only: bool
    uidvalidity: int
    view: list[int]
    modseq: int


@dataclass(slots=True)
class Session:
    """One connection: not logged in, logged in, or with a mailbox selected (RFC 3501 section 3)."""

    account: LoopbackAccount
    wire: Wire
    counts: Counts
    faults: list[Fault]
    tls: ssl.SSLContext | None
    """For STARTTLS; None when it is not offered (any more)."""
    logged_in: bool = False
    condstore: bool = False
    compressed: bool = False
    selected: Selected | None = field(default=None)

    def capabilities(self) -> list[str]:
        """Return what is offered at this moment."""
        offered = sorted(self.account.capabilities - {"IMAP4rev1"})
        before = [] if self.logged_in else ["AUTH=PLAIN"]
        if self.tls is not None:
            before = ["STARTTLS", "LOGINDISABLED"]
        return ["IMAP4rev1", *before, *offered]

    def offers(self, capability: str) -> bool:
        """Return whether the account has the capability switched on."""
        return capability in self.account.capabilities

    def limited(self, named: list[tuple[int, LoopbackMessage]]) -> list[tuple[int, LoopbackMessage]]:
        """Return those of ``named`` that one command deals with if they are too many (RFC 9738), else none."""
        told = [word.partition("=")[2] for word in self.account.capabilities if word.startswith("MESSAGELIMIT=")]
        return named[-int(told[0]) :] if told and len(named) > int(told[0]) else []

    def limits_appends(self) -> bool:
        """Return whether APPENDLIMIT is offered, with a limit or to be asked for by STATUS (RFC 7889 section 2)."""
        return any(word.partition("=")[0] == "APPENDLIMIT" for word in self.account.capabilities)

    def append_limit(self) -> int | None:
        """Return how many octets a message to be appended may have (RFC 7889); None if there is no limit."""
        told = [word.partition("=")[2] for word in self.account.capabilities if word.startswith("APPENDLIMIT=")]
        return int(told[0]) if told else self.account.append_limit

    def need(self, capability: str) -> None:
        """Raise BadSyntax unless the capability is offered."""
        if not self.offers(capability):
            raise BadSyntax(f"Unknown without {capability}")

    def mailbox(self, raw: bytes) -> LoopbackMailbox:
        """Return the mailbox named ``raw``. Raises Refused if there is none, or it cannot be selected."""
        if raw not in self.account or not self.account[raw].selectable:
            raise Refused("[NONEXISTENT] Mailbox doesn't exist")
        return self.account[raw]

    def opened(self, *, writable: bool = False) -> Selected:
        """Return the selected mailbox. Raises BadSyntax if there is none, Refused if it is read-only."""
        if self.selected is None:
            raise BadSyntax("No mailbox selected")
        if writable and self.selected.read_only:
            raise Refused("[READ-ONLY] Mailbox is read-only")
        return self.selected

    def named(self, text: str, *, by_uid: bool) -> list[tuple[int, LoopbackMessage]]:
        """Return (sequence number, message) for a sequence set; what was expunged meanwhile is left out."""
        opened = self.opened()
        with self.account.lock:
            messages = opened.mailbox.messages
            if by_uid:
                numbers = {uid: number for number, uid in enumerate(opened.view, 1)}
                pairs = [(numbers[uid], uid) for uid in sequence(text, opened.view)]
            else:
                pairs = [(n, opened.view[n - 1]) for n in sequence(text, list(range(1, len(opened.view) + 1)))]
            return [(number, messages[uid]) for number, uid in pairs if uid in messages]

    def check_selected(self) -> None:
        """End the connection, as Dovecot does, when the selected mailbox is no more what it was."""
        opened = self.selected
        if opened is None:
            return
        with self.account.lock:
            same = opened.mailbox in self.account.mailboxes() and opened.mailbox.uidvalidity == opened.uidvalidity
        if not same:
            self.wire.line("* BYE Mailbox was deleted under you or its UIDVALIDITY changed")
            raise Hangup

    def update(self, *, expunges: bool) -> None:
        """Tell the client what changed in the selected mailbox (RFC 3501 section 7.4.1)."""
        opened = self.selected
        if opened is None:
            return
        with self.account.lock:
            lines = [*(self._expunged(opened) if expunges else ()), *self._changed(opened), *self._arrived(opened)]
            opened.modseq = opened.mailbox.modseq
        for line in lines:
            self.wire.line(line)

    @staticmethod
    def _expunged(opened: Selected) -> list[str]:
        messages = opened.mailbox.messages
        numbers = [number for number, uid in enumerate(opened.view, 1) if uid not in messages]
        opened.view = [uid for uid in opened.view if uid in messages]
        return [f"* {number} EXPUNGE" for number in reversed(numbers)]

    def _changed(self, opened: Selected) -> list[str]:
        lines = []
        for number, uid in enumerate(opened.view, 1):
            message = opened.mailbox.messages.get(uid)
            if message is not None and message.modseq > opened.modseq:
                modseq = f" MODSEQ ({message.modseq})" if self.condstore else ""
                lines.append(f"* {number} FETCH (UID {uid} FLAGS ({' '.join(sorted(message.flags))}){modseq})")
        return lines

    @staticmethod
    def _arrived(opened: Selected) -> list[str]:
        last = opened.view[-1] if opened.view else 0
        arrived = [uid for uid in opened.mailbox.messages if uid > last]
        opened.view += arrived
        return [f"* {len(opened.view)} EXISTS"] if arrived else []


Handler = Callable[[Session, Command], str]
"""Carries out a command and returns the text of the tagged OK. Raises Refused for NO, BadSyntax for BAD."""
