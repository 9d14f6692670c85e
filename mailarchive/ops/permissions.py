"""Who else can get at secrets, or change what is run: looked at, and said with what to do; nothing is opened."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from mailarchive.configuration import AccountEntry, Configuration, Credential
from mailarchive.ops.doctor import Finding

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE = stat.S_IWGRP | stat.S_IWOTH


def of_configuration(configuration: Configuration) -> Iterator[Finding]:
    """Yield what is found about the file itself and what it names for all accounts; nothing if it is not there."""
    file = configuration.file
    if not file.exists():
        return
    folders = [*_folder("configuration", file.resolve().parent)]
    yield from folders or [Finding("configuration", "fine", f"nobody else can write to {file}")]
    if configuration.notify is not None and (path := _named(configuration.notify.credential)):
        yield from secret_file("password file of notify", path)


def of_account(entry: AccountEntry) -> Iterator[Finding]:
    """Yield what is found about the files and folders in which the secrets of an account are."""
    if path := _named(entry.credential):
        yield from secret_file("password file", path)
    oauth = entry.oauth
    if oauth is None:
        return
    if path := _named(oauth.client_secret):
        yield from secret_file("client secret", path)
    if oauth.file.exists():
        yield from secret_file("tokens", oauth.file)
        yield from _private_folder("tokens", oauth.file.parent)


def secret_file(what: str, path: Path) -> Iterator[Finding]:
    """Yield who else can get at a file that holds a secret: it should have mode 0600; nothing if it is not there."""
    status = _status(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return
    if status.st_uid not in {0, os.geteuid()}:
        yield Finding(what, "problem", f"{path} belongs to somebody else", "make a copy of your own, with mode 600")
    elif status.st_mode & _OTHERS:
        yield Finding(what, "problem", f"others can get at {path}", f"chmod 600 {shlex.quote(str(path))}")
    else:
        yield Finding(what, "fine", f"only its owner can get at {path}")
    yield from _folder(what, path.resolve().parent)


def _folder(what: str, folder: Path) -> Iterator[Finding]:
    """Yield whether others can put another file into the place of one in ``folder``."""
    status = _status(folder)
    if status is not None and status.st_mode & _WRITE and not status.st_mode & stat.S_ISVTX:
        sentence = f"others can write to {folder}, and so put something else into the place of what is there"
        yield Finding(what, "problem", sentence, f"chmod go-w {shlex.quote(str(folder))}")


def _private_folder(what: str, folder: Path) -> Iterator[Finding]:
    status = _status(folder)
    if status is not None and status.st_mode & _OTHERS and not status.st_mode & _WRITE:
        yield Finding(what, "warning", f"others can look into {folder}", f"chmod 700 {shlex.quote(str(folder))}")


def _named(credential: Credential | None) -> Path | None:
    return Path(credential.value) if credential is not None and credential.kind == "file" else None


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
