"""``mailarchive verify``: is everything in the archive what was written."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.progress import watching
from mailarchive.cli.render import clean, count, dump, plural, seconds, size
from mailarchive.cli.terminal import out
from mailarchive.errors import ExitCode

if TYPE_CHECKING:
    from mailarchive.ops.verify import VerifyReport


def verify(
    archive: options.Archive = None,
    quick: Annotated[bool, typer.Option("--quick", help="Structure only; does not read the mail.")] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Check that everything is as it was written.

    The journal's chain, every block, every message's SHA-256, and the catalog. Exit code 13 if anything is damaged.
    """
    from mailarchive.ops.verify import verify as run_verify

    with watching("verify", quiet=quiet) as watcher:
        report = run_verify(options.archive_directory(archive), quick=quick, observer=watcher)
    code = ExitCode.INTEGRITY if report.damage else ExitCode.COMPLETE
    if as_json:
        out(dump({"status": "damaged" if report.damage else "whole", "exit_code": int(code), **asdict(report)}))
    elif report.damage or not quiet:
        print_verified(report)
    return code


def print_verified(report: "VerifyReport") -> None:
    """Print what is damaged and what is whole."""
    for sentence in report.damage:
        out(f"damaged: {clean(sentence)}")
    messages = plural(report.messages, "message")
    if not report.quick:
        messages = f"{count(report.messages - report.damaged_messages)} of {messages} are what was received"
    out(
        f"{'damaged' if report.damage else 'whole'}: {messages}{' not read' if report.quick else ''} "
        f"({size(report.octets)}), {plural(report.blocks, 'block')}, {plural(report.journal_lines, 'journal line')}, "
        f"{plural(report.checkpoints, 'checkpoint')}; {seconds(report.seconds)}"
    )
