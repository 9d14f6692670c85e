"""What a path holds: one mailbox, or a tree of them in the form of whatever program it is of."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mailarchive.errors import UsageError
from mailarchive.mail.mailbox_name import decoded
from mailarchive.readers import files, gyb, maildirs, mailvault, mboxes, outlook
from mailarchive.readers.base import Letter, Notes, Place, Read, Reading
from mailarchive.readers.compressed import Unreadable, beginning_of, without_ending

_BY_ENDING = {".eml": "eml", ".emlx": "emlx", ".msg": "msg", ".pst": "pst", ".ost": "pst", ".dbx": "dbx"}
_ONE_MESSAGE = {"eml", "emlx", "msg"}
_NO_MAIL = (".msf", ".dat", ".html", ".json", ".sqlite", ".db", ".ini", ".log", ".js", ".xml", ".imap", ".plist")
_ARCHIVE = "archive.toml"
_PARTIAL = ".partial.emlx"
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
    "gyb": gyb.read,
    "mailvault": mailvault.read,
}

_BEGINNING = 1 << 16


def read(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the messages of a place. Raises Unreadable."""
    return _READ[place.kind](place, reading)


def places(path: Path, notes: Notes) -> Iterator[Place]:
    """Yield where there is mail at ``path``, with the mailbox that each is; ``notes`` get what is passed over.

    Raises UsageError if there is nothing.
    """
    if not path.exists():
        raise UsageError(f"there is no {path}")
    if not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path} is neither a file nor a directory", hint="put what comes through a pipe into a file")
    walk = _Walk(notes)
    found = list(walk.directory(path, ()) if path.is_dir() else walk.file(path, ()))
    if not found:
        what = "mbox, Maildir, eml, emlx, MH, pst, msg, or a directory of these"
        raise UsageError(f"there is no mail at {path}", hint=f"it may be {what}")
    if partial := sum(place.path.name.endswith(_PARTIAL) for place in found):
        notes.tell(f"{partial} of the messages at {path} lack attachments, which Apple Mail keeps elsewhere, if at all")
    yield from found


class _Walk:
    """Goes through a tree, each directory once, wherever links lead."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._seen: set[tuple[int, int]] = set()

    def directory(self, path: Path, mailbox: tuple[str, ...]) -> Iterator[Place]:
        """Yield what a directory has."""
        try:
            status = path.stat()
            entries = sorted(path.iterdir())
        except OSError as error:
            self._notes.leave_out(str(path), error.strerror or "it cannot be read")
            return
        if (status.st_dev, status.st_ino) in self._seen:
            return
        self._seen.add((status.st_dev, status.st_ino))
        if path / _ARCHIVE in entries:
            self._notes.tell(
                f"{path} is an archive of mailarchive, and was passed over; import what is exported from it"
            )
        elif (path / gyb.DATABASE).is_file():
            yield Place(path, mailbox, "gyb")
        elif mailvault.is_mailvault(path):
            yield Place(path, mailbox, "mailvault")
        elif maildirs.is_maildir(path):
            yield from maildirs.places(path, _split(mailbox) if maildirs.is_offlineimaps(path) else mailbox)
            yield from self._within_maildir(entries, mailbox)
        else:
            yield from self._entries(path, entries, mailbox)

    def _entries(self, path: Path, entries: list[Path], mailbox: tuple[str, ...]) -> Iterator[Place]:
        letters = {one for one in entries if one.name.isdigit() and one.is_file() and _is_letter(one)}
        if letters:
            yield Place(path, mailbox or (path.name,), "mh")
        for entry in entries:
            if entry.is_dir():
                yield from self.directory(entry, (*mailbox, *_directory_name(entry)))
            elif entry.is_file() and entry not in letters:
                yield from self.file(entry, mailbox)
            elif not entry.is_file():
                self._notes.tell(f"{entry} is neither a file nor a directory, and was passed over")

    def _within_maildir(self, entries: list[Path], mailbox: tuple[str, ...]) -> Iterator[Place]:
        """Yield the mailboxes that are directories within a Maildir, as mbsync and OfflineIMAP can have them."""
        for below in entries:
            if below.is_dir() and not below.name.startswith(".") and below.name not in {"cur", "new", "tmp"}:
                yield from self.directory(below, (*mailbox, decoded(below.name)))

    def file(self, path: Path, mailbox: tuple[str, ...]) -> Iterator[Place]:
        """Yield what a file is, if it has mail."""
        name = without_ending(path.name)
        kind = _BY_ENDING.get(Path(name).suffix.lower())
        if kind in _ONE_MESSAGE:
            yield Place(path, mailbox or ("INBOX",), kind or "")
        elif kind is not None:
            yield Place(path, (*mailbox, Path(name).stem), kind)
        elif name.startswith(".") or name.lower().endswith(_NO_MAIL):
            return
        elif self._is_mbox(path):
            yield Place(path, mailbox if name == "mbox" and mailbox else (*mailbox, _mbox_name(name)), "mbox")

    def _is_mbox(self, path: Path) -> bool:
        """Return whether a file is an mbox; take notice if it should be one, or cannot be read."""
        name = without_ending(path.name)
        is_called_so = name.lower().endswith(_MBOX_ENDINGS) or path.with_name(path.name + ".msf").exists()
        try:
            beginning = beginning_of(path, _BEGINNING)
        except Unreadable as error:
            self._notes.leave_out(str(path), str(error))
            return False
        if mboxes.is_mbox(beginning) or (is_called_so and mboxes.has_message(beginning)):
            return True
        if is_called_so and beginning:
            self._notes.leave_out(str(path), "no message begins in it")
        elif beginning:
            self._notes.tell(f"{path} is no mailbox, and was passed over")
        return False


def _is_letter(path: Path) -> bool:
    """Return whether a file in a directory of MH is a message, and no mailbox."""
    try:
        return not mboxes.is_mbox(beginning_of(path, _BEGINNING))
    except Unreadable:
        return True


def _split(mailbox: tuple[str, ...]) -> tuple[str, ...]:
    """Return a mailbox whose last part has ``.`` between the parts of a name."""
    return (*mailbox[:-1], *filter(None, mailbox[-1].split("."))) if mailbox else ()


def _directory_name(path: Path) -> tuple[str, ...]:
    """Return what a directory adds to a mailbox's name: Thunderbird's end in .sbd, Apple's in .mbox and have others."""
    for ending in (".sbd", ".mbox"):
        if path.name.endswith(ending):
            return (decoded(path.name.removesuffix(ending)),)
    in_apples = any(parent.name.endswith(".mbox") for parent in path.parents)
    return () if in_apples and _APPLES.fullmatch(path.name) else (decoded(path.name),)


def _mbox_name(name: str) -> str:
    for ending in _MBOX_ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return decoded(name[: -len(ending)])
    return decoded(name)
