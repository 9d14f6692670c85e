"""Restores from one loopback account to another, in this process and in no time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailarchive.clock import Stop
from mailarchive.config import Endpoint, account_of
from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.events import ignore
from mailarchive.ops.restore import restore
from mailarchive.ops.restore_options import RestoreOptions, RestoreTarget
from mailarchive.ops.restore_rehearsal import rehearse
from mailarchive.ops.restore_report import RestoreReport
from mailarchive.ops.restore_verify import RestoreVerification, verify_restore
from mailarchive.targets.registry import connect
from tests.integration.sites import Site
from tests.servers.still_clock import StillClock

DATE = datetime(2024, 1, 1, tzinfo=UTC)
FLAGS = frozenset({"\\Seen", "$Work"})
ONE = RestoreOptions(connections=1)


def source(*messages: bytes) -> LoopbackAccount:
    """Return an account with messages in INBOX, each a day younger than the one before."""
    account = LoopbackAccount(capabilities=CAPABILITIES)
    for number, octets in enumerate(messages):
        account.append("INBOX", octets, internaldate=DATE + timedelta(days=number), flags=FLAGS)
    return account


def also_in(account: LoopbackAccount, name: str, *messages: bytes) -> None:
    """Put messages of INBOX into another mailbox as well, with the same date and flags."""
    if name not in account:
        account.create(name)
    for one in account.messages("INBOX"):
        if one.octets in messages:
            account.append(name, one.octets, internaldate=one.internaldate, flags=one.flags)


def archive_of(account: LoopbackAccount, home: Path) -> Path:
    """Pull an account, and return where the archive is."""
    with LoopbackServer(account) as server:
        Site(server, home / "archive").pull()
    return home / "archive"


def target_at(server: LoopbackServer, stop: Stop, *, waits: bool = False) -> RestoreTarget:
    endpoint = Endpoint("imap", "user", "localhost", server.port, "plain", compress="never")
    lines = connect(endpoint, lambda: "secret", clock=StillClock(), stop=stop, waits=waits)
    return RestoreTarget(account_of(endpoint), lines)


def adding_up(report: RestoreReport) -> RestoreReport:
    for box in report.mailboxes:
        there = box.settled + box.to_send + box.to_copy
        assert box.wanted == there + box.refused + box.damaged + box.left, box
    return report


def run(
    server: LoopbackServer,
    root: Path,
    options: RestoreOptions = ONE,
    *,
    waits: bool = False,
    clock: StillClock | None = None,
) -> RestoreReport:
    stop, target = Stop(), target_at(server, Stop(), waits=waits)
    return adding_up(restore(root, target, options, observer=ignore, clock=clock or StillClock(), stop=stop))


def rehearsed(server: LoopbackServer, root: Path, options: RestoreOptions = ONE) -> RestoreReport:
    stop = Stop()
    return adding_up(rehearse(root, target_at(server, stop), options, observer=ignore, clock=StillClock(), stop=stop))


def verified(server: LoopbackServer, root: Path, options: RestoreOptions = ONE) -> RestoreVerification:
    """Compare every octet."""
    stop = Stop()
    target = target_at(server, stop)
    return verify_restore(root, target, options, full=True, observer=ignore, clock=StillClock(), stop=stop)


def octets(account: LoopbackAccount, mailbox: str) -> list[bytes]:
    return [message.octets for message in account.messages(mailbox)]
