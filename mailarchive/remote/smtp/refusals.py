"""What a reply means that is not what was hoped for (RFC 5321 section 4.2, RFC 3463)."""

from typing import Literal

from mailarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    MessageRefused,
    SourceError,
    TargetRefused,
    Throttled,
)
from mailarchive.remote import throttling
from mailarchive.remote.smtp.wire import Reply, Wire

Stage = Literal["greeting", "login", "sender", "recipient", "message"]
"""What the reply is to: the connection or EHLO, AUTH, MAIL, RCPT, or DATA and BDAT with the message."""

_FULL = "2.2"
_TOO_LARGE = frozenset({"2.3", "3.4"})
_CONGESTED = frozenset({"4.5"})
"""X.4.5; Gmail says it also, with a 5, when so many messages were sent that no more are taken this day."""
_WANTS_LOGIN = frozenset({530, 534, 535, 538})
"""RFC 4954 section 6."""
_VERBS: dict[Stage, str] = {
    "greeting": "turned the connection away",
    "login": "refused the log-in",
    "sender": "does not take messages from this sender",
    "recipient": "does not take messages for this address",
    "message": "refused the message",
}
_SENDER_HINT = "many servers take only the address of the user that logs in as the sender"


def refusal(wire: Wire, stage: Stage, reply: Reply) -> SourceError:
    """Return the error for a reply; after 421, or one that makes no sense, the connection is ended.

    Throttled for what is only for now, MessageRefused for what is about a message, TargetRefused for what is not.
    """
    peer = wire.peer
    if reply.code == 421:
        wire.abandon()
        return _closing(peer, stage, reply)
    if reply.code < 400:
        return wire.violation(f"{peer} answered what does not fit: {reply.words}")
    subject = reply.enhanced.partition(".")[2]
    sentence = f"{peer} {_VERBS[stage]}: {reply.words}"
    if subject == _FULL:
        return TargetRefused(f"the mailbox is full: {reply.words}", hint="make room there, then run the command again")
    if reply.code < 500 or subject in _CONGESTED:
        return _for_now(peer, stage, reply)
    if reply.code in _WANTS_LOGIN:
        return AuthenticationFailed(f"{peer} wants another log-in: {reply.words}")
    if stage == "message" or subject in _TOO_LARGE or (stage == "sender" and reply.code == 552):
        return MessageRefused(sentence, code=reply.enhanced)
    return TargetRefused(sentence, hint=_SENDER_HINT if stage == "sender" else "")


def _closing(peer: str, stage: Stage, reply: Reply) -> SourceError:
    """Return the error for 421: the server ends the connection (RFC 5321 section 3.8)."""
    of_account = stage in {"greeting", "login"}
    if (demand := throttling.demand(peer, "BYE", "", reply.words, of_account=of_account)) is not None:
        return demand
    if reply.enhanced.startswith("4.7.") or reply.enhanced[2:] in _CONGESTED:
        return Throttled(f"{peer} asks to come back later: {reply.words}", connected=False)
    return ConnectionLost(f"{peer} ended the connection: {reply.words}")


def _for_now(peer: str, stage: Stage, reply: Reply) -> SourceError:
    of_account = stage in {"greeting", "login"}
    demand = throttling.demand(peer, "NO", "UNAVAILABLE", reply.words, of_account=of_account)
    return demand or Throttled(f"{peer} asks to come back later: {reply.words}")
