"""A Maildir++ tree an account: one file a message, flags in its name; into one that others use, too."""

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from mailarchive.errors import UsageError
from mailarchive.files import replace_durably, storage, sync_directory, write_all
from mailarchive.mail import maildir_name
from mailarchive.mail.eol import to_lf
from mailarchive.mail.maildir_name import KEYWORD_LETTERS, KEYWORDS_FILE, MaildirName
from mailarchive.mail.path_name import path_name
from mailarchive.targets.base import Home, Place
from mailarchive.targets.paths import Tell, claim

OURS = ".mailarchive"
"""How the unique part of the names that we give ends."""
_PARTS = ("cur", "new", "tmp")
_LONGEST = 200
_BATCH = 128
"""So many files are open until they are made durable, one after the other when all have been written."""


@dataclass(slots=True)
class _Mailbox:
    """A mailbox's directory: where (below ``cur`` or ``new``) messages of ours are, and the letters of keywords."""

    path: Path
    there: dict[str, str]
    numbers: dict[str, int]
    seen: Counter[bytes] = field(default_factory=Counter)


@dataclass(slots=True)
class _Written:
    """A file in ``tmp`` that is not durable yet, and where it is to be."""

    fd: int
    temporary: str
    final: str


class MaildirTarget:
    """``<account>/`` is INBOX, ``<account>/.a.b`` another mailbox; a DEST that is a Maildir is that of one account.

    A file is named for the digest and how often the mailbox has the message, so that it is found again wherever a mail
    program moved it; the field ``F=`` keeps the flags that it was put with. If those in the name are others, a
    mail program set them: they stay. If not, the file follows the archive's. What is not ours is never touched.

    Files are written to ``tmp``, and renamed when they are durable. If the process dies what is in ``tmp`` is not
    part of the mailbox, and the next export writes it anew.
    """

    def __init__(self, root: Path, tell: Tell) -> None:
        with storage(root):
            self._is_account = _is_maildir(root)
            is_shared = self._is_account or (root.is_dir() and any(map(_is_maildir, root.iterdir())))
        if not is_shared:
            claim(root)
        self._root = root
        self._tell = tell
        self._names: dict[Home, Path] = {}
        self._taken: dict[str, tuple[int, bool]] = {}
        self._mailboxes: dict[Home, _Mailbox] = {}
        self._pending: list[_Written] = []
        self._written = 0

    def reserve(self, homes: Sequence[Home]) -> None:
        accounts = sorted({home.account for home in homes})
        if self._is_account and len(accounts) > 1:
            raise UsageError(
                f"{self._root} is a Maildir, and the messages are those of {len(accounts)} accounts",
                hint=f"choose one, as in: --account {accounts[0]}",
            )
        for home in homes:
            self._mailbox(home)

    def has(self, place: Place) -> bool:
        box = self._mailbox(place.home)
        unique = _unique(place.digest, box.seen[place.digest])
        if unique not in box.there:
            return False
        box.seen[place.digest] += 1
        self._follow(box, unique, maildir_name.letters_of(place.flags, box.numbers))
        return True

    def _follow(self, box: _Mailbox, unique: str, letters: str) -> None:
        """Give a file the flags ``letters``, unless they are those it was put with, or a mail program changed them."""
        where = box.there[unique]
        part, _, name = where.partition("/")
        found = maildir_name.parse(name)
        base, field_name, before = found.base.partition(",F=")
        before, comma, after = before.partition(",")
        if not field_name or "".join(sorted(found.letters)) != before or letters == before:
            return
        wanted = f"{part}/{MaildirName(f'{base},F={letters}{comma}{after}', letters)}"
        with storage(box.path / where), suppress(FileNotFoundError):  # which a mail program just renamed
            (box.path / where).rename(box.path / wanted)
            box.there[unique] = wanted

    def put(self, place: Place, chunks: Iterable[bytes]) -> None:
        box = self._mailbox(place.home)
        unique = _unique(place.digest, box.seen[place.digest])
        temporary = f"{box.path}/tmp/{unique}"  # noqa: S108 - of the Maildir
        size = 0
        with storage(Path(temporary)):
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                for chunk in to_lf(chunks) if place.eol == "crlf" else chunks:
                    write_all(fd, chunk)
                    size += len(chunk)
                if place.date is not None:
                    with suppress(OverflowError, ValueError, OSError):
                        os.utime(fd, (place.date.timestamp(), place.date.timestamp()))
            except BaseException:
                os.close(fd)
                with suppress(OSError):
                    os.unlink(temporary)  # noqa: PTH108 - a Path for each message takes long
                raise
        letters = maildir_name.letters_of(place.flags, box.numbers)
        where = f"cur/{MaildirName(f'{unique},S={size},F={letters}', letters)}"
        self._pending.append(_Written(fd, temporary, f"{box.path}/{where}"))
        box.there[unique] = where
        box.seen[place.digest] += 1
        if len(self._pending) >= _BATCH:
            self._deliver()

    def _deliver(self) -> None:
        """Make what was written durable, and then part of its mailbox."""
        pending = self._pending
        for one in pending:
            with storage(Path(one.temporary)):
                os.fsync(one.fd)
        for one in pending:
            with storage(Path(one.final)), _colons(self._root):
                os.rename(one.temporary, one.final)  # noqa: PTH104 - as above
        for directory in {os.path.dirname(one.final) for one in pending}:  # noqa: PTH120 - as above
            with storage(Path(directory)):
                sync_directory(Path(directory))
        self._written += len(pending)
        self._release()

    def _release(self) -> None:
        for one in self._pending:
            with suppress(OSError):
                os.close(one.fd)
        self._pending = []

    def told(self) -> int:
        self._deliver()
        written, self._written = self._written, 0
        return written

    def learn(self, told: int) -> None:
        self._written += told

    def close(self) -> int:
        self._deliver()
        return self._written

    def abort(self) -> None:
        self._release()
        for box in self._mailboxes.values():
            with suppress(OSError):
                for path in (box.path / "tmp").glob(f"*{OURS}"):
                    path.unlink()

    def _mailbox(self, home: Home) -> _Mailbox:
        """Return a mailbox, made if it is not there. Raises StorageFailed."""
        if home not in self._mailboxes:
            path = self._directory(home)
            account = self._root if self._is_account else self._root / path_name(home.account)
            for directory in dict.fromkeys((account, path)):
                _make_maildir(directory, is_below=directory != account)
            self._mailboxes[home] = _Mailbox(path, _scan(path), self._keywords(path, home))
        return self._mailboxes[home]

    def _directory(self, home: Home) -> Path:
        """Return the directory of a mailbox; what vanished from it is the mailbox ``gone`` below it."""
        root = self._root if self._is_account else self._root / path_name(home.account)
        parts = (*home.mailbox, "gone") if home.gone else home.mailbox
        wanted = maildir_name.mailbox_directory(parts)
        if len(wanted) > _LONGEST:
            whole = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
            wanted = f"{_cut(wanted)}~{whole[:16]}"
            self._tell(
                f"the name of mailbox {'/'.join(home.mailbox)[:60]}… is too long for a path; "
                f"its messages are in {wanted}"
            )
        name, number = wanted, 2
        while self._taken.setdefault(f"{root}/{name}".casefold(), (home.box, home.gone)) != (home.box, home.gone):
            name, number = f"{wanted or '.INBOX'}~{number}", number + 1
        return root / name if name else root

    def _keywords(self, path: Path, home: Home) -> dict[str, int]:
        """Return the numbers of keywords, by name in lower case; new ones are written down first."""
        file = path / KEYWORDS_FILE
        with storage(file):
            text = file.read_bytes() if file.exists() else b""
        known = maildir_name.parse_keywords(text)
        numbers = {name.lower(): number for number, name in known.items()}
        new = [word for word in home.keywords if word.lower() not in numbers and word.split() == [word]]
        left = [number for number in range(len(KEYWORD_LETTERS)) if number not in known]
        if new and (path / "dovecot-uidlist").exists():
            left = []  # Dovecot has its own lock for the file
        if len(new) > len(left):
            self._tell(
                f"mailbox {'/'.join(home.mailbox)[:60]}: no letter is left for keywords in {path}, "
                f"so messages are without {' '.join(new[len(left) :])[:200]}"
            )
        added = dict(zip(left, new, strict=False))
        if added:
            end = b"\n" if text and not text.endswith(b"\n") else b""
            replace_durably(file, text + end + maildir_name.format_keywords(added))
        return numbers | {name.lower(): number for number, name in added.items()}


def _unique(digest: bytes, number: int) -> str:
    return f"{digest.hex()[:32]}_{number}{OURS}"


def _cut(name: str) -> str:
    """Return the beginning of a name in modified UTF-7, which ends outside of what is encoded."""
    cut = name[: _LONGEST - 18]
    shift = cut.rfind("&")
    return (cut[:shift] if shift >= 0 and "-" not in cut[shift:] else cut).rstrip(".")


@contextmanager
def _colons(root: Path) -> Iterator[None]:
    """Say what it means if a name is not valid."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise UsageError(
            f"the file system of {root} takes no ':' in names, which a Maildir needs",
            hint="name a directory elsewhere, or use --format eml",
        ) from error


def _is_maildir(path: Path) -> bool:
    return all((path / part).is_dir() for part in _PARTS)


def _make_maildir(path: Path, *, is_below: bool) -> None:
    if _is_maildir(path):
        return
    with storage(path):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in _PARTS:
            (path / part).mkdir(exist_ok=True, mode=0o700)
        if is_below:
            (path / "maildirfolder").touch(mode=0o600)
        sync_directory(path)
        sync_directory(path.parent)


def _scan(path: Path) -> dict[str, str]:
    """Return where messages of ours are, by unique part."""
    found = {}
    with storage(path):
        for part in ("new", "cur"):
            for name in os.listdir(path / part):  # noqa: PTH208 - names are wanted
                unique = maildir_name.parse(name).unique
                if unique.endswith(OURS):
                    found[unique] = f"{part}/{name}"
    return found
