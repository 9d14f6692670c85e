"""Write the configuration file: what stands there stays as it is, comments and order too."""

import fcntl
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailarchive.config import Endpoint, default_port
from mailarchive.configuration.model import AccountEntry, Configuration, Credential, OAuth
from mailarchive.configuration.reading import load, read
from mailarchive.configuration.values import size_text, span_text
from mailarchive.errors import UsageError
from mailarchive.files import make_directory, replace_durably

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_FLAGS = frozenset({"keyring", "prompt"})
"""The ways to a password that are only switched on."""


def add_account(file: Path, entry: AccountEntry, address: str = "") -> None:
    """Write an account into ``file``, which is made, mode 0600, if it is not there; an archive that is new too.

    ``address`` is the account's mail address, where its name is not that. Of ``entry.oauth`` the client is written, for
    all accounts of its provider if there is none yet. Raises UsageError if the name is taken, and for what ``load``
    refuses, before and after; StorageFailed.
    """

    def add(document: "TOMLDocument", known: Configuration) -> None:
        if entry.name in known.accounts:
            raise UsageError(
                f"there is an account {entry.name} already, in {file}",
                hint=f"give another name with --name, or first: mailarchive account remove {entry.name}",
            )
        archive = _archive_name(document, known, entry.archive)
        account = _settings(entry, address, archive, file)
        if entry.oauth is not None:
            _add_client(document, known, account, entry.oauth, file)
        _table(document, "accounts")[entry.name] = account

    _change(file, add)


def remove_account(file: Path, name: str) -> None:
    """Take an account out of ``file``; its archive stays. Raises UsageError if there is none, StorageFailed."""

    def remove(document: "TOMLDocument", known: Configuration) -> None:
        if name not in known.accounts:
            raise UsageError(f"there is no account {name!r} in {file}", hint=f"there are: {', '.join(known.accounts)}")
        del document["accounts"][name]
        if not document["accounts"]:
            del document["accounts"]

    _change(file, remove)


def _change(file: Path, edit: Callable[["TOMLDocument", Configuration], None]) -> None:
    """Read, edit and write a file; in the meantime no other of our processes does. What a link names is written."""
    place = file.resolve()
    make_directory(place.parent)
    with _alone(place.parent):
        known = load(file)
        mode, text = (place.stat().st_mode & 0o777, _text(place)) if place.exists() else (0o600, "")
        changed = _edited(text, lambda document: edit(document, known))
        if changed is None:
            raise UsageError(f"{file} is written in a way that cannot be changed here", hint="change it by hand")
        read(file, changed)
        replace_durably(place, changed.encode(), mode)


def _edited(text: str, edit: Callable[["TOMLDocument"], None]) -> str | None:
    """Return ``text`` after ``edit``; None if it would not say what is meant."""
    import tomlkit  # noqa: PLC0415 - start-up: few commands write
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415 - start-up: few commands write

    try:
        document = tomlkit.parse(text)
        edit(document)
        changed = tomlkit.dumps(document)
        return changed if tomllib.loads(changed) == document.unwrap() else None
    except (ValueError, TypeError, TOMLKitError):
        return None


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let no other process be in such a block about ``directory``, where the file system has locks."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _text(place: Path) -> str:
    return place.read_bytes().decode("utf-8")


def _table(document: "TOMLDocument", key: str) -> Any:
    """Return the table of tables ``key``, which is made if it is not there."""
    import tomlkit  # noqa: PLC0415 - start-up: few commands write

    if key not in document:
        document.add(key, tomlkit.table(is_super_table=key in {"accounts", "oauth"}))
    return document[key]


def _archive_name(document: "TOMLDocument", known: Configuration, directory: Path) -> str | None:
    """Return what the file calls an archive, added if it is new; None if it is the one that need not be named.

    The archive that is there without being written down is written down before another is, which would be the first.
    """
    names = [name for name, path in known.archives.items() if path == directory]
    first = next(iter(known.archives), None)
    if names and (len(known.archives) == 1 or names[0] == first):
        return None
    if names:
        return names[0]
    archives = _table(document, "archives")
    if not archives and known.accounts:
        archives.update({name: str(path) for name, path in known.archives.items()})
    name = _free_name(directory, archives)
    archives[name] = str(directory)
    return name if len(archives) > 1 else None


def _free_name(directory: Path, taken: Mapping[str, object]) -> str:
    wanted = re.sub(r"[^\w.-]+", "-", directory.name, flags=re.ASCII).strip("-.") or "archive"
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _settings(entry: AccountEntry, address: str, archive: str | None, file: Path) -> Any:
    """Return an account's table, without what is so anyway."""
    import tomlkit  # noqa: PLC0415 - start-up: few commands write

    table = tomlkit.table()
    if address not in {"", entry.name}:
        table["address"] = address
    table.update(_server(entry.endpoint, address or (entry.name if "@" in entry.name else "")))
    settings = {
        "archive": archive,
        "mailboxes": list(entry.mailboxes),
        "exclude": list(entry.exclude),
        "connections": entry.connections,
        "max_download": size_text(entry.max_download) if entry.max_download else None,
        "newest_first": entry.newest_first,
        "every": span_text(entry.every) if entry.every else None,
    }
    table.update({key: value for key, value in settings.items() if value})
    if entry.credential is not None:
        table.add(tomlkit.key(["password", entry.credential.kind]), tomlkit.item(_reference(entry.credential, file)))
    return table


def _add_client(document: "TOMLDocument", known: Configuration, account: Any, client: OAuth, file: Path) -> None:
    """Write a client down for its provider, or where that has another one, for this account."""
    import tomlkit  # noqa: PLC0415 - start-up: few commands write

    table = tomlkit.table()
    table["client_id"] = client.client_id
    if client.client_secret is not None:
        place = client.client_secret
        table.add(tomlkit.key(["client_secret", place.kind]), tomlkit.item(_reference(place, file)))
    if client.provider in known.clients:
        account["oauth"] = table
    else:
        _table(document, "oauth")[client.provider] = table


def _server(endpoint: Endpoint, address: str) -> dict[str, object]:
    scheme = endpoint.protocol + ("s" if endpoint.security == "tls" else "")
    settings: dict[str, tuple[object, object]] = {
        "protocol": (endpoint.protocol, "imap"),
        "host": (endpoint.host, None),
        "port": (endpoint.port, default_port(scheme)),
        "tls": (endpoint.security, "tls"),
        "user": (endpoint.user, address),
        "auth": (endpoint.auth, "password"),
        "compress": (endpoint.compress, "auto"),
        "ca_file": (str(endpoint.ca_file) if endpoint.ca_file else None, None),
    }
    return {key: value for key, (value, usual) in settings.items() if value != usual}


def _reference(credential: Credential, file: Path) -> str | bool:
    """Return where a secret is; a file beside the configuration by its name from there."""
    if credential.kind in _FLAGS:
        return True
    if credential.kind == "file":
        path = Path(credential.value)
        return str(path.relative_to(file.parent)) if path.is_relative_to(file.parent) else str(path)
    return credential.value
