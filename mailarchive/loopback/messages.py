"""Commands on messages: SELECT, SEARCH, STORE, COPY, MOVE, EXPUNGE."""

import re

from mailarchive.loopback.account import LoopbackMessage
from mailarchive.loopback.appending import kept_flags, named_mailbox, refuse_beyond
from mailarchive.loopback.labels import store_labels
from mailarchive.loopback.search import matcher
from mailarchive.loopback.session import Selected, Session
from mailarchive.loopback.syntax import BadSyntax, compressed, octets, word, words
from mailarchive.loopback.wire import Command

_SYSTEM_FLAGS = "\\Answered \\Flagged \\Deleted \\Seen \\Draft"
_ITEM = re.compile(r"[+-]?(FLAGS|X-GM-LABELS)(?:\.SILENT)?")


def select(session: Session, command: Command) -> str:
    """Open a mailbox by SELECT, or by EXAMINE for reading only (RFC 3501 sections 6.3.1 and 6.3.2)."""
    if not command.arguments:
        raise BadSyntax("A mailbox name is needed")
    session.selected = None
    if len(command.arguments) > 1:
        session.need("CONDSTORE")
        session.condstore = True
    account, read_only = session.account, command.name == "EXAMINE"
    with account.lock:
        mailbox = session.mailbox(account.wire_name(octets(command.arguments[0])))
        opened = Selected(mailbox, read_only, mailbox.uidvalidity, list(mailbox.messages), mailbox.modseq)
        keywords = {flag for message in mailbox.messages.values() for flag in message.flags if flag[:1] != "\\"}
        uidnext = mailbox.uidnext
    session.selected = opened
    wire = session.wire
    wire.line(f"* FLAGS ({' '.join([_SYSTEM_FLAGS, *sorted(keywords)])})")
    kept = f"{_SYSTEM_FLAGS} \\*" if account.permanent is None else " ".join(sorted(account.permanent))
    permanent = "" if read_only else kept
    wire.line(f"* OK [PERMANENTFLAGS ({permanent})] Flags permitted")
    wire.line(f"* {len(opened.view)} EXISTS")
    wire.line("* 0 RECENT")
    wire.line(f"* OK [UIDVALIDITY {opened.uidvalidity}] UIDs valid")
    wire.line(f"* OK [UIDNEXT {uidnext}] Predicted next UID")
    if session.offers("CONDSTORE"):
        # Gmail leaves out the text that has to follow (RFC 3501 section 7.1).
        wire.line(f"* OK [HIGHESTMODSEQ {opened.modseq}]{'' if session.offers('X-GM-EXT-1') else ' Highest'}")
    return f"[READ-{'ONLY' if read_only else 'WRITE'}] {command.name.title()} completed"


def close(session: Session, command: Command) -> str:
    """Leave the mailbox by CLOSE (removes what is marked as deleted) or UNSELECT (does not)."""
    opened = session.opened()
    if command.name == "UNSELECT":
        session.need("UNSELECT")
    elif not opened.read_only:
        _remove_deleted(session, None)
    session.selected = None
    return f"{command.name.title()} completed"


def search(session: Session, command: Command) -> str:
    """Answer SEARCH or UID SEARCH, with RETURN where ESEARCH is offered (RFC 4731)."""
    by_uid = command.name.startswith("UID ")
    arguments = list(command.arguments)
    returned: list[str] | None = None
    if len(arguments) >= 2 and arguments[0] == "RETURN":
        session.need("ESEARCH")
        returned = [text.upper() for text in words(arguments[1])] or ["ALL"]
        del arguments[:2]
    if len(arguments) >= 2 and word(arguments[0]) == "CHARSET":
        del arguments[:2]
    match = matcher(session, arguments)
    present = session.named("1:*", by_uid=False)
    limited = session.limited(present)
    present = limited or present
    found = [message.uid if by_uid else number for number, message in present if match(number, message)]
    for fault in tuple(session.faults):
        found = fault.search(found)
    if returned is None:
        session.wire.line(" ".join(["* SEARCH", *map(str, found)]))
    else:
        _send_esearch(session, command.tag, returned, found, by_uid=by_uid)
    return f"[MESSAGELIMIT {len(limited)} {limited[0][1].uid}] Search completed" if limited else "Search completed"


def _send_esearch(session: Session, tag: str, returned: list[str], found: list[int], *, by_uid: bool) -> None:
    parts = [f'* ESEARCH (TAG "{tag}")', *(["UID"] if by_uid else [])]
    if found:
        values = {"MIN": str(found[0]), "MAX": str(found[-1]), "ALL": compressed(found)}
        parts += [f"{name} {values[name]}" for name in values if name in returned]
    if "COUNT" in returned:
        parts.append(f"COUNT {len(found)}")
    session.wire.line(" ".join(parts))


def store(session: Session, command: Command) -> str:
    """Change flags, or Gmail's labels, by STORE or UID STORE (RFC 3501 section 6.4.6)."""
    opened = session.opened(writable=True)
    if len(command.arguments) != 3:
        raise BadSyntax("STORE needs a sequence set, an item and flags")
    item = word(command.arguments[1])
    if (read := _ITEM.fullmatch(item)) is None:
        raise BadSyntax("Unknown STORE item")
    with session.account.lock:
        named = session.named(word(command.arguments[0]), by_uid=command.name.startswith("UID "))
        if read.group(1) == "FLAGS":
            _store_flags(session, item[0], named, frozenset(words(command.arguments[2])))
        else:
            store_labels(session, item, named, command.arguments[2])
        if item.endswith(".SILENT"):
            opened.modseq = opened.mailbox.modseq
    return "Store completed"


def _store_flags(session: Session, sign: str, named: list[tuple[int, LoopbackMessage]], given: frozenset[str]) -> None:
    raw = session.opened().mailbox.raw
    if sign != "-":
        given = kept_flags(session.account, given)
    for _, message in named:
        flags = {"+": message.flags | given, "-": message.flags - given}.get(sign, given)
        session.account.set_flags(raw, message.uid, flags)


def copy(session: Session, command: Command) -> str:
    """Copy or move messages (RFC 3501 section 6.4.7, RFC 6851), saying where they went (COPYUID, RFC 4315)."""
    moving = command.name.endswith("MOVE")
    if moving:
        session.need("MOVE")
    opened = session.opened(writable=moving)
    if len(command.arguments) != 2:
        raise BadSyntax("A sequence set and a mailbox name are needed")
    account = session.account
    with account.lock:
        destination = named_mailbox(session, command.arguments[1])
        named = session.named(word(command.arguments[0]), by_uid=command.name.startswith("UID "))
        uids = [message.uid for _, message in named]
        if not moving:
            refuse_beyond(account, sum(len(message.octets) for _, message in named), appending=False)
        act = account.move if moving else account.copy
        copied = [act(opened.mailbox.raw, uid, destination) for uid in uids]
        uidvalidity = account[destination].uidvalidity
    if not moving:
        with session.counts.lock:
            session.counts.copied += len(uids)
    if not uids or not session.offers("UIDPLUS"):
        return f"{command.name} completed"
    code = f"[COPYUID {uidvalidity} {compressed(uids)} {compressed(copied)}]"
    if not moving:
        return f"{code} {command.name} completed"
    session.wire.line(f"* OK {code} Moved")
    return f"{command.name} completed"


def expunge(session: Session, command: Command) -> str:
    r"""Remove what is marked ``\Deleted``, by UID EXPUNGE only among the given UIDs (RFC 4315)."""
    session.opened(writable=True)
    if command.name == "EXPUNGE":
        _remove_deleted(session, None)
    else:
        session.need("UIDPLUS")
        if len(command.arguments) != 1:
            raise BadSyntax("UID EXPUNGE needs a sequence set")
        _remove_deleted(session, word(command.arguments[0]))
    return "Expunge completed"


def _remove_deleted(session: Session, uids: str | None) -> None:
    opened = session.opened()
    with session.account.lock:
        named = session.named(uids or "1:*", by_uid=uids is not None)
        deleted = [message.uid for _, message in named if "\\Deleted" in message.flags]
        if deleted:
            session.account.expunge(opened.mailbox.raw, *deleted)
