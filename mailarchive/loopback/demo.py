"""The account that ``mailarchive demo`` backs up: a small mailbox with everything that real ones have."""

from datetime import datetime

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.corpus import Writer

_MAILBOXES: tuple[tuple[str, str | None, int], ...] = (
    ("INBOX", None, 120),
    ("Sent", "\\Sent", 60),
    ("Archive/2023", None, 70),
    ("Entwürfe & Ideen", "\\Drafts", 12),
    ("旅行/日本語", None, 25),
    ("Trash", "\\Trash", 8),
)
_KEYWORDS = ("$Forwarded", "Urgent", "Family")


def demo_account(seed: int = 7) -> LoopbackAccount:
    """Return an account with about 300 messages in 6 mailboxes, always the same for a seed."""
    account = LoopbackAccount("demo", "demo")
    writer = Writer(seed)
    for name, special_use, count in _MAILBOXES:
        if name not in account:
            account.create(name, special_use=special_use)
        for _ in range(count):
            moment = writer.moment()
            account.append(name, _message(writer, moment), internaldate=moment, flags=_flags(writer, name))
    for octets in _oddities():
        account.append("INBOX", octets, internaldate=writer.moment(), flags=["\\Seen"])
    account.copy("INBOX", 5, "Archive/2023")
    return account


def _message(writer: Writer, moment: datetime) -> bytes:
    size = int(min(writer.random.lognormvariate(7.3, 0.8), 30_000))
    attachments = [writer.attachment(writer.random.randrange(2_000, 90_000))] if writer.chance(0.12) else []
    return writer.message(moment, size, html=writer.chance(0.3), attachments=attachments)


def _flags(writer: Writer, mailbox: str) -> list[str]:
    flags = [] if mailbox == "INBOX" and writer.chance(0.3) else ["\\Seen"]
    if mailbox.startswith("Entw"):
        flags.append("\\Draft")
    if writer.chance(0.1):
        flags.append("\\Flagged")
    if writer.chance(0.08):
        flags.append(writer.random.choice(_KEYWORDS))
    return flags


def _oddities() -> list[bytes]:
    """Return messages that other tools change or lose."""
    head = b"From: Mei Brandt <mei.brandt@example.com>\r\nTo: demo@example.org\r\nSubject: %b\r\n\r\n"
    return [
        head % b"A line that begins with From" + b"Dear all,\r\nFrom here on it is easy.\r\n>From there too.\r\n",
        head.replace(b"\r\n", b"\n") % b"Line ends of another system" + b"one\ntwo\n",
        head % b"No line end at the end" + b"That is all",
        head % b"Gr\xfc\xdfe in Latin-1" + b"Sch\xf6ne Gr\xfc\xdfe, unencoded\r\n",
        head % b"A long line" + b"word " * 3_000 + b"\r\n",
    ]
