"""``mailarchive show``: one message, for people or octet for octet."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from mailarchive.cli import options
from mailarchive.cli.render import clean, clean_lines, dump, size
from mailarchive.cli.terminal import out, out_octets
from mailarchive.errors import UsageError

if TYPE_CHECKING:
    from mailarchive.ops.browse import ShownMessage

_PRINCIPAL = {"date", "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "message-id", "list-id"}


def show(
    prefix: Annotated[str, typer.Argument(metavar="ID", help="The beginning of a message's id, as list shows it.")],
    archive: options.Archive = None,
    raw: Annotated[bool, typer.Option("--raw", help="The exact octets (on a terminal with controls escaped).")] = False,
    all_headers: Annotated[bool, typer.Option("--all-headers", help="Every header field, not only the usual.")] = False,
    as_json: options.Json = False,
) -> int:
    """Show one message.

    Where it was seen, its header fields, its text, and the names of its attachments.
    """
    from mailarchive.ops import browse

    if raw and as_json:
        raise UsageError("--raw and --json do not go together", hint="--raw gives the exact octets; leave --json out")
    directory = options.archive_directory(archive)
    digest = browse.resolve(directory, prefix)
    if raw:
        chunks = browse.raw(directory, digest)
        if sys.stdout.isatty():
            _print_safely(chunks)
        else:
            out_octets(chunks)
        return 0
    message = browse.show(directory, digest)
    if as_json:
        out(dump(_as_object(message)))
    else:
        print_message(message, all_headers=all_headers)
    return 0


def print_message(message: "ShownMessage", *, all_headers: bool = False) -> None:
    """Print a message for people."""
    out(f"id: {message.digest.hex()}  ({size(message.size)})")
    for placement in message.placements:
        out(f"in: {clean(placement)}")
    out("")
    for name, value in message.headers:
        if all_headers or name.lower() in _PRINCIPAL:
            out(f"{clean(name)}: {clean(value)}")
    out("")
    out(clean_lines(message.text).rstrip("\n"))
    if message.attachments:
        out("")
        for name, media_type, octets in message.attachments:
            out(f"attachment: {clean(name) or '(no name)'}  {clean(media_type)}  {size(octets)}")


def _print_safely(chunks: Iterable[bytes]) -> None:
    """Print the source of a message on a terminal, line by line."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            out(clean_lines(line.decode("utf-8", "surrogateescape")))
    if rest:
        out(clean_lines(rest.decode("utf-8", "surrogateescape")))


def _as_object(message: "ShownMessage") -> dict[str, object]:
    return {
        "id": message.digest.hex(),
        "bytes": message.size,
        "placements": list(message.placements),
        "headers": [list(header) for header in message.headers],
        "text": message.text,
        "attachments": [
            {"name": name, "type": media_type, "bytes": octets} for name, media_type, octets in message.attachments
        ],
    }
