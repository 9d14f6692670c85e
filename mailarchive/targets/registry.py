"""Which target a format or an endpoint needs."""

import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mailarchive.clock import Clock
from mailarchive.config import Endpoint, account_of
from mailarchive.mail import client_marks
from mailarchive.model import Account
from mailarchive.remote.compression import Compression
from mailarchive.remote.line import Line
from mailarchive.remote.patience import Crew, OnWait
from mailarchive.remote.renewal import logged_in
from mailarchive.targets.accounts import AccountTarget
from mailarchive.targets.base import Target
from mailarchive.targets.eml import EmlTarget
from mailarchive.targets.maildir import MaildirTarget
from mailarchive.targets.mbox import mbox_files, one_mbox
from mailarchive.targets.paths import Tell, ignore_text
from mailarchive.targets.stream import StreamTarget, Write
from mailarchive.targets.thunderbird import ThunderbirdTarget

if TYPE_CHECKING:
    from mailarchive.targets.smtp import SmtpTarget

__all__ = ["Format", "Lines", "Write", "connect", "connect_to_send", "lines_of", "open_target"]

Format = Literal["mbox", "one-mbox", "eml", "maildir", "thunderbird"]
Lines = Callable[[tuple[str, ...], tuple[str, ...], tuple[str, ...]], bytes]
"""Given a mailbox's name, flags and labels: header lines that go before the message."""


def open_target(form: Format, destination: Path | Write, tell: Tell = ignore_text) -> Target:
    """Return the target that writes ``form`` at ``destination``; ``tell`` gets a sentence about what is odd there.

    A ``destination`` that is no path writes an mbox to a pipe. Raises UsageError, StorageFailed.
    """
    if not isinstance(destination, Path):
        return StreamTarget(destination)
    if form == "one-mbox":
        return one_mbox(destination)
    makers: dict[str, Callable[[Path, Tell], Target]] = {
        "mbox": mbox_files,
        "eml": EmlTarget,
        "maildir": MaildirTarget,
        "thunderbird": ThunderbirdTarget,
    }
    return makers[form](destination, tell)


def lines_of(form: Format, *, marked: bool) -> Lines | None:
    """Return what makes the lines that ``form`` puts before messages, if it does: always, or where ``marked`` so."""
    if form == "thunderbird":
        return mozilla
    return marks if marked else None


@lru_cache(maxsize=4096)
def marks(mailbox: tuple[str, ...], flags: tuple[str, ...], labels: tuple[str, ...]) -> bytes:
    """Return Status, X-Status, X-Keywords and X-Gmail-Labels; what has no labels has that of its mailbox."""
    return client_marks.lines(flags, labels or ("/".join(mailbox),))


@lru_cache(maxsize=4096)
def mozilla(_mailbox: tuple[str, ...], flags: tuple[str, ...], _labels: tuple[str, ...]) -> bytes:
    """Return X-Mozilla-Status, -Status2 and -Keys."""
    return client_marks.mozilla_lines(flags)


def connect(
    endpoint: Endpoint,
    password: Callable[[], str],
    *,
    clock: Clock,
    stop: threading.Event,
    on_wait: OnWait | None = None,
    waits: bool = False,
) -> Callable[[], Line[AccountTarget]]:
    """Return what opens connections to an account with mailboxes that survive being lost.

    ``password`` is called for each connection. Setting ``stop`` ends waiting for a better time; ``waits`` says whether
    to wait as long as a server wants that asks for patience.
    """
    from mailarchive.targets.imap import ImapTarget  # noqa: PLC0415 - start-up: an export needs no network

    account, crew, compression = account_of(endpoint), Crew(), Compression(endpoint.compress, clock)

    def one_connection() -> AccountTarget:
        return logged_in(lambda given: ImapTarget(account, endpoint, given, None, compression), password)

    def lasting() -> Line[AccountTarget]:
        return Line(one_connection, clock=clock, stop=stop, on_wait=on_wait, waits=waits, crew=crew)

    return lasting


def connect_to_send(
    endpoint: Endpoint,
    recipient: str,
    password: Callable[[], str],
    *,
    sender: str | None,
    clock: Clock,
    stop: threading.Event,
    on_wait: OnWait | None = None,
) -> "tuple[Account, Callable[[], Line[SmtpTarget]]]":
    """Return the account that mail for ``recipient`` goes to by SMTP or LMTP, and what opens connections to send it.

    They do not wait for a server that asks for patience: that is for who knows the message.
    """
    from mailarchive.targets.smtp import SmtpTarget, account_of  # noqa: PLC0415 - start-up: an export needs no network

    def one_connection() -> SmtpTarget:
        return logged_in(lambda given: SmtpTarget(endpoint, recipient, given, sender=sender), password)

    def lasting() -> "Line[SmtpTarget]":
        return Line(one_connection, clock=clock, stop=stop, on_wait=on_wait)

    return account_of(endpoint, recipient), lasting
