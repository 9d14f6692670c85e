"""Find out what is wrong with an account, its server and its archive, and say of each finding what to do."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from mailarchive.archive.archive import lock_holder
from mailarchive.clock import Clock
from mailarchive.config import Endpoint, account_of
from mailarchive.errors import ExitCode, SourceError
from mailarchive.model import Account
from mailarchive.ops import advice
from mailarchive.ops.status import Expected, patience_of, span, status
from mailarchive.providers import Provider, provider_of
from mailarchive.sources import probing
from mailarchive.sources.base import Source, SourceFactory

Level = Literal["fine", "note", "warning", "problem"]
_FEW_OCTETS = 1 << 30
_SOON = timedelta(days=21)
_MOST_NAMES, _MOST_TEXT = 3, 400


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about ``what``; unless all is well, ``hint`` says what to do."""

    what: str
    level: Level
    sentence: str
    hint: str = ""


class Patient(NamedTuple):
    """An account to be examined: how it is reached, its archive, and how often it is meant to be pulled."""

    endpoint: Endpoint
    connect: SourceFactory
    archive: Path
    every: timedelta | None = None


def examine(patient: Patient, clock: Clock) -> Iterator[Finding]:
    """Yield what is found about an account, its server first; what cannot be tried any more is left out."""
    yield from server(patient, clock)
    yield from archive(patient.archive, account_of(patient.endpoint), clock, patient.every)
    yield from habits(patient.endpoint)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0, or 3 if there is a problem."""
    return ExitCode.PARTIAL if any(finding.level == "problem" for finding in findings) else ExitCode.COMPLETE


# -- the server ----------------------------------------------------------------------------------------------------


def server(patient: Patient, clock: Clock) -> Iterator[Finding]:
    """Reach the server step by step, and log in."""
    endpoint = patient.endpoint
    try:
        found = probing.addresses(endpoint)
        yield Finding("DNS", "fine", f"{endpoint.host} is {', '.join(found)}")
        seconds = _timed(clock, lambda: probing.knock(endpoint))
        yield Finding("connection", "fine", f"port {endpoint.port} answers in {seconds * 1000:.0f} ms")
        greeted = probing.greet(endpoint)
        yield from _greeting(greeted, clock)
        with closing(patient.connect()) as source:
            yield Finding("log-in", "fine", f"{endpoint.user} is logged in")
            yield from _mail(source)
    except SourceError as error:
        hint = advice.hint_for(error, provider_of(endpoint.host, endpoint.port))
        yield Finding("server", "problem", str(error), hint)


def _timed(clock: Clock, work: Callable[[], None]) -> float:
    before = clock.monotonic()
    work()
    return clock.monotonic() - before


def _greeting(greeted: probing.Greeted, clock: Clock) -> Iterator[Finding]:
    certificate = greeted.certificate
    if certificate is None:
        yield Finding("TLS", "warning", "the connection is not encrypted", "use TLS unless nobody can listen between")
    else:
        left = certificate.not_after - clock.now()
        names = ", ".join(certificate.names[:_MOST_NAMES])
        sentence = f"{certificate.version}; certificate for {names}, by {certificate.issuer}, good for {left.days} days"
        if left < _SOON:
            yield Finding("TLS", "warning", sentence, "whoever runs the server should renew its certificate")
        else:
            yield Finding("TLS", "fine", sentence)
    offered = " ".join(greeted.capabilities) or "nothing that it names"
    yield Finding("greeting", "fine", f"before log-in the server offers {offered[:_MOST_TEXT]}")


def _mail(source: Source) -> Iterator[Finding]:
    """List the mailboxes, and fetch the header of one message."""
    mailboxes = source.mailboxes()
    yield Finding("mailboxes", "fine" if mailboxes else "problem", f"mailboxes that are listed: {len(mailboxes)}")
    inbox = next((box for box in mailboxes if box.name.parts == ("INBOX",)), next(iter(mailboxes), None))
    if inbox is None:
        return
    opened = source.open(inbox)
    uids = opened.uids()
    if not uids:
        yield Finding("message", "note", f"{inbox.name} is empty, so no message was fetched")
        return
    shown = [octets for _uid, octets in opened.headers(uids[-1:])]
    if shown:
        yield Finding("message", "fine", f"the header of a message in {inbox.name} came: {len(shown[0])} octets")
    else:
        sentence = f"the server shows no header of a message in {inbox.name}"
        yield Finding("message", "warning", sentence, "see what a pull says with --verbose")


# -- the archive ---------------------------------------------------------------------------------------------------


def archive(directory: Path, account: Account, clock: Clock, every: timedelta | None = None) -> Iterator[Finding]:
    """Look at the archive: who may read it, room, lock, and when the account was pulled last as a whole."""
    expected = Expected(account.name, account.name, patience_of(every, None))
    (found,) = status(directory, [expected], clock, None)
    if found.error:
        yield Finding("archive", "problem", found.error, "see: mailarchive verify")
        return
    if not directory.is_dir():
        yield Finding("archive", "note", f"there is no archive at {directory} yet", "the first pull makes it")
        yield _room(_existing(directory))
        return
    yield from _kept(directory)
    if found.complete is None or found.stale:
        yield Finding("last run", "warning", found.why, "run: mailarchive pull")
    else:
        yield Finding("last run", "fine", f"the last complete pull ended {span(clock.now() - found.complete)} ago")
    if found.failed:
        sentence = f"messages that could not be fetched: {found.failed}"
        yield Finding("failures", "warning", sentence, "see: mailarchive failures")


def _kept(directory: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        sentence = f"others can write to {directory}, and what they change is no longer what was received"
        yield Finding("permissions", "warning", sentence, f"chmod 700 {directory}")
    elif mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("permissions", "warning", f"others may look into {directory}", f"chmod 700 {directory}")
    elif not os.access(directory, os.W_OK):
        yield Finding("permissions", "problem", f"nothing can be written to {directory}", "look who owns it")
    else:
        yield Finding("permissions", "fine", f"only its owner can look into {directory}")
    yield _room(directory)
    if holder := lock_holder(directory):
        yield Finding("lock", "note", f"the archive is being written by {holder}")
    else:
        yield Finding("lock", "fine", "nobody is writing to the archive")


def _room(directory: Path) -> Finding:
    free = shutil.disk_usage(directory).free
    sentence = f"{free / 1e9:.1f} GB are free for the archive"
    if free < _FEW_OCTETS:
        return Finding("room", "warning", sentence, "make room, or move the archive to a larger disk")
    return Finding("room", "fine", sentence)


def _existing(directory: Path) -> Path:
    """Return the directory, or the first above it that is there."""
    return next(path for path in (directory, *directory.parents) if path.is_dir())


# -- the provider --------------------------------------------------------------------------------------------------


def habits(endpoint: Endpoint) -> Iterator[Finding]:
    """Tell what is known of the provider."""
    provider = provider_of(endpoint.host, endpoint.port)
    for sentence in _habits(provider) if provider else ():
        yield Finding(provider.name if provider else "", "note", sentence)


def _habits(provider: Provider) -> Iterator[str]:
    yield from provider.advice.values()
    if provider.connections:
        yield f"it allows {provider.connections} connections at a time"
    if provider.download:
        yield f"it lets about {provider.download / 1e9:.1f} GB be downloaded a day (keep below with --max-download)"
