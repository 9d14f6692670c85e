"""GETQUOTA and GETQUOTAROOT: one quota root for the whole account (RFC 9208)."""

from mailarchive.loopback.faults import Refused
from mailarchive.loopback.session import Session
from mailarchive.loopback.syntax import BadSyntax, octets, string
from mailarchive.loopback.wire import Command

_UNIT = 1024
"""STORAGE is told in units of so many octets (RFC 9208 section 5.1)."""


def get_quota(session: Session, command: Command) -> str:
    """Answer GETQUOTA (RFC 9208 section 4.1.1)."""
    session.need("QUOTA")
    if len(command.arguments) != 1:
        raise BadSyntax("A quota root is needed")
    if octets(command.arguments[0]) or session.account.quota is None:
        raise Refused("[NONEXISTENT] No such quota root")
    _send_quota(session, session.account.quota)
    return "Getquota completed"


def get_quota_root(session: Session, command: Command) -> str:
    """Answer GETQUOTAROOT (RFC 9208 section 4.1.2)."""
    session.need("QUOTA")
    if len(command.arguments) != 1:
        raise BadSyntax("A mailbox name is needed")
    quota = session.account.quota
    name = string(session.account.wire_name(octets(command.arguments[0])))
    session.wire.send(b"* QUOTAROOT ", name, b"" if quota is None else b' ""', b"\r\n")
    if quota is not None:
        _send_quota(session, quota)
    return "Getquotaroot completed"


def _send_quota(session: Session, quota: int) -> None:
    used = -(-session.account.used() // _UNIT)
    session.wire.line(f'* QUOTA "" (STORAGE {used} {quota // _UNIT})')
