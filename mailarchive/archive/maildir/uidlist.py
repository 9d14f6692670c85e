"""Dovecot's list of UIDs: with it a Maildir that may not be written to has the UIDs that the server gave."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

NAME = "dovecot-uidlist"
_UIDS = 1 << 32


class Listed(NamedTuple):
    """A message: ``base`` is its file name without the flags."""

    uid: int
    base: str


def whole(account: str, mailbox: int, uidvalidity: int, listed: Sequence[Listed]) -> bytes:
    """Return the file for ``listed``, whose UIDs ascend."""
    name = hashlib.sha256(f"{account}\0{mailbox}\0{uidvalidity}".encode()).hexdigest()[:32]
    uidnext = listed[-1].uid + 1 if listed else 1
    return f"3 V{_validity(uidvalidity)} N{uidnext} G{name}\n".encode() + lines(listed)


def lines(listed: Sequence[Listed]) -> bytes:
    """Return what stands in the file for ``listed``."""
    return "".join(f"{one.uid} :{one.base}\n" for one in listed).encode()


def takes(path: Path, uidvalidity: int, first: int) -> bool:
    """Return whether a message with UID ``first`` may be appended to the file at ``path``."""
    try:
        with path.open("rb") as file:
            header = file.readline()
            file.seek(max(0, file.seek(0, 2) - 1024))
            last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
        is_ours = header.startswith(b"3 V%d " % _validity(uidvalidity))
        return is_ours and (last + b"\n" == header or int(last.partition(b" ")[0]) < first)
    except (OSError, ValueError):
        return False


def _validity(uidvalidity: int) -> int:
    """Return a UIDVALIDITY as Dovecot keeps it, in 32 bits and not 0."""
    return uidvalidity % _UIDS or 1
