"""Keeps a password that was typed in: in the system keyring, or in a file that only its owner can read."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from mailarchive.cli.credentials import SERVICE
from mailarchive.config import account_of
from mailarchive.configuration import AccountEntry, Credential
from mailarchive.errors import UsageError
from mailarchive.files import make_directory, remove, replace_durably

IN_KEYRING = "the system keyring"
_RECOMMENDED = 1
"""The priority from which a keyring is one to be used without being asked for."""


def has_keyring() -> bool:
    """Return whether there is a system keyring that is safe to use."""
    if find_spec("keyring") is None:
        return False
    import keyring

    try:
        return float(keyring.get_keyring().priority) >= _RECOMMENDED
    except Exception:  # noqa: BLE001 - each desktop's backend fails in its own way
        return False


def keep_in_keyring(account: str, password: str) -> Credential:
    """Put a password into the system keyring; return the reference to it. Raises UsageError."""
    import keyring

    try:
        keyring.set_password(SERVICE, account, password)
    except Exception as error:  # noqa: BLE001 - each desktop's backend fails in its own way
        raise UsageError(
            f"the system keyring does not take the password ({type(error).__name__})",
            hint="keep it elsewhere, with --password-file FILE or --password-command CMD",
        ) from None
    return Credential("keyring")


def keep_in_file(configuration: Path, name: str, password: str) -> Credential:
    """Write a password into a file, mode 0600, beside the configuration; return the reference. Raises StorageFailed."""
    path = _file(configuration, name)
    make_directory(path.parent)
    replace_durably(path, f"{password}\n".encode())
    return Credential("file", str(path))


def kept_in(entry: AccountEntry, configuration: Path, others: Iterable[AccountEntry]) -> str:
    """Return where ``account add`` keeps the password that only this account needs; empty if nowhere.

    Other places than the keyring and its own file are the user's.
    """
    credential = entry.credential
    if credential is None or any(_same_secret(entry, other) for other in others):
        return ""
    path = _file(configuration, entry.name)
    if credential == Credential("file", str(path)):
        return f"the file {path}"
    return IN_KEYRING if credential.kind == "keyring" else ""


def forget(entry: AccountEntry, configuration: Path, others: Iterable[AccountEntry]) -> str:
    """Remove a password from where ``kept_in`` says; return from where, if there was one. Raises StorageFailed."""
    place = kept_in(entry, configuration, others)
    if place == IN_KEYRING:
        return place if _forgotten(account_of(entry.endpoint).name) else ""
    if place:
        remove(_file(configuration, entry.name))
    return place


def _file(configuration: Path, name: str) -> Path:
    return configuration.parent / "secrets" / name


def _same_secret(entry: AccountEntry, other: AccountEntry) -> bool:
    if entry.credential != other.credential:
        return False
    return entry.credential != Credential("keyring") or account_of(entry.endpoint) == account_of(other.endpoint)


def _forgotten(account: str) -> bool:
    if find_spec("keyring") is None:
        return False
    import keyring

    try:
        keyring.delete_password(SERVICE, account)
    except Exception:  # noqa: BLE001 - each desktop's backend fails in its own way
        return False
    return True
