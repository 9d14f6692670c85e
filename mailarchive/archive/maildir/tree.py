"""The Maildir++ tree: links to the message files, made from the catalog and following it; may be deleted any time."""

import filecmp
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mailarchive.archive.maildir import names, uidlist
from mailarchive.archive.maildir.delivery import Delivery
from mailarchive.archive.maildir.keywords import Keywords
from mailarchive.archive.maildir.names import FileName
from mailarchive.archive.maildir.touched import Key, Touched, by_number
from mailarchive.archive.maildir.uidlist import Listed
from mailarchive.catalog.base import Catalog
from mailarchive.catalog.outgoing import Restorable
from mailarchive.errors import ArchiveDamaged
from mailarchive.facts import MessageStored, Placed, Position
from mailarchive.files import make_directory, remove, replace_durably
from mailarchive.mail.maildir_name import KEYWORDS_FILE
from mailarchive.mail.maildir_name import parse as parse_name
from mailarchive.model import Digest, Eol, RemoteUid
from mailarchive.records import KnownMailbox, PlacementRecord
from mailarchive.store.message_files import MessageFiles, seconds_of

STATE = "tree.json"
_MAILDIR = ("cur", "new", "tmp")
_MARK = "maildirfolder"
"""What a Maildir++ mailbox other than INBOX has, empty."""

Tell = Callable[[str], None]


class Wanted(NamedTuple):
    """A link that there must be."""

    name: FileName
    number: int
    date: datetime | None
    flags: tuple[str, ...]
    size: int
    eol: Eol


class Tree:
    """The tree at ``root``, for the holder of the lock.

    Its state tells the position in the journal that it reflects, and is written last: where that is not the
    catalog's, everything is compared. ``tell`` is told once if messages cannot be linked and are copied.
    """

    def __init__(self, root: Path, files: MessageFiles, tell: Tell) -> None:
        self._root = root
        self._files = files
        self._delivery = Delivery(root, files, tell)
        self._sizes: dict[int, int] = {}
        """Octets of the text of message files that are new."""
        self._position, self._directories = _read_state(root / STATE)

    def learn_size(self, number: int, text_size: int) -> None:
        """Take notice of the octets of a message's text, so that its file need not be asked."""
        self._sizes[number] = text_size

    # -- following -------------------------------------------------------------------------------------------------

    def follow(self, touched: Touched, catalog: Catalog, position: Position) -> None:
        """Bring the tree to ``catalog``, which is at ``position``. Raises StorageFailed.

        If the process dies in here, the state is that of before, and the next open compares everything.
        """
        boxes = by_number(catalog)
        for number in sorted(touched.whole):
            self._compare(boxes[number], catalog)
        for number, keys in touched.placements.items():
            if number not in touched.whole:
                self._change(boxes[number], keys, touched.stored, catalog)
        self._finish(position)

    def catch_up(self, catalog: Catalog) -> None:
        """Compare everything if the tree is not at the position of ``catalog``. Raises StorageFailed."""
        position = catalog.position()
        if self._position == position:
            return
        self._clear_unfinished()
        for box in catalog.mailboxes():
            self._compare(box, catalog)
        self._clear_strays()
        self._finish(position)

    def renew(self, catalog: Catalog) -> None:
        """Compare everything, whatever position the tree has. Raises StorageFailed."""
        for path in self._directories.values():
            self._clear_false(self._root / path)
        self._position = None
        self.catch_up(catalog)

    def _finish(self, position: Position) -> None:
        self._delivery.finish()
        self._sizes.clear()
        state = {
            "position": [*position[:2], position.chain.hex(), position.checkpoints],
            "mailboxes": self._directories,
        }
        make_directory(self._root)
        replace_durably(self._root / STATE, json.dumps(state, indent=1).encode("ascii"))
        self._position = position

    def _compare(self, box: KnownMailbox, catalog: Catalog) -> None:
        """Make a mailbox what the catalog says, whatever it is."""
        directory = self._directory(box)
        existing = dict(_ours(directory))
        if box.present:
            keywords, listed = Keywords(directory), list[Listed]()
            for item in catalog.restorable(box.number):
                if not item.lost:
                    message = item.message
                    name = _name_of(item)
                    wanted = Wanted(name, message.block, item.date, item.flags, message.size, message.eol)
                    base = self._put(directory, existing.pop(name.place, []), wanted, keywords)
                    listed += _listed(item.uid, base)
            self._describe(box, directory, keywords, listed, is_all=True)
        for old in existing.values():
            self._put(directory, old, None, None)
        if not box.present:
            self._remove(box.number, directory)

    def _change(
        self, box: KnownMailbox, keys: dict[Key, Placed | None], stored: dict[Digest, MessageStored], catalog: Catalog
    ) -> None:
        """Make placements of a mailbox what the catalog says."""
        directory = self._directory(box)
        keywords, listed, has_left = Keywords(directory), list[Listed](), False
        old = {names.place(*key) for key, told in keys.items() if told is None}
        existing = {place: found for place, found in _ours(directory) if place in old} if old else {}
        for (uidvalidity, uid), told in keys.items():
            if told is None:
                wanted = self._wanted(catalog, box, uidvalidity, uid)
            else:
                wanted = _wanted(stored.get(told.digest) or catalog.message(told.digest), told)
            there = existing.get(names.place(uidvalidity, uid), [])
            base = self._put(directory, there, wanted, keywords)
            bases = {parse_name(name).base for name in there}
            has_left = has_left or not bases <= {base}
            if base not in bases:
                listed += _listed(uid, base)
        if has_left:
            listed = [*{*listed, *_listed_there(directory, box.uidvalidity)}]
        self._describe(box, directory, keywords, listed, is_all=has_left)

    def _describe(
        self, box: KnownMailbox, directory: Path, keywords: Keywords, listed: list[Listed], *, is_all: bool
    ) -> None:
        """Write what Dovecot wants to know of a mailbox: keywords and, where the server gave UIDs, these.

        ``listed`` are those of the messages that are new, or of all there are.
        """
        if keywords.is_new:
            self._delivery.write(keywords.path, keywords.octets())
        if box.uidvalidity is None or not (listed or is_all):
            return
        path = directory / uidlist.NAME
        listed.sort()
        if not is_all and uidlist.takes(path, box.uidvalidity, listed[0].uid):
            self._delivery.append(path, uidlist.lines(listed))
            return
        if not is_all:
            listed = sorted({*listed, *_listed_there(directory, box.uidvalidity)})
        self._delivery.write(path, uidlist.whole(box.account, box.number, box.uidvalidity, listed))

    @staticmethod
    def _wanted(catalog: Catalog, box: KnownMailbox, uidvalidity: int, uid: RemoteUid) -> Wanted | None:
        record = catalog.placement(box.number, uidvalidity, uid)
        if record is None or record.gone_at is not None or not box.present:
            return None
        return _wanted(catalog.message(record.digest), record)

    def _put(
        self, directory: Path, existing: list[str], wanted: Wanted | None, keywords: Keywords | None
    ) -> str | None:
        """Make the files of one placement, ``existing``, the one that is wanted, or none; return its base."""
        letters = keywords.letters(wanted.flags) if wanted and keywords else ""
        kept: str | None = None
        for name in existing:
            old = parse_name(name)
            if kept is not None or wanted is None or names.parse(name) != wanted.name:
                self._delivery.remove(directory, name)
                continue
            kept = old.base
            if old.letters != letters:
                self._delivery.rename(directory, name, f"{old.base}:2,{letters}")
        return self._deliver(directory, wanted, letters) if wanted is not None and not kept else kept

    def _deliver(self, directory: Path, wanted: Wanted, letters: str) -> str | None:
        size = self._sizes.get(wanted.number)
        try:
            size = self._files.text_size(wanted.number) if size is None else size
            on_the_wire = f",W={wanted.size}" if wanted.eol == "crlf" else ""
            base = f"{wanted.name.of}_{wanted.name.place}.mailarchive,S={size}{on_the_wire}"
            self._delivery.deliver(directory, f"{base}:2,{letters}", wanted.number, wanted.date)
        except (ArchiveDamaged, FileNotFoundError):
            return None  # verify tells of it, and repair
        return base

    # -- directories -----------------------------------------------------------------------------------------------

    def _directory(self, box: KnownMailbox) -> Path:
        """Return the directory of a mailbox, made if it is missing, renamed if the mailbox was."""
        key = str(box.number)
        taken = {path.casefold() for number, path in self._directories.items() if number != key}
        path = names.directory(box, taken)
        before = self._directories.get(key, path)
        if before != path and not before.endswith("/") and not (self._root / path).exists():
            self._delivery.finish()
            with suppress(OSError):
                (self._root / before).rename(self._root / path)
                self._delivery.touch(self._root / path, self._root / path / "..")
        elif before != path:
            self._clear(self._root / before)
        self._directories[key] = path
        self._make(self._root / path, is_inbox=path.endswith("/"))
        return self._root / path

    def _make(self, directory: Path, *, is_inbox: bool) -> None:
        if (directory / "cur").is_dir():
            return
        for each in (self._root, directory.parent, directory, *(directory / name for name in _MAILDIR)):
            make_directory(each)
        if not is_inbox:
            self._delivery.write(directory / _MARK, b"")
            self._make(directory.parent, is_inbox=True)
        self._delivery.touch(self._root, directory.parent, directory)

    def _remove(self, number: int, directory: Path) -> None:
        """Forget a mailbox that vanished, and remove its directory unless somebody else has files there."""
        self._clear(directory)
        del self._directories[str(number)]

    def _clear(self, directory: Path) -> None:
        self._delivery.finish()
        for _, found in _ours(directory):
            for name in found:
                self._delivery.remove(directory, name)
        for name in (KEYWORDS_FILE, uidlist.NAME, _MARK):
            remove(directory / name)
        with suppress(OSError):
            for name in _MAILDIR:
                (directory / name).rmdir()
            directory.rmdir()

    def _clear_unfinished(self) -> None:
        """Remove what a process that died was writing."""
        for pattern in ("*.tmp", "*/*.tmp", "*/.*/*.tmp"):
            for path in self._root.glob(pattern):
                remove(path)
        for tmp in [*self._root.glob("*/tmp"), *self._root.glob("*/.*/tmp")]:
            for path in tmp.iterdir():
                if names.parse(path.name):
                    remove(path)

    def _clear_strays(self) -> None:
        """Remove our links from directories that are no mailbox's any more."""
        assigned = {str(self._root / path).rstrip("/") for path in self._directories.values()}
        for cur in [*self._root.glob("*/cur"), *self._root.glob("*/.*/cur")]:
            if str(cur.parent) not in assigned and any(True for _ in _ours(cur.parent)):
                self._clear(cur.parent)

    def _clear_false(self, directory: Path) -> None:
        """Remove what bears the name of a link, and is another file."""
        for _, found in _ours(directory):
            for name in found:
                if not self._is_true(directory, name):
                    self._delivery.remove(directory, name)

    def _is_true(self, directory: Path, name: str) -> bool:
        """Return whether a file of the tree is the message file that its name tells, or a copy of it."""
        there, message = directory / "cur" / name, self._files.path(names.number_of(name))
        try:
            return there.samefile(message) or filecmp.cmp(there, message, shallow=False)
        except FileNotFoundError:
            return not message.exists()
        except OSError:
            return False

    # -- checking --------------------------------------------------------------------------------------------------

    def differences(self, catalog: Catalog) -> Iterator[str]:
        """Yield in sentences where the tree is not what ``catalog`` says.

        Nothing if it is at another position, or not there: the next open for writing makes it follow.
        """
        if self._position != catalog.position():
            return
        for box in catalog.mailboxes():
            directory = self._root / self._directories.get(str(box.number), "none/none")
            keywords = Keywords(directory)
            wanted = {
                (_name_of(item), keywords.letters(item.flags))
                for item in (catalog.restorable(box.number) if box.present else ())
                if not item.lost
            }
            there = [name for _, each in _ours(directory) for name in each]
            found = {(names.parse(name), parse_name(name).letters) for name in there if self._is_true(directory, name)}
            if wanted != found or len(there) != len(found):
                others = len(there) - len(wanted & found)
                yield (
                    f"the tree does not show mailbox {box.name} as it is: {len(wanted - found)} of {len(wanted)} "
                    f"messages are missing, have other flags or are something else, {others} files do not belong "
                    "there; make it anew with: mailarchive rebuild"
                )


def _wanted(message: MessageStored | None, told: Placed | PlacementRecord) -> Wanted | None:
    """Return the link of a placement; None if its octets are lost."""
    if message is None:
        return None
    name = names.file_name(message.block, seconds_of(told.date), told.uidvalidity, told.uid)
    return Wanted(name, message.block, told.date, told.flags, message.size, message.eol)


def _name_of(item: Restorable) -> FileName:
    return names.file_name(item.message.block, seconds_of(item.date), item.uidvalidity, item.uid)


def _ours(directory: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield our links in a mailbox by the placement that they stand for; what others put there is left out."""
    found: dict[str, list[str]] = {}
    with suppress(FileNotFoundError), os.scandir(directory / "cur") as entries:
        for entry in entries:
            name = names.parse(entry.name)
            if name is not None:
                found.setdefault(name.place, []).append(entry.name)
    yield from found.items()


def _listed(uid: RemoteUid, base: str | None) -> list[Listed]:
    return [Listed(uid, base)] if isinstance(uid, int) and base is not None else []


def _listed_there(directory: Path, uidvalidity: int | None) -> Iterator[Listed]:
    """Yield the messages of a mailbox by the UIDs that their names tell."""
    for place, found in _ours(directory):
        validity, _, uid = place.partition("_")
        if int(validity) == uidvalidity and uid.isdecimal():
            yield Listed(int(uid), parse_name(found[0]).base)


def _read_state(path: Path) -> tuple[Position | None, dict[str, str]]:
    """Return the position and the directories of mailboxes; None and nothing if that cannot be read."""
    try:
        state = json.loads(path.read_bytes())
        part, offset, chain, checkpoints = state["position"]
        mailboxes = {str(int(number)): str(directory) for number, directory in state["mailboxes"].items()}
        if all(_is_within(directory) for directory in mailboxes.values()):
            return Position(int(part), int(offset), bytes.fromhex(chain), int(checkpoints)), mailboxes
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None, {}


def _is_within(directory: str) -> bool:
    parts = directory.split("/")
    return len(parts) == 2 and parts[0] not in {"", ".", ".."} and parts[1] not in {".", ".."}
