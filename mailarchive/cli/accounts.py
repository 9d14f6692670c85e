"""Which accounts a pull is about: given as URLs, by their names in the configuration, or as the archive knows them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mailarchive.config import Endpoint, account_of
from mailarchive.configuration import AccountEntry, configuration_file, load
from mailarchive.errors import ArchiveMissing, UsageError

ReadUrl = Callable[[str, str], Endpoint]
"""Makes an endpoint of a URL and the security that is known of it, if any is."""
_HINT = "give a URL: mailarchive pull imaps://user@host; or set an account up: mailarchive account add me@example.org"


class Chosen(NamedTuple):
    """An account, the archive that it goes into, and what the configuration says of it, if it does."""

    endpoint: Endpoint
    archive: Path
    entry: AccountEntry | None = None

    @property
    def account(self) -> str:
        """Its name in the archive."""
        return account_of(self.endpoint).name

    @property
    def name(self) -> str:
        """What the configuration calls it; empty if it does not name it."""
        return self.entry.name if self.entry else ""


def choose(
    targets: Sequence[str], given: Path | None, default: Path, config: Path | None, read: ReadUrl
) -> list[Chosen]:
    """Return the accounts that ``targets`` name; without any all of the configuration, else all that the archive knows.

    ``given`` is the archive that the user named: then only the accounts that go there; ``default`` is where all others
    go. Raises UsageError.
    """
    if config is not None and not configuration_file(config).exists():
        raise UsageError(f"there is no configuration at {config}", hint="name another file with --config")
    configuration = load(configuration_file(config))
    entries = {name: entry for name, entry in configuration.accounts.items() if given in {None, entry.archive}}
    if not targets and entries:
        return [Chosen(entry.endpoint, entry.archive, entry) for entry in entries.values()]
    chosen = _Choice(entries, default, read)
    if not targets and configuration.accounts and not chosen.knows_any:
        raise UsageError(
            f"no account of the configuration goes into {default}",
            hint="leave out --archive, or give the account that archive in the configuration",
        )
    found = [chosen.one(target) for target in targets] if targets else chosen.all_known()
    names = [(one.account, one.archive) for one in found]
    if len(set(names)) < len(names):
        raise UsageError("an account is named twice", hint="name each account once")
    return found


class _Choice:
    """Finds accounts by what was given."""

    def __init__(self, entries: Mapping[str, AccountEntry], archive: Path, read: ReadUrl) -> None:
        self._entries = entries
        self._archive = archive
        self._read = read
        self._known: dict[str, Endpoint] | None = None

    def one(self, target: str) -> Chosen:
        """Return the account that one argument names. Raises UsageError."""
        if "://" in target:
            return Chosen(self._read(target, ""), self._archive)
        if target in self._entries:
            entry = self._entries[target]
            return Chosen(entry.endpoint, entry.archive, entry)
        known = self._accounts_of_archive()
        if target in known:
            return Chosen(known[target], self._archive)
        names = [*self._entries, *known]
        known_ones = f"; there are {', '.join(names)}" if names else ""
        shown = "what is given" if ":" in target else repr(target)  # it may hold a password
        raise UsageError(
            f"{shown} is neither a URL nor an account of the configuration or of {self._archive}{known_ones}",
            hint=_HINT,
        )

    @property
    def knows_any(self) -> bool:
        """Whether the archive knows an account."""
        return bool(self._accounts_of_archive())

    def all_known(self) -> list[Chosen]:
        """Return the accounts that the archive knows. Raises UsageError if it knows none."""
        known = self._accounts_of_archive()
        if not known:
            raise UsageError("no account to pull from", hint=_HINT)
        return [Chosen(endpoint, self._archive) for endpoint in known.values()]

    def _accounts_of_archive(self) -> Mapping[str, Endpoint]:
        from mailarchive.ops import browse

        if self._known is None:
            try:
                accounts = [account for account in browse.accounts(self._archive) if account.url]
            except ArchiveMissing:
                accounts = []
            self._known = {account.name: self._read(account.url, account.security) for account in accounts}
        return self._known
