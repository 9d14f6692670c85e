"""``mailarchive convert``: an archive in another layout."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mailarchive.cli import kinds, options
from mailarchive.cli.progress import watching
from mailarchive.cli.render import clean, dump, plural, size
from mailarchive.cli.terminal import out
from mailarchive.clock import SystemClock


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The archive there is.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A new directory.")],
    layout: kinds.Layout,
    compression: kinds.Compression = None,
    level: kinds.Level = None,
    as_json: options.JsonObject = False,
    quiet: options.Quiet = False,
) -> int:
    """Make a second archive in another layout, with all messages and all history of the first.

    No server is asked. Each message is compared with its SHA-256 on the way, and read back. The first archive stays.
    """
    from mailarchive.ops.convert import convert as run_convert

    kind = kinds.kind_of(layout, compression, level)
    with watching("convert", quiet=quiet) as watcher:
        source, destination = options.directory(source), options.directory(destination)
        report = run_convert(source, destination, kind, watcher, SystemClock())
    if as_json:
        out(dump({"exit_code": 0, **asdict(report)}))
    elif not quiet:
        messages = f"{plural(report.messages, 'message')} ({size(report.octets)})"
        out(f"{messages} are in {clean(str(destination))}, as they were")
    return 0
