"""Those who want to know how a pull went besides the user: a monitor that is pinged, and a file of metrics."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mailarchive.cli.accounts import Chosen
from mailarchive.cli.terminal import notice
from mailarchive.clock import SystemClock
from mailarchive.errors import ExitCode, MailArchiveError, UsageError
from mailarchive.ops.report import PullReport

if TYPE_CHECKING:
    from mailarchive.ops.status import AccountStatus

PING = "MAILARCHIVE_PING"
Result = TypeVar("Result")


def pinged(url: str | None, work: Callable[[], Result], code_of: Callable[[Result], int]) -> Result:
    """Return what ``work`` returns; tell the monitor at ``url`` before and after. That may fail: then it is said.

    Raises UsageError for a URL that cannot be, and what ``work`` raises.
    """
    url = url or os.environ.get(PING)
    if not url:
        return work()
    from mailarchive.targets.monitor import check_url

    check_url(url)
    _tell(url, "start", "")
    try:
        result = work()
    except BaseException as error:
        code = error.exit_code if isinstance(error, MailArchiveError) else 1
        _tell(url, "fail", f"exit code {int(code)}: {error}")
        raise
    code = code_of(result)
    _tell(url, "fail" if code else "", f"exit code {int(code)}")
    return result


def _tell(url: str, outcome: str, body: str) -> None:
    from mailarchive.targets.monitor import ping

    try:
        ping(url, outcome, body)
    except MailArchiveError as error:
        notice(str(error))


def check_metrics(file: Path | None) -> None:
    """Raise UsageError if there is no directory to write the metrics into."""
    if file is not None and not file.expanduser().absolute().parent.is_dir():
        raise UsageError(f"there is no directory {file.parent} for the metrics", hint="make it, or name another file")


def put_metrics(file: Path | None, chosen: Sequence[Chosen], reports: Sequence[PullReport]) -> int:
    """Write the metrics of the accounts that were pulled, if there is a file for them; return 0, or what failed."""
    if file is None:
        return ExitCode.COMPLETE
    from mailarchive.ops.metrics import Run, write_metrics

    now = SystemClock().now()
    runs = [Run(report.archive, report.exit_code, now, report.accounts) for report in reports]
    try:
        write_metrics(file, _statuses(chosen), runs)
    except MailArchiveError as error:
        notice(f"the metrics are not written: {error}")
        return error.exit_code
    return ExitCode.COMPLETE


def _statuses(chosen: Sequence[Chosen]) -> "list[AccountStatus]":
    from mailarchive.ops.status import Expected, patience_of, status

    found: list[AccountStatus] = []
    for archive in dict.fromkeys(one.archive for one in chosen):
        expected = [
            Expected(one.name, one.account, patience_of(one.entry.every if one.entry else None, None))
            for one in chosen
            if one.archive == archive
        ]
        found += status(archive, expected, SystemClock(), None)
    return found
