"""Where an account's access tokens come from, and where they are kept."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mailarchive.cli.credentials import (
    SERVICE,
    Asked,
    PasswordOptions,
    by_reference,
    from_command,
    is_command,
    password_for,
)
from mailarchive.clock import SystemClock
from mailarchive.config import RECENT, Endpoint, account_of
from mailarchive.configuration import AccountEntry, OAuth, configuration_file, load
from mailarchive.errors import AuthenticationFailed, StorageFailed, TokenDenied, UsageError
from mailarchive.providers import provider_of

if TYPE_CHECKING:
    from mailarchive.tokens.base import Tokens, TokenStore
    from mailarchive.tokens.explain import Standing
    from mailarchive.tokens.keeper import Holder, Keeper

Secret = Callable[[], str]
_AWAY = (
    "outside of your desktop, as in cron, its keyring cannot be got at: put oauth.store = 'file' into the "
    "configuration, and log in again with: mailarchive account login {name}"
)


def secret_for(
    endpoint: Endpoint,
    account: str,
    options: PasswordOptions,
    entry: AccountEntry | None = None,
    *,
    is_alone: bool = True,
) -> Secret:
    """Return what gives the password of ``account``, or a good access token, for each connection to ``endpoint``.

    A password is asked for at once; but from a command only when it is needed, if the account ``is_alone`` not, and
    would hold up the others. ``entry`` is what the configuration says of the account. Raises UsageError,
    AuthenticationFailed.
    """
    if endpoint.auth == "oauth" and options.command is None and options.file is None:
        return access_tokens(entry if entry and entry.oauth else entry_for(endpoint, options.config))
    credential = entry.credential if entry else None
    if not is_alone and is_command(options, credential):
        return Asked(lambda: password_for(account, options, credential))
    password = password_for(account, options, credential)
    return lambda: password


def entry_for(endpoint: Endpoint, config: Path | None) -> AccountEntry:
    """Return the account of the configuration whose login serves for ``endpoint``: of the same user, at the same place.

    Raises UsageError if there is none.
    """
    entries = [one for one in load(configuration_file(config)).accounts.values() if one.oauth]
    found = [one for one in entries if _person(one.endpoint) == _person(endpoint)]
    near = [one for one in found if _is_near(one.endpoint.host.lower(), endpoint.host.lower())]
    if found and not near:
        raise UsageError(
            f"the login of {found[0].name} is for {found[0].endpoint.host}: {endpoint.host} shall not see its tokens",
            hint="check the host name; if it is right, put an account with this host into the configuration",
        )
    if not found:
        raise UsageError(
            f"no account of the configuration logs {endpoint.user} in with auth = 'oauth'",
            hint="the README says how to make one; with --auth xoauth2 the password is an access token",
        )
    return min(near, key=lambda one: one.endpoint.host.lower() != endpoint.host.lower())


def access_tokens(entry: AccountEntry) -> Secret:
    """Return what gives an access token of an account that is good, for each connection."""
    oauth = _oauth(entry)
    if oauth.token_command:
        return lambda: _from_command(oauth.token_command, account_of(entry.endpoint).name)
    return keeper(entry)


def keeper(entry: AccountEntry) -> "Keeper":
    """Return who keeps and renews the tokens of an account."""
    from mailarchive.tokens.keeper import Keeper

    return Keeper(holder(entry), store(entry), SystemClock())


def holder(entry: AccountEntry) -> "Holder":
    """Return whose tokens an account has."""
    from mailarchive.tokens.keeper import Holder

    oauth = _oauth(entry)
    return Holder(entry.name, _person(entry.endpoint), oauth, lambda: _client_secret(oauth))


def token_standing(entry: AccountEntry) -> "Standing | None":
    """Return how the login of an account stands; None if its tokens are not ours. Nobody is asked.

    Raises UsageError, AuthenticationFailed if the tokens cannot be read.
    """
    from mailarchive.tokens.explain import standing

    if entry.oauth is None or entry.oauth.token_command:
        return None
    return standing(store(entry).load(), entry.oauth, holder(entry).login, SystemClock().now())


def forget_tokens(entry: AccountEntry) -> None:
    """Remove the tokens of an account, if they are ours and there are any. Raises StorageFailed."""
    if entry.oauth is not None and not entry.oauth.token_command:
        store(entry).remove()


def store(entry: AccountEntry) -> "TokenStore":
    """Return where the tokens of an account are kept."""
    from mailarchive.tokens.files import FileStore

    oauth = _oauth(entry)
    keyring = KeyringStore(entry.name)
    is_wanted = oauth.store == "keyring" or (oauth.store == "auto" and not oauth.file.exists() and keyring.is_there())
    return keyring if is_wanted else FileStore(oauth.file)


def is_in_keyring(entry: AccountEntry) -> bool:
    """Return whether the tokens of an account are ours, and kept in the keyring of the system."""
    return bool(entry.oauth and not entry.oauth.token_command) and isinstance(store(entry), KeyringStore)


class KeyringStore:
    """Keeps the tokens in the keyring of the system."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._entry = f"oauth:{name}"

    @property
    def place(self) -> str:
        return "the system keyring"

    def is_there(self) -> bool:
        """Return whether there is a keyring that answers."""
        if find_spec("keyring") is None:
            return False
        import keyring
        from keyring.backends.fail import Keyring as NoKeyring

        try:
            keyring.get_password(SERVICE, self._entry)
        except Exception:  # noqa: BLE001 - each desktop's backend fails in its own way
            return False
        return not isinstance(keyring.get_keyring(), NoKeyring)

    def load(self) -> "Tokens | None":
        from mailarchive.tokens.base import Tokens

        if find_spec("keyring") is None:
            raise AuthenticationFailed("there is no keyring package", hint="install mailarchive with [keyring]")
        import keyring

        try:
            kept = keyring.get_password(SERVICE, self._entry)
        except Exception as error:  # noqa: BLE001 - each desktop's backend fails in its own way
            sentence = f"the system keyring cannot be read ({type(error).__name__})"
            raise AuthenticationFailed(sentence, hint=_AWAY.format(name=self._name)) from None
        return Tokens.load(kept, self.place) if kept else None

    def save(self, tokens: "Tokens") -> None:
        import keyring

        try:
            keyring.set_password(SERVICE, self._entry, tokens.dump())
        except Exception as error:  # noqa: BLE001 - each desktop's backend fails in its own way
            sentence = f"the system keyring cannot be written ({type(error).__name__})"
            raise StorageFailed(sentence, hint=_AWAY.format(name=self._name)) from None

    def remove(self) -> None:
        import keyring
        from keyring.errors import PasswordDeleteError

        try:
            keyring.delete_password(SERVICE, self._entry)
        except PasswordDeleteError:
            pass
        except Exception as error:  # noqa: BLE001 - each desktop's backend fails in its own way
            sentence = f"the system keyring cannot be written ({type(error).__name__})"
            raise StorageFailed(sentence, hint=_AWAY.format(name=self._name)) from None


def _is_near(one: str, other: str) -> bool:
    """Return whether two hosts belong together: to a provider, or to the same domain."""
    known, domain = provider_of(one), one.partition(".")[2]
    return one == other or (known is not None and known is provider_of(other)) or _is_below(other, domain)


def _is_below(host: str, domain: str) -> bool:
    return "." in domain and host.partition(".")[2] == domain and not domain.replace(".", "").isdecimal()


def _person(endpoint: Endpoint) -> str:
    """Return who logs in, by the name that the authorization server knows."""
    return endpoint.user.removeprefix(RECENT) if endpoint.protocol == "pop3" else endpoint.user


def _oauth(entry: AccountEntry) -> OAuth:
    if entry.oauth is None:
        raise UsageError(f"{entry.name} does not log in by OAuth", hint="put auth = 'oauth' into its configuration")
    return entry.oauth


def _from_command(command: str, account: str) -> str:
    try:
        return from_command(command, account, "token command")
    except UsageError as error:
        raise TokenDenied(str(error), hint=error.hint) from None


def _client_secret(oauth: OAuth) -> str:
    if oauth.client_secret is None:
        return ""
    try:
        return by_reference(f"oauth:{oauth.provider}", oauth.client_secret)
    except (AuthenticationFailed, UsageError) as error:
        raise type(error)(f"there is no client secret: {error}", hint=error.hint) from None
