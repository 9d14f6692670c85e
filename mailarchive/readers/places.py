"""What a path holds: one mailbox, or a tree of them in the form of whatever program it is of."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mailarchive.errors import UsageError
from mailarchive.mail.from_line import LONGEST
from mailarchive.readers import files, maildirs, mboxes, outlook
from mailarchive.readers.base import Letter, Place, Read, Reading
from mailarchive.readers.compressed import Unreadable, beginning_of, without_ending

_BY_ENDING = {".eml": "eml", ".emlx": "emlx", ".msg": "msg", ".pst": "pst", ".ost": "pst", ".dbx": "dbx"}
_ONE_MESSAGE = {"eml", "emlx", "msg"}
_NO_MAIL = (".msf", ".dat", ".html", ".json", ".sqlite", ".db", ".ini", ".log", ".js", ".xml", ".imap", ".plist")
_MBOX_ENDINGS = (".mbox", ".mbx", ".mboxrd", ".mboxo", ".mboxcl", ".mboxcl2")
_APPLES = re.compile(r"Messages|Data|\d+|[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}")
_READ: Mapping[str, Read] = {
    "mbox": mboxes.read,
    "maildir": maildirs.read,
    "mh": files.read_mh,
    "eml": files.read_eml,
    "emlx": files.read_emlx,
    "pst": outlook.read_pst,
    "msg": outlook.read_msg,
    "dbx": outlook.read_dbx,
}

Tell = Callable[[str], None]


def read(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the messages of a place. Raises Unreadable."""
    return _READ[place.kind](place, reading)


def places(path: Path, tell: Tell) -> Iterator[Place]:
    """Yield where there is mail at ``path``, with the mailbox that each is; ``tell`` gets what is passed over.

    Raises UsageError if there is nothing.
    """
    if not path.exists():
        raise UsageError(f"there is no {path}")
    found = list(_in_directory(path, (), tell) if path.is_dir() else _file(path, (), tell))
    if not found:
        what = "mbox, Maildir, eml, emlx, MH, pst, msg, or a directory of these"
        raise UsageError(f"there is no mail at {path}", hint=f"it may be {what}")
    yield from found


def _in_directory(path: Path, mailbox: tuple[str, ...], tell: Tell) -> Iterator[Place]:
    if maildirs.is_maildir(path):
        yield from maildirs.places(path, mailbox)
        yield from _nested(path, mailbox, tell)
        return
    entries = sorted(path.iterdir())
    letters = {entry for entry in entries if entry.name.isdigit() and entry.is_file() and not _is_mbox(entry, tell)}
    if letters:
        yield Place(path, mailbox or (path.name,), "mh")
    for entry in entries:
        if entry.is_symlink() and not entry.exists():
            continue
        if entry.is_dir():
            yield from _in_directory(entry, (*mailbox, *_directory_name(entry)), tell)
        elif entry not in letters:
            yield from _file(entry, mailbox, tell)


def _nested(path: Path, mailbox: tuple[str, ...], tell: Tell) -> Iterator[Place]:
    """Yield the mailboxes that are directories within a Maildir, as mbsync and OfflineIMAP can have them."""
    for below in sorted(path.iterdir()):
        if below.is_dir() and not below.name.startswith(".") and below.name not in {"cur", "new", "tmp"}:
            yield from _in_directory(below, (*mailbox, below.name), tell)


def _directory_name(path: Path) -> tuple[str, ...]:
    """Return what a directory adds to a mailbox's name: Thunderbird's end in .sbd, Apple's in .mbox and have others."""
    for ending in (".sbd", ".mbox"):
        if path.name.endswith(ending):
            return (path.name.removesuffix(ending),)
    in_apples = any(parent.name.endswith(".mbox") for parent in path.parents)
    return () if in_apples and _APPLES.fullmatch(path.name) else (path.name,)


def _file(path: Path, mailbox: tuple[str, ...], tell: Tell) -> Iterator[Place]:
    name = without_ending(path.name)
    kind = _BY_ENDING.get(Path(name).suffix.lower())
    if kind in _ONE_MESSAGE:
        yield Place(path, mailbox or ("INBOX",), kind or "")
        return
    if kind is not None:
        yield Place(path, (*mailbox, Path(name).stem), kind)
        return
    if name.startswith(".") or name.lower().endswith(_NO_MAIL):
        return
    if _is_mbox(path, tell):
        yield Place(path, mailbox if name == "mbox" and mailbox else (*mailbox, _mbox_name(name)), "mbox")
    elif path.stat().st_size:
        tell(f"{path} is no mailbox, and was passed over")


def _is_mbox(path: Path, tell: Tell) -> bool:
    try:
        return mboxes.is_mbox(beginning_of(path, LONGEST))
    except Unreadable as error:
        tell(str(error))
        return False


def _mbox_name(name: str) -> str:
    for ending in _MBOX_ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
