"""What is called how in the tree: directories of mailboxes, and file names that tell which placement they are."""

import hashlib
import re
from typing import NamedTuple

from mailarchive.mail.maildir_name import mailbox_directory
from mailarchive.mail.path_name import path_name
from mailarchive.model import RemoteUid
from mailarchive.records import KnownMailbox

_LONGEST = 200
_OURS = re.compile(r"(\d+\.\d+)_(\d+_\w+)\.mailarchive,")
_LAST_SECOND = 1 << 40


class FileName(NamedTuple):
    """A link's name: ``<seconds>.<message file>_<uidvalidity>_<uid>.mailarchive,S=<size>[,W=<size>]:2,<letters>``.

    ``of`` is the message file and its INTERNALDATE, ``place`` the UIDVALIDITY and UID that it stands for.
    """

    of: str
    place: str


def file_name(number: int, seconds: int, uidvalidity: int, uid: RemoteUid) -> FileName:
    """Return what the link of a placement is called."""
    return FileName(f"{min(max(seconds, 0), _LAST_SECOND)}.{number:08d}", place(uidvalidity, uid))


def place(uidvalidity: int, uid: RemoteUid) -> str:
    """Return how a placement is called within its mailbox; nothing of a UIDL is in the name."""
    called = str(uid) if isinstance(uid, int) else "h" + hashlib.sha256(uid.encode()).hexdigest()[:24]
    return f"{uidvalidity}_{called}"


def parse(name: str) -> FileName | None:
    """Return which link a file is, or None if it is not ours."""
    match = _OURS.match(name)
    return FileName(match[1], match[2]) if match else None


def number_of(name: str) -> int:
    """Return the message file of a link by its name, which ``parse`` knows."""
    return int(name.partition("_")[0].partition(".")[2])


def directory(box: KnownMailbox, taken: set[str]) -> str:
    """Return the path of a mailbox below the tree, ``<account>/`` or ``<account>/.a.b``, as none in ``taken`` is.

    ``taken`` has them in one case, for file systems that ignore it.
    """
    account, below = path_name(box.account), mailbox_directory(box.name.parts)
    if len(below.encode()) > _LONGEST:
        whole = hashlib.sha256(below.encode()).hexdigest()[:16]
        below = below.encode()[: _LONGEST - 20].decode("utf-8", "ignore") + "~" + whole
    if f"{account}/{below}".casefold() in taken:
        below = f"{below or '.INBOX'}~{box.number}"
    return f"{account}/{below}"
