"""Where things are in an archive's directory; making a new one."""

import tomllib
import uuid
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, cast

from mailarchive.archive.readme import readme
from mailarchive.clock import Clock
from mailarchive.errors import ArchiveDamaged, ArchiveMissing, FormatTooNew, UsageError
from mailarchive.facts import ArchiveMade
from mailarchive.files import make_directory, replace_durably, storage, sync_directory
from mailarchive.journal import log

FORMAT = 1
_NAMES = {"README.txt", "archive.toml", "mail", "messages", "maildir", "journal", "partial", "lock"}
LayoutName = Literal["mbox", "maildir"]
LEVEL, HIGHEST_LEVEL = 3, 19
"""Of zstd, for message files."""


class Kind(NamedTuple):
    """How an archive keeps messages. ``level`` is that of zstd for message files, None for plain ones."""

    layout: LayoutName = "mbox"
    level: int | None = LEVEL


class Layout(NamedTuple):
    """The paths of an archive below ``root``."""

    root: Path

    @property
    def mail(self) -> Path:
        """Blocks and segments (layout ``mbox``)."""
        return self.root / "mail"

    @property
    def messages(self) -> Path:
        """Message files (layout ``maildir``)."""
        return self.root / "messages"

    @property
    def maildir(self) -> Path:
        """The Maildir++ tree (layout ``maildir``)."""
        return self.root / "maildir"

    @property
    def store(self) -> Path:
        """What the store keeps octets in. Raises what ``kind`` raises."""
        return self.messages if self.kind().layout == "maildir" else self.mail

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
        if not isinstance(number, int) or not _is_known(settings):
            if isinstance(number, int) and number > FORMAT:
                raise FormatTooNew(f"the archive at {self.root} has format {number}; this program knows {FORMAT}")
            raise ArchiveDamaged(
                f"{self.settings} has no format and layout that this program knows", hint=_RESTORE_SETTINGS
            )
        if number > FORMAT:
            raise FormatTooNew(f"the archive at {self.root} has format {number}; this program knows {FORMAT}")
        return settings

    def kind(self) -> Kind:
        """Return how messages are kept. Raises what ``read_settings`` raises."""
        settings = self.read_settings()
        if settings["layout"] == "mbox":
            return Kind()
        return Kind("maildir", None if settings["compression"] == "none" else cast("int", settings["level"]))


def _is_known(settings: dict[str, object]) -> bool:
    if settings.get("layout") == "maildir":
        level = settings.get("level")
        is_level = isinstance(level, int) and 0 < level <= HIGHEST_LEVEL
        return settings.get("compression") == "none" or (settings.get("compression") == "zstd" and is_level)
    return settings.get("layout") == "mbox"


_RESTORE_SETTINGS = (
    f'bring the file back from a backup, or write these lines into it: format = {FORMAT} and layout = "mbox" '
    '(where there is messages/: layout = "maildir", compression = "zstd" or "none", '
    f"and level = {LEVEL}); then: mailarchive verify"
)


def claim(root: Path) -> None:
    """Make the directory of a new archive, so that it can be locked. Raises UsageError, StorageFailed."""
    _refuse_foreign(Layout(root))
    make_directory(root)


def make(root: Path, kind: Kind, clock: Clock) -> None:
    """Make an empty archive of a ``kind`` in ``root``, which the caller has locked.

    Goes on with one whose making was cut short.
    ``archive.toml`` comes last: without it there is no archive yet. Raises UsageError, StorageFailed.
    """
    layout = Layout(root)
    _refuse_foreign(layout)
    for directory in (_store(layout, kind), layout.journal, layout.partial):
        make_directory(directory)
    archive_id, now = str(uuid.uuid4()), clock.now()
    replace_durably(root / "README.txt", readme(kind.layout, is_plain=kind.level is None).encode("ascii"))
    log.create(layout.journal, ArchiveMade(archive_id, kind.layout, now))
    replace_durably(layout.settings, _settings(archive_id, kind, now).encode("ascii"))
    with storage(root):
        sync_directory(root.parent)


def _store(layout: Layout, kind: Kind) -> Path:
    return layout.messages if kind.layout == "maildir" else layout.mail


def _settings(archive_id: str, kind: Kind, now: datetime) -> str:
    lines = [
        f"format = {FORMAT}",
        f'id = "{archive_id}"',
        f'layout = "{kind.layout}"',
        f"created = {now.isoformat(timespec='seconds')}",
    ]
    if kind.layout == "maildir":
        lines += ['compression = "none"'] if kind.level is None else ['compression = "zstd"', f"level = {kind.level}"]
    return "\n".join(lines) + "\n"


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
    if any(place.is_dir() and any(place.iterdir()) for place in (layout.mail, layout.messages)):
        raise ArchiveDamaged(f"{layout.root} has mail but {layout.settings.name} is missing")
