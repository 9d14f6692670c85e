"""Which target a format or an endpoint needs."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mailarchive.clock import Clock
from mailarchive.config import Endpoint, account_of
from mailarchive.model import Account
from mailarchive.remote.compression import Compression
from mailarchive.remote.line import Line
from mailarchive.remote.patience import Crew, OnWait
from mailarchive.remote.renewal import logged_in
from mailarchive.targets.accounts import AccountTarget
from mailarchive.targets.base import Target
from mailarchive.targets.eml import EmlTarget
from mailarchive.targets.mbox import MboxTarget
from mailarchive.targets.paths import Tell, ignore_text

if TYPE_CHECKING:
    from mailarchive.targets.smtp import SmtpTarget

Format = Literal["mbox", "eml"]


def open_target(form: Format, destination: Path, tell: Tell = ignore_text) -> Target:
    """Return the target that writes ``form`` below ``destination``; ``tell`` gets a sentence about what is odd there.

    Raises UsageError, StorageFailed.
    """
    return EmlTarget(destination, tell) if form == "eml" else MboxTarget(destination, tell)


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
