"""Reads the answers of FETCH (RFC 9051 section 6.4.5): one pattern for the usual shape, the tokenizer for the rest."""

import re
from collections.abc import Iterator, Mapping, Sequence

from mailarchive.errors import FetchRefused, Throttled
from mailarchive.mail.body import JoinedBody, MemoryBody, SpooledBody
from mailarchive.model import Body, Fetched, MessageFacts
from mailarchive.remote.imap import answers
from mailarchive.remote.imap.responses import Status, Untagged
from mailarchive.remote.imap.wire import LONGEST_LINE, Wire
from mailarchive.remote.receiving import LARGEST_IN_MEMORY, Spool


def _followed_by(item: bytes) -> re.Pattern[bytes]:
    """Return the usual shape of a FETCH answer up to the literal that is ``item``: UID, and octets of the literal."""
    return re.compile(
        rb"\* \d+ FETCH \("
        rb"(?:UID (\d{1,10}) |FLAGS \([^()\"{\r\n]*\) |INTERNALDATE \"[^\"\\\r\n]*\" |RFC822\.SIZE \d+ "
        rb"|MODSEQ \(\d+\) )*" + re.escape(item) + rb" \{(\d{1,19})\}\r\n"
    )


_HEADER, _TEXT, _TEXT_FROM_0 = b"BODY[HEADER]", b"BODY[TEXT]", b"BODY[TEXT]<0>"
_BODY_FOLLOWS, _HEADER_FOLLOWS, _TEXT_FOLLOWS = map(_followed_by, (b"BODY[]", _HEADER, _TEXT_FROM_0))
_FACTS = re.compile(
    rb"\* \d+ FETCH \("
    rb"(?:UID (\d{1,10}) ?|FLAGS \(([^()\"{\r\n]*)\) ?|INTERNALDATE \"([^\"\\\r\n]*)\" ?|RFC822\.SIZE (\d{1,18}) ?"
    rb"|MODSEQ \(\d+\) ?|EMAILID \(([^()\"{ \r\n]+)\) ?|THREADID (?:\(([^()\"{ \r\n]+)\)|NIL) ?"
    rb"|X-GM-MSGID (\d+) ?|X-GM-THRID (\d+) ?"
    rb"|X-GM-LABELS \(((?:[^()\"{\r\n]++|\"(?:[^\"\\\r\n]++|\\[^\r\n])*+\")*+)\) ?)+\)\r\n"
)
_AHEAD = 2
LIMITED = "MESSAGELIMIT"
"""The response code of a command that named more messages than the server takes at a time (RFC 9738 section 3.1)."""


def bodies(wire: Wire, sets: Sequence[bytes], wanted: set[int], spool: Spool) -> Iterator[Fetched]:
    """Yield the messages of ``wanted`` that the server sends for ``sets``, each once.

    The next command is on the wire while one is answered, unless the wire should come to rest. Raises FetchRefused
    after the last answer if the server refused a command, Throttled after the last answer to what had been sent.
    """
    missing = set(wanted)
    refused: Status | None = None
    throttled: Throttled | None = None
    tags: list[bytes] = []
    commands = [b"UID FETCH " + numbers + b" (UID BODY.PEEK[])" for numbers in sets]
    try:
        for place in range(len(commands)):
            while len(tags) < min(place + (1 if wire.is_due() else _AHEAD), len(commands)) and throttled is None:
                tags.append(wire.ask_for_mail(commands[len(tags)]))
            if place == len(tags):
                break
            yield from _arriving(wire, tags[place], missing, spool)
            try:
                status = wire.result(tags[place])
            except Throttled as error:
                throttled = throttled or error
                continue
            if not status.ok:
                refused = refused or status
    finally:
        for tag in tags:
            wire.forget(tag)
    if throttled is not None:
        raise throttled
    if refused is None:
        wire.heed()
    else:
        raise FetchRefused(f"the server refused to send messages: {refused.words}", code=refused.code)


def _arriving(wire: Wire, tag: bytes, missing: set[int], spool: Spool) -> Iterator[Fetched]:
    """Yield what is sent until the command is done: first all that has come, then the message that is on its way."""
    stream, done = wire.stream, wire.done
    while not done(tag):
        found, length = _come_whole(stream.peek(), missing, _BODY_FOLLOWS)
        if found:
            stream.read(length)
            yield from (Fetched(uid, MemoryBody(octets), followed=True) for uid, octets in found[:-1])
            uid, octets = found[-1]
            yield Fetched(uid, MemoryBody(octets))
        else:
            yield from _on_its_way(wire, missing, spool)


def _come_whole(come: bytes, missing: set[int], shape: re.Pattern[bytes]) -> tuple[list[tuple[int, bytes]], int]:
    """Return UIDs and literals of the answers that ``come`` begins with, whole and in ``shape``, and their length.

    Only of messages that are missing, which they are no more then.
    """
    found: list[tuple[int, bytes]] = []
    place = 0
    while (usual := shape.match(come, place)) is not None and usual[1] is not None:
        begin, uid = usual.end(), int(usual[1])
        end = begin + int(usual[2])
        if end + 3 > len(come) or not come.startswith(b")\r\n", end) or uid not in missing:
            break
        missing.discard(uid)
        found.append((uid, come[begin:end]))
        place = end + 3
    return found, place


def _on_its_way(wire: Wire, missing: set[int], spool: Spool) -> Iterator[Fetched]:
    """Wait for one response of any shape, and yield the message in it if it is missing."""
    line = wire.stream.readline(LONGEST_LINE)
    usual = _BODY_FOLLOWS.fullmatch(line)
    if usual is not None and (size := int(usual[2])) <= LARGEST_IN_MEMORY:
        octets = wire.octets(size)
        after = wire.stream.readline(LONGEST_LINE)
        uid = int(usual[1] or 0)
        if after == b")\r\n" and uid in missing:
            missing.discard(uid)
            yield Fetched(uid, MemoryBody(octets))
            return
        wire.count(0)
        answer = wire.resume(line, octets, after, spool)
    elif line.endswith(b"\n"):
        answer = wire.accept(line, spool)
    else:
        raise wire.broken(line)
    if answer is not None and answer.name == b"FETCH":
        yield from _unusual(answer, missing)


def _unusual(answer: Untagged, missing: set[int]) -> Iterator[Fetched]:
    """Yield the message in a FETCH response of any shape, if there is one and it is missing."""
    spooled = [part for part in answer.parts if isinstance(part, SpooledBody)]
    try:
        items = answers.read_fetch(answer)
        uid, body = answers.number(items.get(b"UID")), answers.body(items)
        if uid is not None and body is not None and uid in missing:
            missing.discard(uid)
            if isinstance(body, SpooledBody):
                spooled.remove(body)
            yield Fetched(uid, body)
    finally:
        for body in spooled:
            body.close()


def headers(wire: Wire, sets: Sequence[bytes], wanted: set[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the header sections of the messages of ``wanted``, each once. Raises FetchRefused after the last."""
    return _parts(wire, sets, wanted, b"BODY.PEEK[HEADER]", _HEADER, _HEADER_FOLLOWS)


def beginnings(wire: Wire, sets: Sequence[bytes], wanted: set[int], count: int) -> Iterator[tuple[int, bytes]]:
    """Yield the first ``count`` octets of text of each of ``wanted``. Raises FetchRefused after the last."""
    return _parts(wire, sets, wanted, b"BODY.PEEK[TEXT]<0.%d>" % count, _TEXT_FROM_0, _TEXT_FOLLOWS)


def _parts(
    wire: Wire, sets: Sequence[bytes], wanted: set[int], item: bytes, name: bytes, shape: re.Pattern[bytes]
) -> Iterator[tuple[int, bytes]]:
    """Yield of each message of ``wanted`` the ``item``, which answers call ``name`` and usually have in ``shape``."""
    missing = set(wanted)
    refused: Status | None = None
    for numbers in sets:
        tag = wire.ask_for_mail(b"UID FETCH " + numbers + b" (UID " + item + b")")
        try:
            while not wire.done(tag):
                found, length = _come_whole(wire.stream.peek(), missing, shape)
                if found:
                    wire.stream.read(length)
                    yield from found
                    continue
                answer = wire.accept(wire.line())
                if answer is not None and answer.name == b"FETCH":
                    items = answers.read_fetch(answer)
                    uid, octets = answers.number(items.get(b"UID")), items.get(name)
                    if uid in missing and isinstance(octets, bytes):
                        missing.discard(uid)
                        yield uid, bytes(octets)
            status = wire.result(tag)
        finally:
            wire.forget(tag)
        if not status.ok:
            refused = refused or status
    if refused is not None:
        raise FetchRefused(f"the server refused to send parts of messages: {refused.words}", code=refused.code)


def halves(wire: Wire, uid: int, spool: Spool) -> Fetched:
    """Return a message put together from its header and its text (RFC 9051 section 6.4.5). Raises FetchRefused."""
    found: dict[bytes, Body] = {}
    tag = wire.ask_for_mail(b"UID FETCH %d (UID BODY.PEEK[HEADER] BODY.PEEK[TEXT])" % uid)
    try:
        while not wire.done(tag):
            answer = wire.accept(wire.line(), spool)
            if answer is not None and answer.name == b"FETCH":
                _take_halves(answer, uid, found)
        return _put_together(uid, wire.result(tag), found)
    except BaseException:
        for body in found.values():
            body.close()
        raise
    finally:
        wire.forget(tag)


def _take_halves(answer: Untagged, uid: int, found: dict[bytes, Body]) -> None:
    spooled = [part for part in answer.parts if isinstance(part, SpooledBody)]
    try:
        items = answers.read_fetch(answer)
        if answers.number(items.get(b"UID")) == uid:
            for name in (_HEADER, _TEXT):
                body = answers.as_body(items.get(name))
                if body is not None and name not in found:
                    found[name] = body
                    spooled = [other for other in spooled if other is not body]
    finally:
        for other in spooled:
            other.close()


def _put_together(uid: int, status: Status, found: Mapping[bytes, Body]) -> Fetched:
    """Return header and text as one. A text behind a header that has no end would be taken for header."""
    if not status.ok:
        raise FetchRefused(f"the server refused to send header and text: {status.words}", code=status.code)
    if len(found) < 2:
        raise FetchRefused("the server sent no header or no text for this message")
    header, text = found[_HEADER], found[_TEXT]
    end = b"".join(header.chunks())[-4:]
    if text.size and not (end.endswith((b"\n\r\n", b"\n\n")) or end in {b"\r\n", b"\n"}):
        raise FetchRefused("the server sent a header without its end")
    return Fetched(uid, JoinedBody((header, text)))


def facts_of(wire: Wire, command: bytes) -> Iterator[tuple[MessageFacts, bool]]:
    """Yield what each answer to ``command`` says, and whether it has flags. Raises FetchRefused after the last."""
    tag = wire.start(command)
    try:
        yield from facts(wire, tag)
        status = wire.result(tag)
    finally:
        wire.forget(tag)
    if not status.ok or status.code == LIMITED:
        raise FetchRefused(f"the server refused to describe messages: {status.words}", code=status.code)


def facts(wire: Wire, tag: bytes) -> Iterator[tuple[MessageFacts, bool]]:
    """Yield what each answer to a FETCH of data items says, and whether it has flags, until the command is done."""
    readline, match = wire.stream.readline, _FACTS.fullmatch
    while not wire.done(tag):
        line = readline(LONGEST_LINE)
        usual = match(line)
        if usual is None:
            yield from _unusual_facts(wire, line)
            continue
        wire.count(len(line))
        if usual[1] is not None:
            yield _usual_facts(usual), usual[2] is not None


def _usual_facts(usual: re.Match[bytes]) -> MessageFacts:
    uid, flags, date, size, email_id, thread_id, gmail_id, gmail_thread, labels = usual.groups()
    account_id, thread = gmail_id or email_id, gmail_thread or thread_id
    return MessageFacts(
        int(uid),
        int(size) if size else None,
        answers.internaldate(date) if date else None,
        answers.flags(flags) if flags else frozenset(),
        account_id.decode("latin-1") if account_id else None,
        answers.labels(labels) if labels else (),
        thread.decode("latin-1") if thread else None,
    )


def _unusual_facts(wire: Wire, line: bytes) -> Iterator[tuple[MessageFacts, bool]]:
    if not line.endswith(b"\n"):
        raise wire.broken(line)
    answer = wire.accept(line)
    if answer is not None and answer.name == b"FETCH":
        wire.count(answer.octets)
        items = answers.read_fetch(answer)
        found = answers.facts(items)
        if found is not None:
            yield found, b"FLAGS" in items
