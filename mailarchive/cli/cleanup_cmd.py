"""``mailarchive cleanup``: remove from the server what the archive has, if that is wanted, and never by itself."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.accounts import choose
from mailarchive.cli.credentials import PasswordOptions
from mailarchive.cli.failure import Failed
from mailarchive.cli.progress import watching
from mailarchive.cli.render import clean, count, dump, iso, plural, size
from mailarchive.cli.signals import stoppable
from mailarchive.cli.terminal import out, say
from mailarchive.cli.tokens import secret_for
from mailarchive.clock import SystemClock
from mailarchive.config import Endpoint, parse_url
from mailarchive.errors import UsageError

if TYPE_CHECKING:
    from mailarchive.ops.cleanup import CleanupReport, MailboxCleanup
    from mailarchive.ops.cleanup_plan import Share

_CAP = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%|(\d{1,9})")
_LONGEST = 36_500


def cleanup(
    account: Annotated[
        str, typer.Argument(metavar="ACCOUNT|URL", help="The account, by its name in the configuration or the archive.")
    ],
    mailbox: Annotated[
        list[str],
        typer.Option("--mailbox", "-m", metavar="NAME", help="Remove only from this mailbox; its name, no pattern."),
    ],
    older_than: Annotated[
        int, typer.Option("--older-than", metavar="DAYS", min=1, max=_LONGEST, help="Keep what is younger.")
    ],
    cap: Annotated[
        str, typer.Option("--cap", metavar="N|N%", help="At most so many of each mailbox in one run, the oldest first.")
    ] = "10%",
    expunge: Annotated[
        bool, typer.Option("--expunge", help="Remove for good; otherwise messages are moved to the trash.")
    ] = False,
    trash: Annotated[
        str | None, typer.Option("--trash", metavar="NAME", help="The mailbox to move them to [the server's trash].")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; otherwise the plan is only shown.")] = False,
    archive: options.Archive = None,
    as_json: options.JsonObject = False,
    insecure_plaintext: Annotated[
        bool, typer.Option("--insecure-plaintext", help="URLs: no encryption; anybody between can read along.")
    ] = False,
    ca_file: options.CaFile = None,
    config: options.Config = None,
    password_command: options.PasswordCommand = None,
    password_file: options.PasswordFile = None,
) -> int:
    """Remove messages from the server that the archive has. Without --yes: only say which.

    A message goes only if it was read back from the archive and found whole in this very run, if the server shows the
    same message, if it is older than --older-than by the archive's date and the server's, and if it is not flagged. If
    any of them is damaged in the archive, nothing is removed (exit code 13).

    Exit code 3 if not all of the plan was done. The archive keeps everything.
    """
    from mailarchive.ops.cleanup import Wanted
    from mailarchive.ops.cleanup import cleanup as run_cleanup
    from mailarchive.removers.registry import connect

    if expunge and trash is not None:
        raise UsageError("--expunge and --trash exclude each other")
    named = options.named_archive(archive)
    directory = options.archive_directory(named, config)

    def read_url(url: str, security: str) -> Endpoint:
        return parse_url(url, starttls=security == "starttls", insecure_plaintext=insecure_plaintext, ca_file=ca_file)

    try:
        (chosen,) = choose([account], directory if named else None, directory, config, read_url)
        wanted = Wanted(tuple(mailbox), timedelta(days=older_than), _share(cap), expunge, trash)
        secrets = PasswordOptions(password_command, password_file, config)
        secret = secret_for(chosen.endpoint, chosen.account, secrets, chosen.entry)
        with watching("cleanup", quiet=as_json) as watcher, stoppable() as stop:
            report = run_cleanup(
                chosen.archive,
                lambda: connect(chosen.endpoint, secret),
                wanted,
                watcher,
                SystemClock(),
                stop,
                carry_out=yes,
            )
    except Exception as error:
        raise Failed(error, {"archive": str(directory), "account": account}) from error
    if as_json:
        out(dump(_as_object(report)))
    else:
        _print(report)
    return report.exit_code


def _share(text: str) -> "Share":
    from mailarchive.ops.cleanup_plan import Share

    found = _CAP.fullmatch(text.strip())
    percent = float(found[1]) if found and found[1] else None
    if not found or (percent is not None and not 0 < percent <= 100) or found[2] == "0":
        raise UsageError(f"--cap {text!r} is neither a number nor a share", hint="write it like 10% or 500")
    return Share(percent, int(found[2]) if found[2] else None)


def _print(report: "CleanupReport") -> None:
    where = f"moved to {clean(report.trash)}" if report.trash else "removed for good"
    for box in report.mailboxes:
        out(f"{clean(box.mailbox)}: {count(box.listed)} at the server, {_plan(box)}")
        for reason, number in sorted(box.kept.items()):
            out(f"  kept: {count(number)} {clean(reason)}")
        if not report.rehearsed and box.chosen:
            out(f"  {count(box.removed)} of {count(box.chosen)} {where}")
        if box.problem:
            say(f"mailarchive: {clean(box.mailbox)}: {clean(box.problem)}")
    if report.rehearsed and any(box.chosen for box in report.mailboxes):
        out(f"Nothing was changed. With --yes these messages are {where}.")
    if report.error:
        say(f"mailarchive: {clean(report.error)}")
        say(f"  hint: {clean(report.hint)}")


def _plan(box: "MailboxCleanup") -> str:
    if not box.chosen or box.oldest is None or box.newest is None:
        return "none to remove"
    days = f"{box.oldest.date().isoformat()} to {box.newest.date().isoformat()}"
    return f"{plural(box.chosen, 'message')} to remove, {size(box.octets)}, of {days}"


def _as_object(report: "CleanupReport") -> dict[str, object]:
    return {
        "status": "failed" if report.error else "partial" if report.exit_code else "complete",
        "exit_code": int(report.exit_code),
        "archive": report.archive,
        "account": report.account,
        "rehearsed": report.rehearsed,
        "trash": report.trash,
        "mailboxes": [
            {
                "mailbox": box.mailbox,
                "listed": box.listed,
                "chosen": box.chosen,
                "octets": box.octets,
                "oldest": iso(box.oldest),
                "newest": iso(box.newest),
                "kept": dict(box.kept),
                "removed": box.removed,
                "problem": box.problem,
            }
            for box in report.mailboxes
        ],
        "error": report.error,
        "hint": report.hint,
    }
