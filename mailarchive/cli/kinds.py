"""The options that say how an archive keeps messages."""

from typing import TYPE_CHECKING, Annotated, cast

import typer

from mailarchive.errors import UsageError

if TYPE_CHECKING:
    from mailarchive.archive.layout import LayoutName
    from mailarchive.ops.convert import Kind

LAYOUTS, COMPRESSIONS = ("mbox", "maildir"), ("zstd", "none")

Layout = Annotated[str, typer.Option("--layout", metavar="NAME", help="mbox, or maildir: a file a message.")]
Compression = Annotated[
    str | None, typer.Option("--compression", metavar="NAME", help="zstd, or none (maildir only).", show_default="zstd")
]
Level = Annotated[
    int | None,
    typer.Option("--level", metavar="N", help="Of zstd, 1 to 19: smaller, or faster (maildir only).", show_default="3"),
]


def kind_of(layout: str, compression: str | None, level: int | None) -> "Kind":
    """Return the kind of archive that the options name. Raises UsageError."""
    from mailarchive.ops.convert import HIGHEST_LEVEL, LEVEL, Kind

    _one_of("--layout", layout, LAYOUTS)
    if compression is not None:
        _one_of("--compression", compression, COMPRESSIONS)
    if layout == "mbox":
        if compression is not None or level is not None:
            raise UsageError("--compression and --level are for the layout maildir: blocks are always compressed")
        return Kind()
    if compression == "none":
        if level is not None:
            raise UsageError("--level has no meaning with --compression none")
        return Kind("maildir", None)
    if level is not None and not 1 <= level <= HIGHEST_LEVEL:
        raise UsageError(f"--level {level} is not between 1 and {HIGHEST_LEVEL}")
    return Kind(cast("LayoutName", layout), level or LEVEL)


def _one_of(option: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise UsageError(f"{option} {given!r} is not known", hint=f"write {' or '.join(known)}")
