"""The user's configuration file: archives, accounts, and what is pulled from each."""

from pathlib import Path

from mailarchive.configuration.model import AccountEntry, Configuration, Credential, Notify, OAuth
from mailarchive.configuration.places import configuration_file

__all__ = ["AccountEntry", "Configuration", "Credential", "Notify", "OAuth", "configuration_file", "load"]


def load(file: Path) -> Configuration:
    """Return what ``file`` says; nothing if it is not there. Raises UsageError."""
    if not file.exists():
        return Configuration(file, {}, {})
    from mailarchive.configuration.reading import load as read_file  # noqa: PLC0415 - start-up: often there is no file

    return read_file(file)
