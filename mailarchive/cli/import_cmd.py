"""``mailarchive import``: mail out of files into the archive."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mailarchive.cli import options
from mailarchive.cli.progress import watching
from mailarchive.cli.render import clean, count, dump, plural, size
from mailarchive.cli.signals import stoppable
from mailarchive.cli.terminal import out
from mailarchive.clock import SystemClock
from mailarchive.errors import UsageError

if TYPE_CHECKING:
    from mailarchive.ops.import_mail import Dialect, ImportReport

DIALECTS = ("mboxrd", "mboxo", "mboxcl", "mboxcl2")


def import_mail(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, and directories of them.")],
    archive: options.Archive = None,
    account: Annotated[
        str, typer.Option("--account", metavar="NAME", help="What the archive calls the account of this mail.")
    ] = "import",
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", "-m", metavar="NAME", help="Put everything into this mailbox.")
    ] = None,
    dialect: Annotated[
        str | None, typer.Option("--dialect", metavar="|".join(DIALECTS), help="Of mbox files; else told by evidence.")
    ] = None,
    keep_variants: Annotated[
        bool,
        typer.Option(
            "--keep-variants", help="Store a message again that differs in line ends or a mail program's lines only."
        ),
    ] = False,
    config: options.Config = None,
    as_json: options.JsonObject = False,
    quiet: options.Quiet = False,
) -> int:
    """Import mail: mbox (also compressed, and Google's Takeout), Maildir, eml, emlx, MH, Thunderbird, pst, msg.

    The files are only read. Importing again, or going on after an interruption, stores nothing twice.
    """
    from mailarchive.mail.mailbox_name import printed_parts
    from mailarchive.ops.import_mail import ImportOptions
    from mailarchive.ops.import_mail import import_mail as run_import

    if dialect is not None and dialect not in DIALECTS:
        raise UsageError(f"there is no dialect {dialect!r}", hint=f"choose {', '.join(DIALECTS)}")
    for name, what in ((account, "an account"), ("-" if mailbox is None else mailbox, "a mailbox")):
        if not name.strip() or not name.isprintable():
            raise UsageError(f"{what} needs a name that can be printed, not {name!r}")
    parts = printed_parts(mailbox) if mailbox else ()
    wanted = ImportOptions(account, parts, cast("Dialect", dialect), keep_variants)
    with watching("import", quiet=quiet) as watcher, stoppable() as stop:
        place = options.archive_directory(archive, config)
        report = run_import(place, [options.directory(path) for path in paths], wanted, watcher, SystemClock(), stop)
    if as_json:
        out(dump({"exit_code": report.exit_code, **asdict(report)}))
    elif not quiet or report.left_out:
        _print(report)
    return report.exit_code


def _print(report: "ImportReport") -> None:
    word = "interrupted" if report.interrupted else "partial" if report.left_out else "complete"
    parts = [f"{count(report.new)} new ({size(report.octets)})", f"{count(report.known)} known"]
    if report.linked:
        parts.append(f"{count(report.linked)} in the archive already")
    if report.variants:
        parts.append(f"{count(report.variants)} there in another form")
    if report.left_out:
        parts.append(f"{count(len(report.left_out))} left out")
    out(f"{clean(report.account)}: {word}: {plural(report.found, 'message')} found: {', '.join(parts)}")
