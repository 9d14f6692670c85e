"""Recognises a server that asks for patience, whatever the protocol: told from a refusal by its code or its words."""

import re

from mailarchive.errors import SourceError, SourceUnreachable, Throttled, TooManyConnections, TurnedAway

PASSING = frozenset({"UNAVAILABLE", "LIMIT", "INUSE"})
"""Response codes (RFC 5530 section 3) that say "not now" when they are about the account.

About a single message or mailbox some servers say the same for ever: then nobody should wait for it.
"""

_CLOSED = PASSING | {"SERVERBUG", "IN-USE", "LOGIN-DELAY", "SYS/TEMP"}
"""Those of a log-in that is refused whoever it is; the last three are POP3's (RFC 2449 section 8, RFC 3206)."""
_AT_ONCE = frozenset({"LIMIT", "LOGIN-DELAY"})
"""Those after which trying again soon makes things worse."""
_LONGEST_TOLD = 86_400.0

# Response codes come first, but none of what follows has one, or always the same one.
_BACKOFF = re.compile(r"Suggested Backoff Time: *(\d{1,12}) *milliseconds", re.IGNORECASE)
"""Exchange, in NO, BAD and BYE."""
_THROTTLED = re.compile(r"\[THROTTLED\]", re.IGNORECASE)
"""Gmail, at the end of the text: ``OK Success [THROTTLED]``."""
_EXCEEDED = re.compile(r"\baccount exceeded (?:\w+ or )?(?:command|bandwidth) limits", re.IGNORECASE)
"""Gmail, under [OVERQUOTA] or [ALERT]."""
_CONNECTIONS = re.compile(
    r"\btoo many (?:[\w-]+ ){0,3}(?:connections|sessions)\b"
    r"|\bmaximum (?:[\w-]+ ){0,5}(?:connections?|sessions) [\w+() -]*(?:exceeded|reached)\b"
    r"|\bconnections? limit\b",
    re.IGNORECASE,
)
"""Gmail under [ALERT], Dovecot under [UNAVAILABLE], Cyrus, Courier, Exchange and others under nothing at all."""
_NOT_CONNECTED = re.compile(r"\bauthenticated but not connected\b", re.IGNORECASE)
"""Exchange, to every command after a log-in that it accepted."""


_LATER = re.compile(r"\bthrottl|\btoo many (?:\w+ ){0,2}requests\b|\btry again later\b|\btemporar", re.IGNORECASE)


def is_for_now(code: str, words: str) -> bool:
    """Return whether a refusal of a single message may be one that passes: others are to tell."""
    return code in PASSING or _LATER.search(words) is not None


def demand(
    peer: str, kind: str, code: str, words: str, *, of_account: bool = False, of_room: bool = False
) -> SourceError | None:
    """Return the error for a response that asks for patience, None for any other.

    ``kind`` is OK, NO, BAD or BYE (POP3: OK for +OK, NO for -ERR), ``code`` the response code in
    capitals, ``words`` the rest, fit to be shown. ``of_account`` says that the response is about the
    account (greeting, log-in, list of mailboxes) and not about a mailbox or a message, ``of_room`` that it answers
    what needs room, so that OVERQUOTA means that there is none (RFC 9208 section 5.1.3). Only about
    an answered command: OVERQUOTA in an untagged NO is a warning that the disk is nearly full
    (RFC 9208 section 4.3.1).
    """
    connected = kind != "BYE"
    if kind == "OK":
        return slowness(peer, code, words)
    if _CONNECTIONS.search(words):
        return TooManyConnections(f"{peer} allows no further connection: {words}", connected=connected)
    if _NOT_CONNECTED.search(words):
        return SourceUnreachable(
            f"{peer} has lost touch with the mailbox: {words}",
            hint="Outlook.com says this now and then: run the same command again later. An Exchange server says it "
            "also when the password is wrong or the user may not use this mailbox or IMAP",
        )
    if (told := slowness(peer, code, words)) is not None:
        return Throttled(str(told), seconds=told.seconds, connected=connected)
    if (code == "OVERQUOTA" and not of_room) or _EXCEEDED.search(words):
        return Throttled(f"{peer} asks to come back later: {words}", connected=connected)
    if of_account and (code in _CLOSED or not connected):
        kind_of_error = Throttled if code in _AT_ONCE else TurnedAway
        return kind_of_error(f"{peer} does not let us in now: {words}", connected=connected)
    return None


def slowness(peer: str, code: str, words: str) -> Throttled | None:
    """Return the error for a response that was given, and asks to slow down; tagged or not."""
    backoff = _BACKOFF.search(words)
    if backoff is None and code != "THROTTLED" and not _THROTTLED.search(words):
        return None
    seconds = min(int(backoff[1]) / 1000, _LONGEST_TOLD) if backoff else None
    return Throttled(f"{peer} asks to slow down: {words}", seconds=seconds, answered=True)
