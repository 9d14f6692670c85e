"""Pull accounts into their archives, with their passwords and a watcher."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mailarchive.cli.accounts import Chosen
from mailarchive.cli.credentials import PasswordOptions
from mailarchive.cli.progress import Watcher, telling, watching
from mailarchive.cli.signals import stoppable
from mailarchive.cli.tokens import Secret, secret_for
from mailarchive.clock import Clock, SystemClock
from mailarchive.config import account_of
from mailarchive.errors import ArchiveError, AuthenticationFailed, Interrupted, MailArchiveError
from mailarchive.ops.abreast import Lanes, side_by_side
from mailarchive.ops.events import Detail
from mailarchive.ops.lock_wait import when_free
from mailarchive.ops.options import PullAccount, PullOptions
from mailarchive.ops.report import PullReport
from mailarchive.sources.base import Source, SourceFactory


class Running(NamedTuple):
    """What is pulled from all, and how a run speaks and waits."""

    wanted: PullOptions
    secrets: PasswordOptions
    quiet: bool
    verbose: bool
    waits: bool
    lock_patience: timedelta = timedelta()
    """How long to wait for an archive that another process is writing to."""
    delay: timedelta = timedelta()
    """How long to wait at most, at random, before anything is done."""


def run_pulls(chosen: Sequence[Chosen], how: Running) -> list[PullReport]:
    """Pull accounts into their archives, side by side; return a report for each archive.

    Raises what ``pull`` raises if there is one archive only; else that is told in its report.
    """
    from mailarchive.ops.pull import pull

    found = _secrets(chosen, how.secrets)
    clock, lanes = SystemClock(), Lanes()
    with watching("pull", quiet=how.quiet, verbose=how.verbose) as watcher, stoppable() as stop:
        if how.delay and clock.sleep(how.delay.total_seconds() * clock.jitter(), stop):
            raise Interrupted(stop.signum)
        batches: dict[Path, list[PullAccount]] = {}
        for one, secret in zip(chosen, found, strict=True):
            account = _account(one, secret, how, clock, stop, watcher)
            batches.setdefault(one.archive, []).append(account)

        def into(directory: Path) -> PullReport:
            work = partial(
                pull, directory, batches[directory], how.wanted, observer=watcher, clock=clock, stop=stop, lanes=lanes
            )
            try:
                return when_free(directory, how.lock_patience, work, watcher, clock, stop)
            except ArchiveError as error:
                if len(batches) == 1:
                    raise
                return PullReport(str(directory), "failed", error.exit_code, error=str(error), hint=error.hint)

        return side_by_side(list(batches), into)


def _secrets(chosen: Sequence[Chosen], secrets: PasswordOptions) -> list[Secret | MailArchiveError]:
    """Return what gives each account's password or token, or why there is none. Raises that if no account has one."""
    found: list[Secret | MailArchiveError] = []
    for one in chosen:
        try:
            found.append(secret_for(one.endpoint, one.account, secrets, one.entry, is_alone=len(chosen) == 1))
        except MailArchiveError as error:
            found.append(error)
    reasons = [secret for secret in found if isinstance(secret, MailArchiveError)]
    if len(reasons) == len(found):
        raise reasons[0]
    return found


def _account(
    chosen: Chosen,
    secret: Secret | MailArchiveError,
    how: Running,
    clock: Clock,
    stop: threading.Event,
    watcher: Watcher,
) -> PullAccount:
    """Return the account to pull; without a secret each connection fails with the reason."""
    from mailarchive.sources.registry import connect, most_connections

    endpoint = chosen.endpoint
    account = account_of(endpoint)

    def tell(sentence: str) -> None:
        watcher(Detail(f"{account.name}: {sentence}"))

    if isinstance(secret, MailArchiveError):
        factory = _refusing(secret)
    else:
        on_wait = telling(watcher, account.name)
        connected = connect(endpoint, secret, clock=clock, stop=stop, on_wait=on_wait, waits=how.waits, tell=tell)
        factory = _with_secret(secret, connected)
    options = _options(chosen, how.wanted)
    return PullAccount(account, factory, most_connections(endpoint), options, endpoint.host, chosen.name)


def _options(chosen: Chosen, wanted: PullOptions) -> PullOptions:
    """Return what is pulled from an account: what the command line says, and for the rest the configuration."""
    entry = chosen.entry
    if entry is None:
        return wanted
    return wanted._replace(
        mailboxes=wanted.mailboxes or entry.mailboxes,
        exclude=wanted.exclude or entry.exclude,
        connections=wanted.connections or entry.connections,
        max_download=wanted.max_download or entry.max_download,
        newest_first=wanted.newest_first or entry.newest_first,
    )


def _with_secret(secret: Secret, connected: SourceFactory) -> SourceFactory:
    """Ask for the secret before there is a connection: a server waits only so long for a log-in."""

    def open_source() -> Source:
        secret()
        return connected()

    return open_source


def _refusing(error: MailArchiveError) -> SourceFactory:
    def refuse() -> Source:
        raise AuthenticationFailed(str(error), hint=error.hint)

    return refuse
