"""Archives of mailvault: .eml files named by their hash, and a log of which mailbox each was seen in."""

import json
from collections.abc import Iterator
from pathlib import Path

from mailarchive.readers.base import Letter, Place, Reading
from mailarchive.readers.files import body_of
from mailarchive.readers.regular import contents, open_regular

_LOG = "meta/*/*.jsonl"
_ENDINGS = (".eml", ".eml.zst")


def is_mailvault(path: Path) -> bool:
    """Return whether a directory is an archive of mailvault."""
    log = next(path.glob(_LOG), None)
    return log is not None and _header(log) is not None


def read(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the messages, once for each mailbox that they were seen in."""
    seen = _mailboxes(place.path)
    for path in sorted(place.path.rglob("*.eml*")):
        if path.name.endswith(_ENDINGS) and path.is_file():
            for mailbox in sorted(seen.get(path.name.partition(".")[0], {()})):
                body = body_of(path, reading)
                if body is not None:
                    yield Letter((*place.mailbox, *mailbox) or ("INBOX",), body, str(path))


def _mailboxes(path: Path) -> dict[str, set[tuple[str, ...]]]:
    """Return the mailboxes by the name of the message's file."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for log in path.glob(_LOG):
        folder = _header(log)
        if folder is None:
            continue
        parts = tuple(part for part in folder.split("/") if part)
        for line in contents(log).splitlines()[1:]:
            if isinstance(told := _object(line).get("store_id"), str):
                found.setdefault(told, set()).add(parts)
    return found


def _header(log: Path) -> str | None:
    """Return the mailbox that a log is about, empty if it does not know; None if it is no log."""
    try:
        with open_regular(log) as file:
            header = _object(file.readline())
    except OSError:
        return None
    if header.get("version") not in {1, 2} or "folder" not in header:
        return None
    return str(header["folder"] or "")


def _object(line: bytes) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
