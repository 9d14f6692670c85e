"""The user's configuration file: archives, accounts, and what is pulled from each."""

from mailarchive.configuration.model import AccountEntry, Configuration, Credential, Notify, OAuth
from mailarchive.configuration.places import configuration_file
from mailarchive.configuration.reading import load, read
from mailarchive.configuration.writing import add_account, remove_account

__all__ = [
    "AccountEntry",
    "Configuration",
    "Credential",
    "Notify",
    "OAuth",
    "add_account",
    "configuration_file",
    "load",
    "read",
    "remove_account",
]
