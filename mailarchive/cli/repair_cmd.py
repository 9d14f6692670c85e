"""``mailarchive repair``: give up damaged octets, so that they are fetched again."""

from mailarchive.cli import options
from mailarchive.cli.progress import watching
from mailarchive.cli.render import dump, plural, size
from mailarchive.cli.terminal import out
from mailarchive.clock import SystemClock
from mailarchive.errors import ExitCode


def repair(archive: options.Archive = None, as_json: options.Json = False, quiet: options.Quiet = False) -> int:
    """Record damaged messages as lost, so that the next pull fetches them again.

    Nothing is removed. Exit code 3 if there are any; then run: mailarchive pull
    """
    from mailarchive.ops.repair import repair as run_repair

    with watching("repair", quiet=quiet) as watcher:
        report = run_repair(options.archive_directory(archive), watcher, SystemClock())
    code = ExitCode.PARTIAL if report.damaged else ExitCode.COMPLETE
    if as_json:
        damaged = [digest.hex() for digest in report.damaged]
        out(dump({"exit_code": int(code), "damaged": damaged, "octets": report.octets}))
    elif report.damaged:
        number = plural(len(report.damaged), "message")
        out(f"{number} ({size(report.octets)}) damaged; to fetch again: mailarchive pull")
    elif not quiet:
        out("every message is what was received; nothing to repair")
    return code
