"""FETCH: which items a client may ask for, and what a message answers (RFC 3501 section 6.4.5)."""

import hashlib
import re
from collections.abc import Callable, Iterator

from mailarchive.loopback.account import LoopbackMessage
from mailarchive.loopback.faults import FetchAnswer
from mailarchive.loopback.session import Session
from mailarchive.loopback.syntax import BadSyntax, Token, date_time, octets, string, word
from mailarchive.loopback.wire import Command
from mailarchive.mail.mailbox_name import encode_name

_MACROS = {"FAST": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"], "ALL": ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]}
_ALIASES = {"RFC822": "BODY[]", "RFC822.HEADER": "BODY.PEEK[HEADER]", "RFC822.TEXT": "BODY[TEXT]"}
_NEEDS = {
    "MODSEQ": "CONDSTORE",
    "EMAILID": "OBJECTID",
    "THREADID": "OBJECTID",
    "X-GM-MSGID": "X-GM-EXT-1",
    "X-GM-THRID": "X-GM-EXT-1",
    "X-GM-LABELS": "X-GM-EXT-1",
}
_SECTION = re.compile(r"BODY(\.PEEK)?\[(|HEADER|TEXT|HEADER\.FIELDS(?:\.NOT)? \(([^)]*)\))\](?:<(\d+)\.(\d+)>)?")
_WORD = re.compile(rb"[A-Za-z0-9_-]+")
_HEADER_END = re.compile(rb"\r?\n\r?\n|^\r?\n")


def fetch(session: Session, command: Command) -> str:
    """Answer FETCH or UID FETCH, with the CHANGEDSINCE modifier (RFC 7162 section 3.1.4)."""
    if len(command.arguments) not in {2, 3}:
        raise BadSyntax("FETCH needs a sequence set and items")
    by_uid = command.name.startswith("UID ")
    items = _items(session, command.arguments[1])
    since = _changed_since(session, command.arguments[2:])
    if by_uid and "UID" not in items:
        items.insert(0, "UID")
    if since is not None and "MODSEQ" not in items:
        items.append("MODSEQ")
    mailbox = session.opened().mailbox.name
    named = session.named(word(command.arguments[0]), by_uid=by_uid)
    limited = session.limited(named)
    for number, message in limited or named:
        if since is not None and message.modseq <= since:
            continue
        _mark_seen(session, message, items)
        answer: FetchAnswer | None = FetchAnswer(mailbox, number, message.uid, dict(_values(message, items)))
        for fault in tuple(session.faults):
            if answer is not None:
                answer = fault.answer(session.wire, answer)
        if answer is not None:
            session.wire.send(*answer.pieces())
            _count(session, answer)
    return f"[MESSAGELIMIT {len(limited)} {limited[0][1].uid}] Fetch completed" if limited else "Fetch completed"


def _items(session: Session, token: Token) -> list[str]:
    asked = [word(inner) for inner in token] if isinstance(token, list) else [word(token)]
    if len(asked) == 1:
        asked = _MACROS.get(asked[0], asked)
    items = list(dict.fromkeys(_ALIASES.get(item, item) for item in asked))
    for item in items:
        if item in _NEEDS:
            session.need(_NEEDS[item])
        elif item not in _FACTS and not _SECTION.fullmatch(item):
            raise BadSyntax(f"Unknown FETCH item {item[:40]}")
    return items


def _changed_since(session: Session, arguments: list[Token]) -> int | None:
    if not arguments:
        return None
    session.need("CONDSTORE")
    modifier = arguments[0]
    if not isinstance(modifier, list) or len(modifier) != 2 or word(modifier[0]) != "CHANGEDSINCE":
        raise BadSyntax("Unknown FETCH modifier")
    if not (modseq := octets(modifier[1])).isdigit():
        raise BadSyntax("CHANGEDSINCE needs a number")
    session.condstore = True
    return int(modseq)


def _mark_seen(session: Session, message: LoopbackMessage, items: list[str]) -> None:
    opened = session.opened()
    if opened.read_only or "\\Seen" in message.flags or not any(item.startswith("BODY[") for item in items):
        return
    session.account.set_flags(opened.mailbox.raw, message.uid, message.flags | {"\\Seen"})


def _values(message: LoopbackMessage, items: list[str]) -> Iterator[tuple[str, bytes | memoryview]]:
    for item in items:
        if section := _SECTION.fullmatch(item):
            yield _section(message.octets, section)
        else:
            yield item, _FACTS[item](message)


def labels_item(message: LoopbackMessage) -> bytes:
    """Return the labels of a message as FETCH shows them."""
    return b"(%b)" % b" ".join(map(_label, message.labels))


def _label(label: str) -> bytes:
    """Return a label as Gmail sends it: bare if it is a plain word, else quoted, system labels too."""
    raw = encode_name(label)
    return raw if _WORD.fullmatch(raw) else string(raw)


_FACTS: dict[str, Callable[[LoopbackMessage], bytes]] = {
    "UID": lambda message: b"%d" % message.uid,
    "FLAGS": lambda message: f"({' '.join(sorted(message.flags))})".encode("latin-1"),
    "INTERNALDATE": lambda message: string(date_time(message.internaldate).encode()),
    "RFC822.SIZE": lambda message: b"%d" % len(message.octets),
    "MODSEQ": lambda message: b"(%d)" % message.modseq,
    "EMAILID": lambda message: f"({message.email_id})".encode(),
    "THREADID": lambda message: f"({message.thread_id})".encode() if message.thread_id else b"NIL",
    "X-GM-MSGID": lambda message: b"%d" % gmail_id(message.email_id),
    "X-GM-THRID": lambda message: b"%d" % gmail_id(message.thread_id or message.email_id),
    "X-GM-LABELS": labels_item,
}


def gmail_id(email_id: str) -> int:
    """Return the X-GM-MSGID of a message: 63 bits that belong to ``email_id``."""
    return int.from_bytes(hashlib.sha256(email_id.encode()).digest()[:8], "big") >> 1


def _section(whole: bytes, asked: re.Match[str]) -> tuple[str, memoryview]:
    view = memoryview(whole)
    end = header_end(whole)
    section = asked.group(2)
    if section.startswith("HEADER.FIELDS"):
        unwanted = section.startswith("HEADER.FIELDS.NOT")
        view = memoryview(_fields(whole[:end], asked.group(3).upper().split(), unwanted=unwanted))
    elif section:
        view = view[:end] if section == "HEADER" else view[end:]
    name = f"BODY[{section}]"
    if asked.group(4) is None:
        return name, view
    offset, length = int(asked.group(4)), int(asked.group(5))
    return f"{name}<{offset}>", view[offset : offset + length]


def header_end(whole: bytes) -> int:
    """Return where the header section ends, the empty line included."""
    found = _HEADER_END.search(whole)
    return found.end() if found else len(whole)


def _fields(header: bytes, wanted: list[str], *, unwanted: bool) -> bytes:
    kept = []
    for entry in re.split(rb"\r?\n(?![ \t])", header.rstrip(b"\r\n")):
        name = entry.partition(b":")[0].strip().decode("latin-1").upper()
        if (name in wanted) != unwanted:
            kept.append(entry + b"\r\n")
    return b"".join([*kept, b"\r\n"])


def _count(session: Session, answer: FetchAnswer) -> None:
    for name, value in answer.items.items():
        if name.startswith(("BODY[]", "BODY[TEXT]")):
            size = len(value) if isinstance(value, memoryview) else 0
            session.counts.body(answer.mailbox, answer.uid, size)
