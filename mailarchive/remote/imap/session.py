"""One logged-in session: the commands that look and none that changes anything."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from mailarchive import __version__
from mailarchive.config import Endpoint
from mailarchive.errors import MailboxUnavailable, ProtocolViolation, SourceError, Stalled, Throttled
from mailarchive.mail.mailbox_name import mailbox_name
from mailarchive.model import Cursor, Fetched, ListedMailbox, MailboxName, MessageFacts, UidValidity
from mailarchive.remote.compression import Compression
from mailarchive.remote.dial import Timeouts
from mailarchive.remote.imap import answers, fetch
from mailarchive.remote.imap.connect import connect
from mailarchive.remote.imap.login import Password, literal_plus, log_in
from mailarchive.remote.imap.pieces import Pieces
from mailarchive.remote.imap.responses import Status
from mailarchive.remote.imap.sets import Range
from mailarchive.remote.imap.wire import Wire, astring
from mailarchive.remote.meter import MOST_MESSAGES, check_count
from mailarchive.remote.receiving import Spool

_STATUS_IN_FLIGHT = 50
_SEARCH_OCTETS = 1 << 16
_OCTETS_PER_UID = 22
"""A SEARCH answer that is longer than twice the UIDs of all messages is not worth reading."""
_IDENTITY = b'ID ("name" "mailarchive" "version" "%s")' % __version__.encode()


class Selected(NamedTuple):
    """What EXAMINE said of a mailbox, and facts of messages if they were asked for."""

    name: MailboxName
    cursor: Cursor
    facts: Sequence[MessageFacts] = ()


class ImapSession:
    """A connection to an IMAP server after log-in.

    Methods raise ConnectionLost, Stalled or ProtocolViolation when it is of no more use.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        password: Password,
        timeouts: Timeouts | None = None,
        compression: Compression | None = None,
    ) -> None:
        """Connect and log in. Raises AuthenticationFailed, SourceUnreachable, TlsFailed, ProtocolViolation.

        ``compression`` is common to the connections to an account.
        """
        connected = connect(endpoint, timeouts or Timeouts())
        self._wire: Wire = connected.wire
        try:
            self.capabilities = log_in(connected, endpoint, password)
            self._wire.literal_plus = literal_plus(self.capabilities)
            self.pieces = Pieces(self._wire)
            if "ID" in self.capabilities:
                # Some servers open no mailbox for who has not introduced himself (RFC 2971).
                self._wire.forget(self._wire.start(_IDENTITY))
            self._prepare(compression or Compression(endpoint.compress))
        except BaseException:
            self._wire.abandon()
            raise

    def _prepare(self, compression: Compression) -> None:
        """Compress the connection if it is known that this pays, else be ready for it."""
        if not self.offers("COMPRESS=DEFLATE"):
            compression.is_missing()
        elif compression.pays:
            self._compress(compression)
        elif not compression.is_out:
            throughput = self._wire.throughput = compression.throughput()
            self._wire.is_due = partial(compression.pays_for, throughput)
            self._wire.before_mail = partial(self._compress, compression)

    def _compress(self, compression: Compression) -> None:
        """Compress the connection, in which nothing may be in flight, and see whether the server can do it."""
        wire = self._wire
        wire.is_due, wire.before_mail, wire.throughput = bool, None, None
        wire.settle()
        tag = wire.start(b"COMPRESS DEFLATE")
        wire.collect(tag)
        try:
            status = wire.result(tag)
        except Throttled as error:
            compression.is_refused(str(error))
            return
        if not status.ok:
            compression.is_refused(status.words)
            return
        wire.compress(compression.is_broken)
        try:
            wire.run(b"NOOP")
        except (Stalled, ProtocolViolation):
            compression.is_broken()
            raise
        compression.works()

    @property
    def has_more(self) -> bool:
        """Whether more has arrived than was read from the socket."""
        return self._wire.has_more

    @property
    def fact_items(self) -> Sequence[bytes]:
        """The data items that describe a message: all that the server knows, then without the size, which may fail."""
        extra = b""
        if self.offers("X-GM-EXT-1"):
            extra = b" X-GM-MSGID X-GM-THRID X-GM-LABELS"
        elif self.offers("OBJECTID"):
            extra = b" EMAILID THREADID"
        return b"(UID FLAGS INTERNALDATE RFC822.SIZE" + extra + b")", b"(UID FLAGS INTERNALDATE)"

    @property
    def messages(self) -> int:
        """Number of messages in the open mailbox now, as far as the server has told."""
        return min(self._wire.exists or 0, MOST_MESSAGES)

    @property
    def message_limit(self) -> int | None:
        """How many messages a command may name (MESSAGELIMIT, RFC 9738 section 3), None if there is no limit."""
        told = (word.removeprefix("MESSAGELIMIT=") for word in self.capabilities if word.startswith("MESSAGELIMIT="))
        return min((int(limit) for limit in told if limit.isdecimal() and int(limit)), default=None)

    def offers(self, *capabilities: str) -> bool:
        """Return whether the server has one of ``capabilities``."""
        return not self.capabilities.isdisjoint(capabilities)

    def close(self) -> None:
        """End the connection; never raises, from any thread."""
        self._wire.close()

    def mailboxes(self) -> list[ListedMailbox]:
        """Return the selectable mailboxes, each with its cursor if the server tells it.

        One command where LIST-STATUS is offered (RFC 5819), else LIST and a STATUS for each.
        """
        listed, cursors = self._list()
        unknown = [raw for raw in listed if raw not in cursors]
        cursors.update(self._statuses(unknown))
        return [
            ListedMailbox(mailbox_name(raw, answer.delimiter), answer.special_use, cursors.get(raw))
            for raw, answer in listed.items()
        ]

    def _list(self) -> tuple[dict[bytes, answers.ListAnswer], dict[bytes, Cursor | None]]:
        special_use = b"SPECIAL-USE " if self.offers("SPECIAL-USE") else b""
        extended = b'LIST "" "*" RETURN (%sSTATUS (%s))' % (special_use, self._status_items())
        plain = b'LIST "" "*"'
        status, data = self._wire.run(extended if self.offers("LIST-STATUS") else plain, of_account=True)
        if not status.ok and self.offers("LIST-STATUS"):
            status, data = self._wire.run(plain, of_account=True)
        if not status.ok:
            raise ProtocolViolation(f"{self._wire.peer} refused to list the mailboxes: {status.words}")
        listed: dict[bytes, answers.ListAnswer] = {}
        for answer in (answers.read_list(answer) for answer in data if answer.name == b"LIST"):
            if answer.raw and answer.selectable:
                listed.setdefault(answer.raw, answer)
        statuses = [answers.read_status(answer) for answer in data if answer.name == b"STATUS"]
        return listed, {raw: cursor for raw, cursor in statuses if cursor is not None}

    def _status_items(self) -> bytes:
        modseq = b" HIGHESTMODSEQ" if self.offers("CONDSTORE", "QRESYNC") else b""
        return b"MESSAGES UIDNEXT UIDVALIDITY" + modseq

    def _statuses(self, names: Sequence[bytes]) -> dict[bytes, Cursor]:
        """Ask for the STATUS of each of ``names``, many at a time; who answers NO is left out."""
        wire, found = self._wire, dict[bytes, Cursor]()
        in_flight: list[bytes] = []
        wanted = frozenset(names)
        for raw in names:
            name = astring(raw)
            while in_flight and (len(in_flight) == _STATUS_IN_FLIGHT or not wire.goes_at_once(name)):
                self._take_status(in_flight.pop(0), wanted, found)
            in_flight.append(wire.start(b"STATUS ", name, b" (" + self._status_items() + b")"))
        for tag in in_flight:
            self._take_status(tag, wanted, found)
        return found

    def _take_status(self, tag: bytes, wanted: frozenset[bytes], found: dict[bytes, Cursor]) -> None:
        for answer in self._wire.until(tag):
            if answer.name == b"STATUS":
                raw, cursor = answers.read_status(answer)
                if cursor is not None and raw in wanted:
                    found[raw] = cursor
        self._wire.result(tag)

    def examine(self, name: MailboxName, first: int | None = None) -> Selected:
        """Open a mailbox for reading only (RFC 9051 section 6.3.3). Raises MailboxUnavailable.

        Facts of the messages from UID ``first`` on are asked for in the same round trip.
        """
        wire = self._wire
        wire.settle()
        mailbox = astring(name.raw)
        wire.deselect()
        opening = wire.start(b"EXAMINE ", mailbox, b" (CONDSTORE)" if self.offers("CONDSTORE", "QRESYNC") else b"")
        early = self._ask_early(first)
        data = wire.collect(opening)
        status = self._result(opening, early)
        if status.kind == b"BAD" and self.offers("CONDSTORE", "QRESYNC"):
            # What comes for the other command may be about the mailbox that was open before.
            self._give_up(early)
            early = None
            wire.settle()
            wire.deselect()
            status, data = wire.run(b"EXAMINE ", mailbox)
        if not status.ok:
            self._give_up(early)
            raise MailboxUnavailable(f"{name} cannot be opened: {status.words}")
        if wire.exists is None:
            raise MailboxUnavailable(f"{name} cannot be opened: the server does not say how many messages it has")
        check_count(str(name), wire.exists)
        cursor = cursor_of([*(a.status() for a in data if a.name == b"OK"), status], wire.exists)
        return Selected(name, cursor, self._take_early(early))

    def _ask_early(self, first: int | None) -> bytes | None:
        """Ask for facts while the mailbox is being opened; not where a command may name only so many messages."""
        if first is None or self.message_limit is not None:
            return None
        return self._wire.start(b"UID FETCH %d:* " % first + self.fact_items[0])

    def _result(self, opening: bytes, early: bytes | None) -> Status:
        try:
            return self._wire.result(opening)
        except SourceError:
            self._give_up(early)
            raise

    def _give_up(self, early: bytes | None) -> None:
        """Take no interest in facts of a mailbox that is not open."""
        if early is not None:
            self._wire.forget(early)

    def _take_early(self, early: bytes | None) -> Sequence[MessageFacts]:
        """Return the facts that were asked for; none if the server refused, then they are asked for in other ways."""
        if early is None:
            return ()
        try:
            found = [facts for facts, _has_flags in fetch.facts(self._wire, early)]
            status = self._wire.result(early)
        finally:
            self._wire.forget(early)
        return found if status.ok else ()

    def search(self) -> list[Range] | None:
        """Return the UIDs of all messages (RFC 9051 section 6.4.4); None if the server refuses or says nothing."""
        command = b"UID SEARCH RETURN (ALL) ALL" if self.offers("ESEARCH") else b"UID SEARCH ALL"
        tag = self._wire.start(command)
        found: list[Range] = []
        octets = 0
        for answer in self._wire.until(tag):
            if answer.name in {b"SEARCH", b"ESEARCH"}:
                octets += answer.octets
                if octets <= _SEARCH_OCTETS + _OCTETS_PER_UID * self.messages:
                    found += answers.read_search(answer)
        return found if self._wire.result(tag).ok and found else None

    def uids_between(self, first: int, last: int) -> list[int]:
        """Return the UIDs of the messages with sequence numbers ``first`` to ``last``, as far as the server tells."""
        tag = self._wire.start(b"FETCH %d:%d (UID)" % (first, last))
        found = [facts.uid for facts, _flags in fetch.facts(self._wire, tag) if isinstance(facts.uid, int)]
        self._wire.result(tag)
        return found

    def facts(self, numbers: bytes, items: bytes) -> Iterator[tuple[MessageFacts, bool]]:
        """Yield what UID FETCH of ``items`` says, and whether flags were among it. Raises FetchRefused at the end."""
        yield from fetch.facts_of(self._wire, b"UID FETCH " + numbers + b" " + items)

    def headers(self, sets: Sequence[bytes], wanted: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield the header sections of ``wanted`` that come for ``sets``. Raises FetchRefused at the end."""
        return fetch.headers(self._wire, sets, set(wanted))

    def beginnings(self, sets: Sequence[bytes], wanted: Iterable[int], count: int) -> Iterator[tuple[int, bytes]]:
        """Yield the first ``count`` octets of the texts of ``wanted``. Raises FetchRefused at the end."""
        return fetch.beginnings(self._wire, sets, set(wanted), count)

    def bodies(self, sets: Sequence[bytes], wanted: Iterable[int], spool: Spool) -> Iterator[Fetched]:
        """Yield the messages of ``wanted`` that come for ``sets``. Raises FetchRefused at the end."""
        return fetch.bodies(self._wire, sets, set(wanted), spool)

    def halves(self, uid: int, spool: Spool) -> Fetched:
        """Return a message put together from its header and its text. Raises FetchRefused."""
        return fetch.halves(self._wire, uid, spool)


def cursor_of(said: Iterable[Status], messages: int) -> Cursor:
    """Return the state of a mailbox as response codes tell it when it is opened (RFC 9051 section 7.1)."""
    values = {status.code: answers.number(status.argument) for status in said if status.code}
    return Cursor(
        UidValidity(values.get("UIDVALIDITY") or 0),
        values.get("UIDNEXT"),
        values.get("HIGHESTMODSEQ") or None,
        messages,
    )
