"""A session that also puts mail into an account: it makes mailboxes, appends and copies, and never removes anything."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from mailarchive.errors import MailboxUnavailable, MessageRefused, ProtocolViolation
from mailarchive.mail.body import MemoryBody
from mailarchive.mail.mailbox_name import encode_name
from mailarchive.model import KEEPS_ALL, Cursor, MailboxName, Outbound, Permanent
from mailarchive.remote.imap import answers
from mailarchive.remote.imap.responses import Status, Untagged
from mailarchive.remote.imap.scan import Value
from mailarchive.remote.imap.session import ImapSession, cursor_of
from mailarchive.remote.imap.sets import parse_set
from mailarchive.remote.imap.wire import Literal, Literal8, Piece, Stream, astring
from mailarchive.remote.meter import check_count

_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_KIB = 1024
_PERMANENT = re.compile(rb"[^ ()]+")


class Opened(NamedTuple):
    """What SELECT said: the mailbox's state, and which flags it keeps."""

    cursor: Cursor
    permanent: Permanent


class Stored(NamedTuple):
    """Where messages are now: their UIDs in order (none if the server does not tell), and the UIDVALIDITY there."""

    uidvalidity: int | None
    uids: list[int]


class Copied(NamedTuple):
    """Where copies are now: their UIDs by those of the originals, as far as the server tells, and the UIDVALIDITY."""

    uidvalidity: int | None
    uids: dict[int, int]


class WritingSession(ImapSession):
    """An ImapSession that adds to the account. Methods raise what those of ImapSession raise, and Throttled."""

    _subscribing: bytes | None = None

    def namespace(self) -> tuple[bytes, str | None]:
        """Return the prefix of the user's own mailboxes, and the delimiter (RFC 9051 section 6.3.10)."""
        if self.offers("NAMESPACE"):
            status, data = self._wire.run(b"NAMESPACE")
            for answer in data if status.ok else ():
                if answer.name == b"NAMESPACE" and isinstance(personal := answer.scanner().value(), list):
                    return _namespace(personal)
        _status, data = self._wire.run(b'LIST "" ""')
        roots = [answers.read_list(answer) for answer in data if answer.name == b"LIST"]
        return b"", roots[0].delimiter if roots else None

    def append_limit(self) -> int | None:
        """Return how many octets a message may have (APPENDLIMIT, RFC 7889); None if that is not known."""
        told = (word.removeprefix("APPENDLIMIT=") for word in self.capabilities if word.startswith("APPENDLIMIT="))
        limit = min((int(number) for number in told if number.isdecimal()), default=None)
        if limit is None and self.offers("APPENDLIMIT"):
            _status, data = self._wire.run(b"STATUS INBOX (APPENDLIMIT)")
            for answer in data:
                if answer.name == b"STATUS":
                    limit = _append_limit(answer.text())
        return limit

    def room(self) -> int | None:
        """Return how many octets the account has room for (RFC 9208); None if that is not known."""
        if not self.offers("QUOTA"):
            return None
        status, data = self._wire.run(b"GETQUOTAROOT INBOX")
        free = [_free(answer) for answer in data if answer.name == b"QUOTA"] if status.ok else []
        return min((octets for octets in free if octets is not None), default=None)

    def select(self, name: MailboxName) -> Opened:
        """Open a mailbox for reading and writing (RFC 9051 section 6.3.2). Raises MailboxUnavailable."""
        wire = self._wire
        wire.settle(self._subscribing)
        wire.deselect()
        status, data = wire.run(b"SELECT ", astring(name.raw))
        if not status.ok:
            raise MailboxUnavailable(f"{name} cannot be opened: {status.words}")
        if wire.exists is None:
            raise MailboxUnavailable(f"{name} cannot be opened: the server does not say how many messages it has")
        check_count(str(name), wire.exists)
        said = [*(answer.status() for answer in data if answer.name == b"OK"), status]
        return Opened(cursor_of(said, wire.exists), _permanent(said))

    def create(self, name: MailboxName, use: str | None = None) -> None:
        """Make a mailbox, for a special ``use`` if the server lets us (RFC 6154 section 3), and subscribe to it.

        One that is there is fine. Not every server has a code for that, so it is looked for when it cannot be made.
        Raises MailboxUnavailable.
        """
        status = self._create(astring(name.raw), use)
        if not (status.ok or status.code == "ALREADYEXISTS" or self._has(name)):
            raise MailboxUnavailable(
                f"{name} cannot be made: {status.words}", hint="another name can be given with --map"
            )
        # Nobody waits for the answer (RFC 9051 section 6.3.7): a mailbox can be used without.
        self._subscribing = self._wire.start(b"SUBSCRIBE ", astring(name.raw))
        self._wire.forget(self._subscribing)

    def _create(self, name: bytes, use: str | None) -> Status:
        if use is not None and self.offers("CREATE-SPECIAL-USE"):
            status, _data = self._wire.run(b"CREATE ", name, b" (USE (%s))" % use.encode())
            if status.ok or status.code == "ALREADYEXISTS":
                return status
        status, _data = self._wire.run(b"CREATE ", name)
        return status

    def _has(self, name: MailboxName) -> bool:
        _status, data = self._wire.run(b'LIST "" ', astring(name.raw))
        return any(answers.read_list(answer).raw == name.raw for answer in data if answer.name == b"LIST")

    def start_append(self, name: MailboxName, messages: Sequence[Outbound]) -> bytes:
        """Send one APPEND of ``messages``, more than one only where MULTIAPPEND is offered, and return its tag."""
        pieces: list[Piece] = [b"APPEND ", astring(name.raw)]
        for message in messages:
            flags = " ".join(sorted(message.flags)).encode("ascii", "ignore")
            date = b' "%s"' % _date_time(message.date) if message.date is not None else b""
            pieces += (b" (%s)%s " % (flags, date), self._literal(message))
        return self._wire.start(*pieces)

    def finish_append(self, tag: bytes, messages: int) -> Stored:
        """Return where the messages of an APPEND are. Raises MessageRefused (for all), MailboxUnavailable."""
        status = self._finish(tag)
        if status.code == "APPENDUID":
            uidvalidity, _, uids = status.argument.partition(b" ")
            return _stored(uidvalidity, uids, messages)
        return Stored(None, [])

    def start_copy(self, numbers: bytes, name: MailboxName) -> bytes:
        """Ask that messages of the open mailbox be copied to another (RFC 9051 section 6.4.7), and return the tag."""
        return self._wire.start(b"UID COPY " + numbers + b" ", astring(name.raw))

    def finish_copy(self, tag: bytes, messages: int) -> Copied:
        """Return where the copies of a set of ``messages`` messages are. Raises as ``finish_append``."""
        status = self._finish(tag)
        words = status.argument.split(b" ") if status.code == "COPYUID" else []
        if len(words) != 3 or not words[0].isdigit():
            return Copied(None, {})
        before, after = _numbers(words[1], messages), _numbers(words[2], messages)
        return Copied(int(words[0]), dict(zip(before, after, strict=True)) if len(before) == len(after) else {})

    @property
    def is_asked_to_slow_down(self) -> bool:
        """Whether the server, in an answer, asked for patience."""
        return self._wire.is_asked_to_slow_down

    def heed(self) -> None:
        """Raise Throttled if the server asked for patience in an answer, once."""
        self._wire.heed()

    def label(self, numbers: bytes, labels: Iterable[str]) -> None:
        """Add Gmail labels to messages of the open mailbox. Raises as ``finish_append``."""
        pieces: list[bytes] = [b"UID STORE " + numbers + b" +X-GM-LABELS.SILENT ("]
        for label in labels:
            pieces += (_label(label), b" ")
        pieces[-1] = b")"
        self._finish(self._wire.start(*pieces))

    def _literal(self, message: Outbound) -> Piece:
        if not isinstance(message.body, MemoryBody):
            return Stream(message.body.size, message.body.chunks(), b"~" if self._is_binary(message) else b"")
        return (Literal8 if self._is_binary(message) else Literal)(message.body.octets)

    def _is_binary(self, message: Outbound) -> bool:
        return message.has_nul and self.offers("BINARY")

    def _finish(self, tag: bytes) -> Status:
        """Wait for the end of a command that puts something in. Raises MessageRefused, MailboxUnavailable."""
        self._wire.collect(tag)
        status = self._wire.result(tag, of_room=True)
        if status.code in {"TRYCREATE", "NONEXISTENT"}:
            raise MailboxUnavailable(f"the mailbox is no longer there: {status.words}")
        if not status.ok:
            raise MessageRefused(status.words, code=status.code)
        return status


def _namespace(personal: Sequence[Value]) -> tuple[bytes, str | None]:
    first = personal[0] if personal else None
    if not isinstance(first, list) or not first or not isinstance(first[0], bytes):
        return b"", None
    delimiter = first[1] if len(first) > 1 else None
    return bytes(first[0]), delimiter.decode("latin-1") if isinstance(delimiter, bytes) and delimiter else None


def _append_limit(text: bytes) -> int | None:
    found = re.search(rb"APPENDLIMIT (\d{1,18})", text, re.IGNORECASE)
    return int(found[1]) if found else None


def _free(quota: Untagged) -> int | None:
    """Return the octets that a quota root still has for messages (RFC 9208 section 4.3.1)."""
    scanner = quota.scanner()
    scanner.text()
    resources = scanner.value()
    words = resources if isinstance(resources, list) else []
    for name, used, limit in zip(words[::3], words[1::3], words[2::3], strict=False):
        if isinstance(name, bytes) and name.upper() == b"STORAGE":
            return max(0, (answers.number(limit) or 0) - (answers.number(used) or 0)) * _KIB
    return None


def _permanent(said: Iterable[Status]) -> Permanent:
    """Return which flags are kept (PERMANENTFLAGS); all if the server does not say (RFC 9051 section 7.1)."""
    for status in said:
        if status.code == "PERMANENTFLAGS":
            flags = {flag.decode("ascii", "replace") for flag in _PERMANENT.findall(status.argument)}
            return Permanent(frozenset(flag.lower() for flag in flags), "\\*" in flags)
    return KEEPS_ALL


def _stored(uidvalidity: bytes, uids: bytes, messages: int) -> Stored:
    """Return what APPENDUID or COPYUID says (RFC 4315 section 3), if it names as many messages as there are."""
    if not uidvalidity.isdigit():
        return Stored(None, [])
    found = _numbers(uids, messages)
    return Stored(int(uidvalidity), found if len(found) == messages else [])


def _numbers(uids: bytes, most: int) -> list[int]:
    """Return the UIDs of a set in its order; none if they are more than ``most``, or if it is no set."""
    found: list[int] = []
    with suppress(ProtocolViolation):
        for first, last in parse_set(uids.strip()):
            if len(found) + last - first >= most:
                return []
            found.extend(range(first, last + 1))
    return found


def _date_time(moment: datetime) -> bytes:
    """Return ``moment`` in its own zone (RFC 9051 section 9, date-time)."""
    offset = moment.utcoffset()
    minutes = int(offset.total_seconds()) // 60 if offset else 0
    sign, minutes = (b"-", -minutes) if minutes < 0 else (b"+", minutes)
    return b"%02d-%s-%04d %02d:%02d:%02d %s%02d%02d" % (
        moment.day,
        _MONTHS[moment.month - 1],
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
        sign,
        minutes // 60,
        minutes % 60,
    )


def _label(label: str) -> bytes:
    """Return a label: system labels begin with a backslash and are not quoted."""
    return label.encode("ascii") if label.startswith("\\") else astring(encode_name(label))
