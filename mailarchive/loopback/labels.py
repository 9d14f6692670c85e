"""STORE of Gmail labels (X-GM-LABELS, an extension of Gmail's own)."""

from collections.abc import Iterable

from mailarchive.loopback.account import LoopbackMessage
from mailarchive.loopback.faults import Refused
from mailarchive.loopback.fetch import labels_item
from mailarchive.loopback.gmail_names import SYSTEM_LABELS
from mailarchive.loopback.session import Session
from mailarchive.loopback.syntax import Token, octets
from mailarchive.mail.mailbox_name import decode_name


def store_labels(session: Session, item: str, named: Iterable[tuple[int, LoopbackMessage]], given: Token) -> None:
    """Change labels of messages as ``item`` says, such as ``+X-GM-LABELS.SILENT``. Raises BadSyntax, Refused."""
    session.need("X-GM-EXT-1")
    opened = session.opened(writable=True)
    account, box = session.account, opened.mailbox
    labels = [_label(session, token) for token in (given if isinstance(given, list) else [given])]
    for number, message in named:
        account.change_labels(box.raw, message.uid, item[0], labels)
        now = box.messages.get(message.uid)
        if now is not None and not item.endswith(".SILENT"):
            session.wire.send(b"* %d FETCH (UID %d X-GM-LABELS %b)\r\n" % (number, now.uid, labels_item(now)))


def _label(session: Session, token: Token) -> str:
    """Return a label as text: a system label as an atom, or in quotes as FETCH shows it, else modified UTF-7."""
    label = decode_name(octets(token))
    if label in SYSTEM_LABELS:
        return label
    if why := "Unknown system label" if label[:1] == "\\" else session.account.no_name(octets(token)):
        raise Refused(f"[CANNOT] {why}")
    return label
