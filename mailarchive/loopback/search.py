"""SEARCH criteria (RFC 3501 section 6.4.4): those that backup and test clients use."""

from collections.abc import Callable
from datetime import date

from mailarchive.loopback.account import LoopbackMessage
from mailarchive.loopback.fetch import header_end
from mailarchive.loopback.session import Session
from mailarchive.loopback.syntax import BadSyntax, Token, octets, read_date, sequence, word

Match = Callable[[int, LoopbackMessage], bool]
"""Whether a message, with its sequence number, is found."""

_FLAGS = {
    "SEEN": "\\Seen",
    "ANSWERED": "\\Answered",
    "FLAGGED": "\\Flagged",
    "DELETED": "\\Deleted",
    "DRAFT": "\\Draft",
}


def matcher(session: Session, criteria: list[Token]) -> Match:
    """Return whether a message meets all criteria. Raises BadSyntax for those not known."""
    if not criteria:
        raise BadSyntax("SEARCH needs criteria")
    rest, matches = list(criteria), list[Match]()
    while rest:
        matches.append(_key(session, rest))
    return lambda number, message: all(match(number, message) for match in matches)


def _key(session: Session, rest: list[Token]) -> Match:
    """Take one search key off ``rest``."""
    if not rest:
        raise BadSyntax("A search key is missing")
    token = rest.pop(0)
    if isinstance(token, list):
        return matcher(session, token)
    key = word(token)
    if key == "NOT":
        negated = _key(session, rest)
        return lambda number, message: not negated(number, message)
    if key == "OR":
        left, right = _key(session, rest), _key(session, rest)
        return lambda number, message: left(number, message) or right(number, message)
    if key == "ALL":
        return lambda _, __: True
    if key in _FLAGS:
        return lambda _, message: _FLAGS[key] in message.flags
    if key.startswith("UN") and key[2:] in _FLAGS:
        return lambda _, message: _FLAGS[key[2:]] not in message.flags
    if key[0].isdigit() or key[0] == "*":
        numbers = frozenset(sequence(key, list(range(1, len(session.opened().view) + 1))))
        return lambda number, _: number in numbers
    return _with_argument(session, key, rest)


def _with_argument(session: Session, key: str, rest: list[Token]) -> Match:
    if not rest:
        raise BadSyntax("A search key or its argument is missing")
    argument = octets(rest.pop(0)).decode("latin-1")
    match key:
        case "UID":
            uids = frozenset(sequence(argument, session.opened().view))
            return lambda _, message: message.uid in uids
        case "KEYWORD":
            return lambda _, message: argument in message.flags
        case "UNKEYWORD":
            return lambda _, message: argument not in message.flags
        case "SINCE" | "BEFORE" | "ON":
            return _by_date(key, read_date(argument))
        case "LARGER" | "SMALLER" | "MODSEQ":
            return _by_number(key, argument)
        case "HEADER" if rest:
            return _by_header(argument, octets(rest.pop(0)))
        case _:
            raise BadSyntax(f"Unknown search key {key[:40]}")


def _by_date(key: str, day: date) -> Match:
    if key == "SINCE":
        return lambda _, message: message.internaldate.date() >= day
    if key == "BEFORE":
        return lambda _, message: message.internaldate.date() < day
    return lambda _, message: message.internaldate.date() == day


def _by_number(key: str, argument: str) -> Match:
    if not argument.isdecimal():
        raise BadSyntax("A number was expected")
    limit = int(argument)
    if key == "LARGER":
        return lambda _, message: len(message.octets) > limit
    if key == "SMALLER":
        return lambda _, message: len(message.octets) < limit
    return lambda _, message: message.modseq >= limit


def _by_header(field: str, text: bytes) -> Match:
    name = field.lower().encode("latin-1") + b":"

    def match(_: int, message: LoopbackMessage) -> bool:
        header = message.octets[: header_end(message.octets)].lower()
        return any(line.startswith(name) and text.lower() in line for line in header.splitlines())

    return match
