"""The state behind the server: an account, its mailboxes and messages, changed from any thread."""

import hashlib
import itertools
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mailarchive.mail.mailbox_name import decode_name, encode_name

DEFAULT_DATE = datetime(2024, 1, 1, 12, 0, tzinfo=UTC)

CAPABILITIES = frozenset(
    {
        "IMAP4rev1",
        "CHILDREN",
        "CONDSTORE",
        "ENABLE",
        "ESEARCH",
        "ID",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "LITERAL+",
        "MOVE",
        "MULTIAPPEND",
        "NAMESPACE",
        "OBJECTID",
        "SASL-IR",
        "SPECIAL-USE",
        "UIDPLUS",
        "UNSELECT",
    }
)
"""What the server offers unless told otherwise; X-GM-EXT-1 makes it Gmail-like."""


@dataclass(slots=True)
class LoopbackMessage:
    """One message in one mailbox. ``email_id`` is EMAILID (RFC 8474) and, as a number, X-GM-MSGID.

    ``thread_id`` is THREADID and X-GM-THRID in the same way, empty if the server does not tell.
    """

    uid: int
    octets: bytes = field(repr=False)
    internaldate: datetime
    flags: frozenset[str]
    modseq: int
    email_id: str
    labels: tuple[str, ...] = ()
    thread_id: str = ""


@dataclass(slots=True)
class LoopbackMailbox:
    """A mailbox; ``raw`` is its name on the wire. Only LoopbackAccount changes it, under its lock."""

    raw: bytes
    uidvalidity: int
    special_use: str | None = None
    selectable: bool = True
    uidnext: int = 1
    modseq: int = 1
    messages: dict[int, LoopbackMessage] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The decoded name."""
        return decode_name(self.raw)

    def touch(self) -> int:
        """Return the next modification sequence (RFC 7162 section 3.1)."""
        self.modseq += 1
        return self.modseq


class LoopbackAccount:
    """A user with a password and mailboxes.

    Names are ``str`` (decoded) or ``bytes`` (exactly as on the wire, whatever they are). Every method
    may be called while clients are connected; they see the change as IMAP shows it. An unknown
    mailbox or UID raises KeyError.
    """

    def __init__(
        self,
        user: str = "user",
        password: str = "secret",  # noqa: S107 - guards generated mail on the loopback interface
        *,
        delimiter: str | None = "/",
        capabilities: Iterable[str] = CAPABILITIES,
    ) -> None:
        self.user = user
        self.password = password
        self.delimiter = delimiter
        self.capabilities = frozenset(capabilities)
        self.subscribed: set[bytes] = set()
        """Names on the wire, of mailboxes or not (RFC 3501 section 6.3.6)."""
        self.quota: int | None = None
        """How many octets the messages may have; shown where QUOTA is offered (RFC 9208)."""
        self.append_limit: int | None = None
        """How many octets a message to be appended may have if no capability APPENDLIMIT=n tells (RFC 7889)."""
        self.refuses: frozenset[str] = frozenset()
        """What APPEND refuses: ``bare-newline``, ``8bit-header``, ``no-final-crlf``, ``long-line``, ``nul``; and
        ``flags`` that are not permanent, which STORE refuses too.
        """
        self.longest_line = 9900
        """How many octets a line may have if ``refuses`` names ``long-line``."""
        self.permanent: frozenset[str] | None = None
        """The flags that are kept (PERMANENTFLAGS); None for all. APPEND and STORE drop the others."""
        self.prefix = ""
        """What the names of all mailboxes but INBOX begin with, such as ``INBOX.`` (RFC 2342)."""
        self.refused_names = ""
        """CREATE refuses decoded names in which this regular expression finds something; empty refuses none."""
        self.ignores_case = False
        """Whether CREATE takes names that differ in case only for the same."""
        self.copy_keeps_date = True
        """Whether COPY keeps INTERNALDATE, as it should (RFC 3501 section 6.4.7)."""
        self.lock = threading.RLock()
        self._mailboxes: dict[bytes, LoopbackMailbox] = {}
        self._uidvalidity = itertools.count(1_700_000_001)
        self.create("INBOX")

    def __getitem__(self, name: str | bytes) -> LoopbackMailbox:
        return self._mailboxes[self.wire_name(name)]

    def __contains__(self, name: str | bytes) -> bool:
        return self.wire_name(name) in self._mailboxes

    def wire_name(self, name: str | bytes) -> bytes:
        """Return ``name`` as on the wire; INBOX in any case is ``INBOX`` (RFC 3501 section 5.1)."""
        raw = encode_name(name) if isinstance(name, str) else name
        return b"INBOX" if raw.upper() == b"INBOX" else raw

    def mailboxes(self) -> list[LoopbackMailbox]:
        """Return all mailboxes in the order in which they were made."""
        with self.lock:
            return list(self._mailboxes.values())

    def messages(self, mailbox: str | bytes) -> list[LoopbackMessage]:
        """Return the messages of ``mailbox`` by ascending UID."""
        with self.lock:
            return list(self[mailbox].messages.values())

    def create(self, name: str | bytes, *, special_use: str | None = None, selectable: bool = True) -> LoopbackMailbox:
        r"""Make a mailbox; ``special_use`` like ``\Sent`` (RFC 6154). Raises ValueError if it exists."""
        with self.lock:
            raw = self.wire_name(name)
            if raw in self._mailboxes:
                raise ValueError(f"mailbox exists: {raw!r}")
            mailbox = LoopbackMailbox(raw, next(self._uidvalidity), special_use, selectable)
            self._mailboxes[raw] = mailbox
            return mailbox

    def delete(self, name: str | bytes) -> None:
        """Remove a mailbox with its messages."""
        with self.lock:
            del self._mailboxes[self.wire_name(name)]

    def rename(self, old: str | bytes, new: str | bytes) -> None:
        """Rename a mailbox and those below it; UIDs and UIDVALIDITY stay. Raises ValueError if ``new`` exists."""
        with self.lock:
            before, after = self.wire_name(old), self.wire_name(new)
            if after in self._mailboxes:
                raise ValueError(f"mailbox exists: {after!r}")
            below = before + (self.delimiter or "\0").encode()
            self._mailboxes[before].raw = after
            for mailbox in self._mailboxes.values():
                if mailbox.raw.startswith(below):
                    mailbox.raw = after + mailbox.raw[len(before) :]
            self._mailboxes = {mailbox.raw: mailbox for mailbox in self._mailboxes.values()}

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
        """Add a message and return its UID. Equal octets get an equal ``email_id`` unless one is given."""
        with self.lock:
            target = self[mailbox]
            uid = target.uidnext
            target.uidnext += 1
            identity = email_id or f"M{hashlib.sha256(octets).hexdigest()[:15]}"
            target.messages[uid] = LoopbackMessage(
                uid, octets, internaldate, frozenset(flags), target.touch(), identity, tuple(labels)
            )
            return uid

    def set_flags(self, mailbox: str | bytes, uid: int, flags: Iterable[str]) -> None:
        """Replace the flags of a message."""
        with self.lock:
            target = self[mailbox]
            target.messages[uid].flags = frozenset(flags)
            target.messages[uid].modseq = target.touch()

    def set_labels(self, mailbox: str | bytes, uid: int, labels: Iterable[str]) -> None:
        """Replace the Gmail labels of a message."""
        with self.lock:
            target = self[mailbox]
            target.messages[uid].labels = tuple(labels)
            target.messages[uid].modseq = target.touch()

    def change_labels(self, mailbox: str | bytes, uid: int, sign: str, labels: Iterable[str]) -> None:
        """Add labels to those of a message (``+``), take them away (``-``), or else let it have no others."""
        with self.lock:
            held, given = self[mailbox].messages[uid].labels, tuple(labels)
            if sign == "+":
                given = tuple(dict.fromkeys([*held, *given]))
            elif sign == "-":
                given = tuple(label for label in held if label not in given)
            self.set_labels(mailbox, uid, given)

    def expunge(self, mailbox: str | bytes, *uids: int) -> None:
        """Remove messages from a mailbox."""
        with self.lock:
            target = self[mailbox]
            for uid in uids:
                del target.messages[uid]
            target.touch()

    def copy(self, mailbox: str | bytes, uid: int, destination: str | bytes) -> int:
        """Copy a message and return its UID at the destination; its ``email_id`` stays."""
        with self.lock:
            message = self[mailbox].messages[uid]
            return self.append(
                destination,
                message.octets,
                internaldate=message.internaldate if self.copy_keeps_date else datetime.now(UTC).replace(microsecond=0),
                flags=message.flags,
                labels=message.labels,
                email_id=message.email_id,
            )

    def move(self, mailbox: str | bytes, uid: int, destination: str | bytes) -> int:
        """Move a message and return its UID at the destination."""
        with self.lock:
            new = self.copy(mailbox, uid, destination)
            self.expunge(mailbox, uid)
            return new

    def reset_uidvalidity(self, mailbox: str | bytes, *, first_uid: int = 1) -> int:
        """Give the mailbox a new UIDVALIDITY and its messages new UIDs from ``first_uid``; return the UIDVALIDITY."""
        with self.lock:
            target = self[mailbox]
            target.uidvalidity = next(self._uidvalidity)
            messages = list(target.messages.values())
            target.messages = {}
            for uid, message in enumerate(messages, first_uid):
                target.messages[uid] = replace(message, uid=uid, modseq=target.touch())
            target.uidnext = first_uid + len(messages)
            return target.uidvalidity

    def used(self) -> int:
        """Return how many octets count against the quota."""
        return self.total()[1]

    def no_room(self, size: int, *, appending: bool) -> str:
        """Return why APPEND, or else COPY, of ``size`` octets is too much; empty if it is not."""
        del appending
        return "Quota exceeded" if self.quota is not None and self.used() + size > self.quota else ""

    def no_name(self, name: str | bytes) -> str:
        """Return why a client may not make a mailbox of this name; empty if it may."""
        raw = self.wire_name(name)
        if not raw.startswith(self.prefix.encode()):
            return f"Mailbox names begin with {self.prefix}"
        refused = self.refused_names and re.search(self.refused_names, decode_name(raw))
        return "Invalid mailbox name" if refused else ""

    def taken(self, name: str | bytes) -> bool:
        """Return whether CREATE finds a mailbox of this name."""
        if name in self or not self.ignores_case:
            return name in self
        wanted = decode_name(self.wire_name(name)).casefold()
        return any(mailbox.name.casefold() == wanted for mailbox in self.mailboxes())

    def kept(self, flags: Iterable[str]) -> frozenset[str]:
        r"""Return those of ``flags`` that are permanent; ``\*`` stands for all keywords (RFC 3501 section 7.1)."""
        if self.permanent is None:
            return frozenset(flags)
        permanent = {flag.lower() for flag in self.permanent}
        keywords = "\\*" in permanent
        return frozenset(flag for flag in flags if flag.lower() in permanent or (keywords and flag[:1] != "\\"))

    def total(self) -> tuple[int, int]:
        """Return how many messages the account holds and their octets."""
        with self.lock:
            sizes = [len(message.octets) for box in self._mailboxes.values() for message in box.messages.values()]
        return len(sizes), sum(sizes)
