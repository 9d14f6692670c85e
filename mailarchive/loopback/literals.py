"""Which literals a session takes (RFC 7888), and how large ones to APPEND (RFC 7889)."""

from dataclasses import dataclass

from mailarchive.loopback.session import Session
from mailarchive.loopback.wire import Announced

_LONGEST_UNASKED = 4096


@dataclass(frozen=True, slots=True)
class LiteralRules:
    """The Gate of a session."""

    session: Session

    def refusal(self, literal: Announced) -> str:
        session = self.session
        if not literal.synchronising and not session.offers("LITERAL+"):
            if not session.offers("LITERAL-"):
                return "BAD Literals have to be asked for"
            if literal.size > _LONGEST_UNASKED:
                return "BAD [TOOBIG] Non-synchronizing literal too large"
        if literal.binary and not (session.offers("BINARY") and literal.command == "APPEND"):
            return "BAD Unexpected literal8"
        limit = session.append_limit()
        if literal.command == "APPEND" and limit is not None and literal.size > limit:
            return "NO [TOOBIG] Message is too large"
        return ""

    def cut(self, literal: Announced) -> int | None:
        cuts = [fault.literal(literal) for fault in tuple(self.session.faults)]
        return min((cut for cut in cuts if cut is not None), default=None)

    def come(self, literal: Announced, octets: bytes) -> None:
        for fault in tuple(self.session.faults):
            fault.literal_came(literal, octets)
