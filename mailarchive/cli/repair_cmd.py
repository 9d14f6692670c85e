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
    code = ExitCode.PARTIAL if report.damaged or report.lost_before else ExitCode.COMPLETE
    before = f"{plural(report.lost_before, 'message')} recorded as lost before" if report.lost_before else ""
    if as_json:
        damaged = [digest.hex() for digest in report.damaged]
        facts = {"damaged": damaged, "octets": report.octets, "lost_before": report.lost_before}
        out(dump({"exit_code": int(code), **facts}))
    elif report.damaged or report.lost_before:
        found = f"{plural(len(report.damaged), 'message')} ({size(report.octets)}) damaged" if report.damaged else ""
        out(f"{', '.join(filter(None, (found, before)))}; to fetch again: mailarchive pull")
    elif not quiet:
        out("every message is what was received; nothing to repair")
    return code
