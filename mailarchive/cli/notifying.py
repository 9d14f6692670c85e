"""Tell somebody by mail that a pull was not complete."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mailarchive.cli.credentials import PasswordOptions, password_for
from mailarchive.cli.terminal import notice
from mailarchive.clock import SystemClock
from mailarchive.configuration import Notify, configuration_file, load
from mailarchive.errors import ExitCode, MailArchiveError, UsageError
from mailarchive.ops.report import PullReport


def whom(text: str | None, config: Path | None) -> Notify | None:
    """Return whom to tell and how, by ``--notify`` and the configuration; None if nobody. Raises UsageError."""
    file = configuration_file(config)
    notify = load(file).notify
    if text is None:
        return notify if notify is not None and notify.to else None
    from mailarchive.mail.address import is_address

    to = text.removeprefix("mailto:")
    if to == text or not is_address(to):
        raise UsageError(f"--notify {text!r} is no address", hint="write it like mailto:me@example.org")
    if notify is None:
        hint = '[notify] with smtp = "smtps://me@smtp.example.org"'
        raise UsageError(f"{file} does not say over which server to send mail", hint=hint)
    return notify._replace(to=to, sender=notify.sender or to)


def tell(settings: Notify | None, reports: Sequence[PullReport], exit_code: int) -> None:
    """Send the mail if the run was not complete; that it cannot be sent is said."""
    if settings is None or not exit_code:
        return
    try:
        _send(settings, reports, exit_code)
    except MailArchiveError as error:
        notice(f"{settings.to} could not be told: {error}")


@contextmanager
def telling_errors(settings: Notify | None, directory: Path) -> Iterator[None]:
    """Send the mail also if an error ends the run; not if another run is at work, or if nothing was begun."""
    try:
        yield
    except MailArchiveError as error:
        if error.exit_code not in {ExitCode.ARCHIVE_LOCKED, ExitCode.USAGE}:
            report = PullReport(str(directory), "failed", error.exit_code, error=str(error), hint=error.hint)
            tell(settings, [report], error.exit_code)
        raise


def _send(settings: Notify, reports: Sequence[PullReport], exit_code: int) -> None:
    import platform

    from mailarchive.ops.notification import notification
    from mailarchive.targets.registry import connect_to_send
    from mailarchive.targets.smtp import account_of

    endpoint, clock = settings.endpoint, SystemClock()
    password = ""
    if endpoint.user:
        name = account_of(endpoint, settings.to).name
        password = password_for(name, PasswordOptions(), settings.credential)
    mail = notification(
        reports, exit_code, host=platform.node(), sender=settings.sender, to=settings.to, now=clock.now()
    )
    _account, connect = connect_to_send(
        endpoint, settings.to, lambda: password, sender=settings.sender, clock=clock, stop=threading.Event()
    )
    line = connect()
    try:
        line.do(lambda smtp: smtp.send(len(mail), lambda: [mail]))
        line.part(lambda smtp: smtp.leave())
    finally:
        line.close()
