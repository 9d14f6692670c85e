"""Archives of Got Your Back: .eml files, and a database that has Gmail's labels and dates."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from mailarchive.readers.base import Letter, Place, Reading
from mailarchive.readers.compressed import Unreadable
from mailarchive.readers.files import body_of

DATABASE = "msg-db.sqlite"
_MESSAGES = "SELECT message_num, message_filename, message_internaldate FROM messages ORDER BY message_num"
_LABELS = "SELECT label FROM labels WHERE message_num = ?"


def read(place: Place, reading: Reading) -> Iterator[Letter]:
    """Yield the messages that the database names, which is opened for reading only, and those that it does not name.

    Raises Unreadable.
    """
    path, named = place.path / DATABASE, set[Path]()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            for number, name, date in db.execute(_MESSAGES):
                labels = tuple(str(label) for (label,) in db.execute(_LABELS, (number,)))
                file = _file(place, str(name), reading)
                if file is not None:
                    named.add(file)
                    yield from _letter(place, file, date, labels, reading)
    except sqlite3.Error as error:
        raise Unreadable(str(error)) from error
    others = sorted(file for file in place.path.rglob("*.eml") if file not in named and file.is_file())
    if others:
        reading.tell(f"{path} does not name {len(others)} of the messages; they are imported without labels")
    for file in others:
        yield from _letter(place, file, None, (), reading)


def _file(place: Place, name: str, reading: Reading) -> Path | None:
    parts = Path(name.replace("\\", "/")).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        reading.leave_out(f"{place.path}/{DATABASE}", f"{name!r} is no name of a file below it")
        return None
    return place.path.joinpath(*parts)


def _letter(place: Place, path: Path, date: object, labels: tuple[str, ...], reading: Reading) -> Iterator[Letter]:
    body = body_of(path, reading)
    if body is not None:
        yield Letter(place.mailbox or ("All Mail",), body, str(path), _date(date), None, labels)


def _date(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
