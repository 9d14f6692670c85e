"""Where things are in an archive's directory; making a new one."""

import tomllib
import uuid
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mailarchive.clock import Clock
from mailarchive.errors import ArchiveDamaged, ArchiveMissing, FormatTooNew, UsageError
from mailarchive.facts import ArchiveMade
from mailarchive.files import make_directory, replace_durably, storage, sync_directory
from mailarchive.journal import log

FORMAT = 1
LAYOUT = "mbox"
_NAMES = {"README.txt", "archive.toml", "mail", "journal", "partial", "lock"}

README = """\
This directory is an archive of e-mail.

Everything can be read without the program that made it (mailarchive):

    zstdcat mail/*.mbox.zst > all.mbox; cat mail/*.mbox >> all.mbox

makes one mailbox file in the "mbox" format (RFC 4155) with every message once.
Most mail programs open it; mutt does with: mutt -R -f all.mbox
zstdcat belongs to the program zstd, and the compression is RFC 8878.

If a line of a message begins with "From ", or with one or more ">" and "From ",
one ">" was put before it. Line ends are those of Unix where the message had
those of the Internet (CR LF) throughout.

Which message was in which mailbox, with which flags, from when until when,
is in journal/: one JSON object a line, the oldest first:

    zstdcat journal/*.jsonl.zst; cat journal/tail.jsonl

A "message" line gives the SHA-256 of a message as the server sent it; a
"placed" line says that the message with that "digest" was seen in a mailbox.

catalog.sqlite3 can be made anew from the journal, and may be deleted.
Do not edit or delete anything else. To copy the archive, copy the directory.
"""


class Layout(NamedTuple):
    """The paths of an archive below ``root``."""

    root: Path

    @property
    def mail(self) -> Path:
        """Blocks and segments."""
        return self.root / "mail"

    @property
    def store(self) -> Path:
        """What the store keeps its files in."""
        return self.mail

    @property
    def journal(self) -> Path:
        """Parts of the journal."""
        return self.root / "journal"

    @property
    def partial(self) -> Path:
        """Messages being received."""
        return self.root / "partial"

    @property
    def aside(self) -> Path:
        """What a repair did not want to throw away."""
        return self.root / "aside"

    @property
    def lock(self) -> Path:
        """The writer's lock."""
        return self.root / "lock"

    @property
    def settings(self) -> Path:
        """archive.toml."""
        return self.root / "archive.toml"

    @property
    def catalog(self) -> Path:
        """The catalog: ``catalog`` in archive.toml, relative to the archive, or the usual place."""
        return self.root / str(self.read_settings().get("catalog", "catalog.sqlite3"))

    def read_settings(self) -> dict[str, object]:
        """Return archive.toml. Raises ArchiveMissing, ArchiveDamaged, FormatTooNew."""
        try:
            settings = tomllib.loads(self.settings.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise ArchiveMissing(f"there is no archive at {self.root}") from None
        except PermissionError as error:
            raise ArchiveMissing(f"the archive at {self.root} may not be read by this user") from error
        except ValueError as error:
            raise ArchiveDamaged(f"{self.settings} cannot be read ({error})", hint=_RESTORE_SETTINGS) from error
        number = settings.get("format")
        if not isinstance(number, int) or settings.get("layout") != LAYOUT:
            if isinstance(number, int) and number > FORMAT:
                raise FormatTooNew(f"the archive at {self.root} has format {number}; this program knows {FORMAT}")
            raise ArchiveDamaged(
                f"{self.settings} has no format and layout that this program knows", hint=_RESTORE_SETTINGS
            )
        if number > FORMAT:
            raise FormatTooNew(f"the archive at {self.root} has format {number}; this program knows {FORMAT}")
        return settings


_RESTORE_SETTINGS = (
    f'bring the file back from a backup, or write these two lines into it: format = {FORMAT} and layout = "{LAYOUT}"; '
    "then: mailarchive verify"
)


def claim(root: Path) -> None:
    """Make the directory of a new archive, so that it can be locked. Raises UsageError, StorageFailed."""
    _refuse_foreign(Layout(root))
    make_directory(root)


def make(root: Path, clock: Clock) -> None:
    """Make an empty archive in ``root``, which the caller has locked; go on with one whose making was cut short.

    ``archive.toml`` comes last: without it there is no archive yet. Raises UsageError, StorageFailed.
    """
    layout = Layout(root)
    _refuse_foreign(layout)
    for directory in (layout.store, layout.journal, layout.partial):
        make_directory(directory)
    archive_id, now = str(uuid.uuid4()), clock.now()
    replace_durably(root / "README.txt", README.encode("ascii"))
    log.create(layout.journal, ArchiveMade(archive_id, LAYOUT, now))
    replace_durably(layout.settings, _settings(archive_id, now).encode("ascii"))
    with storage(root):
        sync_directory(root.parent)


def _settings(archive_id: str, now: datetime) -> str:
    return (
        f'format = {FORMAT}\nid = "{archive_id}"\nlayout = "{LAYOUT}"\ncreated = {now.isoformat(timespec="seconds")}\n'
    )


def _refuse_foreign(layout: Layout) -> None:
    if not layout.root.exists():
        return
    if not layout.root.is_dir():
        raise UsageError(f"{layout.root} is not a directory", hint="name another place with --archive")
    names = {path.name.removesuffix(".tmp") for path in layout.root.iterdir()}
    if names - _NAMES:
        raise UsageError(
            f"{layout.root} is not empty and is no archive", hint="name an empty or new directory with --archive"
        )
    if layout.mail.is_dir() and any(layout.mail.iterdir()):
        raise ArchiveDamaged(f"{layout.root} has mail but {layout.settings.name} is missing")
