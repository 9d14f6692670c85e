"""The user's configuration file: archives, accounts, and what is pulled from each."""

from mailarchive.configuration.model import AccountEntry, Configuration, Credential, OAuth
from mailarchive.configuration.places import configuration_file
from mailarchive.configuration.reading import load, read

__all__ = ["AccountEntry", "Configuration", "Credential", "OAuth", "configuration_file", "load", "read"]
