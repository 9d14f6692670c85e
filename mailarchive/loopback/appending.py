"""APPEND: what a server takes, and what strict ones refuse."""

import re
from collections.abc import Iterable

from mailarchive.loopback.account import DEFAULT_DATE, LoopbackAccount, LoopbackMessage
from mailarchive.loopback.faults import Refused
from mailarchive.loopback.fetch import header_end
from mailarchive.loopback.session import Session
from mailarchive.loopback.syntax import (
    BadSyntax,
    Literal,
    Literal8,
    Token,
    compressed,
    octets,
    read_date_time,
    words,
)
from mailarchive.loopback.wire import Command

_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")


def append(session: Session, command: Command) -> str:
    """Add one or more messages (RFC 3501 section 6.3.11, MULTIAPPEND RFC 3502): all of them or none."""
    if not command.arguments:
        raise BadSyntax("A mailbox name is needed")
    account = session.account
    given = _all_given(command.arguments[1:])
    if len(given) > 1:
        session.need("MULTIAPPEND")
    with account.lock:
        raw = named_mailbox(session, command.arguments[0])
        for message in given:
            _check(account, message.octets)
        refuse_beyond(account, sum(len(message.octets) for message in given), appending=True)
        kept = [kept_flags(account, message.flags) for message in given]
        uids = [
            account.append(raw, message.octets, internaldate=message.internaldate, flags=flags)
            for message, flags in zip(given, kept, strict=True)
        ]
        code = f"[APPENDUID {account[raw].uidvalidity} {compressed(uids)}] " if session.offers("UIDPLUS") else ""
    with session.counts.lock:
        session.counts.appended += len(given)
    return f"{code}Append completed"


def named_mailbox(session: Session, name: Token) -> bytes:
    """Return the name of the mailbox that gets messages. Raises Refused if there is none."""
    raw = session.account.wire_name(octets(name))
    if raw not in session.account or not session.account[raw].selectable:
        raise Refused("[TRYCREATE] Mailbox doesn't exist")
    return raw


def refuse_beyond(account: LoopbackAccount, size: int, *, appending: bool) -> None:
    """Raise Refused if the account does not take ``size`` octets more."""
    if text := account.no_room(size, appending=appending):
        raise Refused(f"[OVERQUOTA] {text}")


def kept_flags(account: LoopbackAccount, flags: Iterable[str]) -> frozenset[str]:
    """Return the flags that the account keeps. Raises Refused if it minds the others."""
    given = frozenset(flags)
    kept = account.kept(given)
    if kept != given and "flags" in account.refuses:
        raise Refused(f"[CANNOT] Flags are not permitted: {' '.join(sorted(given - kept))}")
    return kept


def _all_given(rest: list[Token]) -> list[LoopbackMessage]:
    given: list[LoopbackMessage] = []
    while rest:
        message, rest = _given(rest)
        given.append(message)
    if not given:
        raise BadSyntax("A message is needed")
    return given


def _given(arguments: list[Token]) -> tuple[LoopbackMessage, list[Token]]:
    """Return the message that ``[flags] [date-time] literal`` describes, and what follows it."""
    flags: frozenset[str] = frozenset()
    date = DEFAULT_DATE
    if isinstance(arguments[0], list):
        flags, arguments = frozenset(words(arguments[0])), arguments[1:]
    if arguments and isinstance(arguments[0], bytes) and not isinstance(arguments[0], Literal):
        date, arguments = read_date_time(arguments[0].decode("latin-1")), arguments[1:]
    if not arguments or not isinstance(arguments[0], Literal):
        raise BadSyntax("A literal was expected")
    body = bytes(arguments[0])
    if b"\0" in body and not isinstance(arguments[0], Literal8):
        raise Refused("NUL in a literal (RFC 3501 section 9)")
    return LoopbackMessage(0, body, date, flags, 0, ""), arguments[1:]


def _check(account: LoopbackAccount, body: bytes) -> None:
    """Raise what servers with the rules of ``LoopbackAccount.refuses`` answer, in their own words."""
    rules = account.refuses
    if "bare-newline" in rules and _BARE_NEWLINE.search(body):
        raise Refused("Message contains bare newlines")
    if "8bit-header" in rules and not body[: header_end(body)].isascii():
        raise Refused("Message contains non-ASCII headers")
    if "no-final-crlf" in rules and not body.endswith(b"\r\n"):
        raise BadSyntax("[CLIENTBUG] Additional arguments")
    if "nul" in rules and b"\0" in body:
        raise Refused("Message contains NUL characters")
    if "long-line" in rules and any(len(line.rstrip(b"\r")) > account.longest_line for line in body.split(b"\n")):
        raise BadSyntax("Command Argument Error. 11")
