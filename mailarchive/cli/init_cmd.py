"""``mailarchive init``: an empty archive."""

from pathlib import Path
from typing import Annotated

import typer

from mailarchive.cli import kinds, options
from mailarchive.cli.render import clean
from mailarchive.cli.terminal import out
from mailarchive.clock import SystemClock


def init(
    directory: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A new or empty directory.")] = None,
    archive: options.Archive = None,
    layout: kinds.Layout = "mbox",
    compression: kinds.Compression = None,
    level: kinds.Level = None,
    config: options.Config = None,
    quiet: options.Quiet = False,
) -> int:
    """Make an empty archive; without this the first pull makes one of the layout mbox."""
    from mailarchive.ops.convert import make

    kind = kinds.kind_of(layout, compression, level)
    place = options.archive_directory(directory or archive, config)
    make(place, kind, SystemClock())
    if not quiet:
        out(f"made an empty archive, layout {layout}: {clean(str(place))}")
    return 0
