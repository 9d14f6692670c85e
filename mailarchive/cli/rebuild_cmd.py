"""``mailarchive rebuild``: the catalog anew from the journal."""

from dataclasses import asdict

from mailarchive.cli import options
from mailarchive.cli.progress import watching
from mailarchive.cli.render import dump, plural
from mailarchive.cli.terminal import out


def rebuild(archive: options.Archive = None, as_json: options.Json = False, quiet: options.Quiet = False) -> int:
    """Make the catalog anew from the journal."""
    from mailarchive.ops.rebuild import rebuild as run_rebuild

    with watching("rebuild", quiet=quiet) as watcher:
        report = run_rebuild(options.archive_directory(archive), watcher)
    if as_json:
        out(dump(asdict(report)))
    elif not quiet:
        out(
            f"catalog rebuilt from {plural(report.journal_lines, 'journal line')}: "
            f"{plural(report.messages, 'message')}, {plural(report.placements, 'placement')} "
            f"in {plural(report.mailboxes, 'mailbox')}"
        )
    return 0
