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
    """Yield the messages that the database names, which is opened for reading only. Raises Unreadable."""
    path = place.path / DATABASE
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            for number, name, date in db.execute(_MESSAGES):
                labels = tuple(str(label) for (label,) in db.execute(_LABELS, (number,)))
                yield from _letter(place, str(name), date, labels, reading)
    except sqlite3.Error as error:
        raise Unreadable(str(error)) from error


def _letter(place: Place, name: str, date: object, labels: tuple[str, ...], reading: Reading) -> Iterator[Letter]:
    parts = Path(name.replace("\\", "/")).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        reading.leave_out(f"{place.path}/{DATABASE}", f"{name!r} is no name of a file below it")
        return
    path = place.path.joinpath(*parts)
    body = body_of(path, reading)
    if body is not None:
        yield Letter(place.mailbox or ("All Mail",), body, str(path), _date(date), None, labels or ("Archived",))


def _date(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
