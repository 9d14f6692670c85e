"""Outlook's files, read by the programs that there are for them."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mailarchive.readers.base import Letter, Place, Reading
from mailarchive.readers.compressed import Unreadable
from mailarchive.readers.files import body_of
from mailarchive.readers.mboxes import read as read_mbox

_PST = ("readpst", "apt-get install pst-utils")
_MSG = ("msgconvert", "apt-get install libemail-outlook-message-perl")


def read_pst(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the messages of a .pst or .ost file by readpst. Raises Unreadable."""
    with tempfile.TemporaryDirectory(prefix="mailarchive-") as directory:
        _run([_program(*_PST), "-q", "-r", "-t", "e", "-o", directory, str(place.path)])
        for path in sorted(Path(directory).rglob("mbox")):
            parts = path.parent.relative_to(directory).parts
            yield from read_mbox(Place(path, (*place.mailbox, *parts), "mbox"), reading)


def read_msg(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the one message of a .msg file by msgconvert. Raises Unreadable."""
    with tempfile.TemporaryDirectory(prefix="mailarchive-") as directory:
        result = Path(directory) / "message.eml"
        _run([_program(*_MSG), "--outfile", str(result), str(place.path.absolute())])
        body = body_of(result, reading) if result.exists() else None
        if body is not None:
            yield Letter(place.mailbox, body, str(place.path))


def read_dbx(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield nothing: no program that is kept up reads Outlook Express."""
    reading.leave_out(str(place.path), "Outlook Express's files cannot be read; make an mbox of it by another program")
    yield from ()


def _program(name: str, install: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unreadable(f"{name} is needed, and not installed ({install})")
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        words = (done.stdout + done.stderr).decode("utf-8", "replace").strip().splitlines()
        raise Unreadable(f"{command[0]}: {words[-1] if words else f'exit code {done.returncode}'}")
