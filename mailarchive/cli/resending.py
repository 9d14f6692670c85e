"""The part of ``mailarchive restore`` that is about SMTP and LMTP, and what it shares with the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from mailarchive.cli.credentials import PasswordOptions
from mailarchive.cli.progress import telling, watching
from mailarchive.cli.signals import stoppable
from mailarchive.cli.tokens import secret_for
from mailarchive.clock import SystemClock
from mailarchive.config import Endpoint, is_loopback
from mailarchive.errors import UsageError
from mailarchive.mail.address import address
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.ops.restore_report import RestoreReport

Mode = Literal["restore", "rehearse", "verify", "verify everything"]
USUAL_RATE = 60
"""Messages a minute; providers take more at once for a sign of a machine that was broken into."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a restore is about, and how it is shown."""

    directory: Path
    endpoint: Endpoint
    wanted: RestoreOptions
    secrets: PasswordOptions
    mode: Mode
    quiet: bool
    verbose: bool
    waits: bool


class Letter(NamedTuple):
    """What the command line says of envelopes."""

    to: Sequence[str] | None
    sender: str | None
    is_resent: bool
    rate: int | None


def check_unused(endpoint: Endpoint, given: Mapping[str, object]) -> None:
    """Raise UsageError if an option is given that has no meaning for this protocol."""
    unfit = [option for option, value in given.items() if value]
    if unfit:
        raise UsageError(
            f"{' and '.join(unfit)} cannot be used with {endpoint.protocol}://", hint="see: mailarchive restore --help"
        )


def send(how: Running, letter: Letter) -> RestoreReport:
    """Send the messages on. Raises UsageError, ArchiveError, SourceError."""
    from mailarchive.ops.resend import ResendTarget, resend
    from mailarchive.ops.resend_rehearsal import rehearse_resend
    from mailarchive.targets.registry import connect_to_send

    if not letter.to or len(letter.to) > 1:
        raise UsageError(
            f"{how.endpoint.protocol}:// needs one address to send to", hint="give --to me@new.example.org"
        )
    recipient = address(letter.to[0], "--to")
    sender = None if letter.sender is None else address(letter.sender, "--from")
    user, host = how.endpoint.user, how.endpoint.host
    secret = secret_for(how.endpoint, f"{user}@{host}", how.secrets) if user else lambda: ""
    clock = SystemClock()
    with watching("restore", quiet=how.quiet, verbose=how.verbose) as watcher, stoppable() as stop:
        account, lines = connect_to_send(
            how.endpoint,
            recipient,
            secret,
            sender=sender,
            clock=clock,
            stop=stop,
            on_wait=telling(watcher, recipient),
        )
        target = ResendTarget(account, lines, recipient, letter.is_resent, _rate(how.endpoint, letter), how.waits)
        run = rehearse_resend if how.mode == "rehearse" else resend
        return run(how.directory, target, how.wanted, observer=watcher, clock=clock, stop=stop)


def _rate(endpoint: Endpoint, letter: Letter) -> int | None:
    if letter.rate is not None:
        return letter.rate
    is_near = endpoint.host.startswith("/") or is_loopback(endpoint.host)
    return None if is_near or endpoint.protocol == "lmtp" else USUAL_RATE
