"""Where access tokens come from: what is known of providers, what the file says of them, and of each account."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from mailarchive.config import Endpoint
from mailarchive.configuration import taking
from mailarchive.configuration.model import OAuth, TokenStore
from mailarchive.configuration.tables import Table
from mailarchive.providers import provider_of

_STORES: tuple[TokenStore, ...] = get_args(TokenStore)
_MICROSOFT = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/"
_PERSONAL = ("outlook.", "hotmail.", "live.", "msn.com")
"""How domains begin of accounts that nobody but their owner manages."""
_TENANT = "'consumers' (Outlook.com), 'organizations' (work and school), or the name or id of a directory, not 'common'"
_MAKE_ONE = (
    "the README says how to make one at Google and Microsoft; it can stand in [oauth.{provider}] for all accounts"
)

_KNOWN: Mapping[str, OAuth] = {
    "google": OAuth(
        "google",
        Path(),
        authorization_url="https://accounts.google.com/o/oauth2/v2/auth",
        token_url="https://oauth2.googleapis.com/token",  # noqa: S106 - a place, no secret
        scopes=("https://mail.google.com/",),
        # Without these only the very first login of a user gives a refresh token.
        parameters=(("access_type", "offline"), ("prompt", "consent")),
        idle_days=180,
        trial_days=7,
    ),
    "microsoft": OAuth(
        "microsoft",
        Path(),
        authorization_url=_MICROSOFT + "authorize",
        device_url=_MICROSOFT + "devicecode",
        token_url=_MICROSOFT + "token",
        scopes=(
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://outlook.office.com/POP.AccessAsUser.All",
            "https://outlook.office.com/SMTP.Send",
            "offline_access",
        ),
        # The portal registers no address in place of this name, and any port of it is taken then.
        redirect_url="http://localhost",
        idle_days=90,
    ),
}
_OF_PROVIDERS = {"Gmail": "google", "Microsoft": "microsoft"}


class OAuthReader:
    """Reads the tables ``[oauth.PROVIDER]``, and with them what each account says."""

    def __init__(self, table: Table, file: Path) -> None:
        self._file = file
        self._said: dict[str, Mapping[str, Any]] = {}
        for name in table.names():
            said = table.table(name)
            self._said[name] = _said(said, file)
            said.end()

    @property
    def clients(self) -> frozenset[str]:
        """The providers of which the file names a client for all accounts."""
        return frozenset(name for name, said in self._said.items() if "client_id" in said)

    def of_account(self, account: Table, name: str, endpoint: Endpoint) -> OAuth | None:
        """Return how an account's access tokens are got; None if it does not log in by OAuth. Raises UsageError."""
        if endpoint.auth != "oauth":
            if "oauth" in account:
                account.fail("oauth", "is only used with auth = 'oauth'")
            return None
        if "password" in account:
            account.fail("password", "is not used with auth = 'oauth'", "leave it out")
        table = account.table("oauth")
        provider = self._provider(table, endpoint)
        said = {**self._said.get(provider, {}), **_said(table, self._file)}
        table.end()
        tenant = said.pop("tenant", None) or _tenant_of(endpoint.user)
        kept = self._file.parent / "tokens" / f"{quote(name, safe='@+ ')}.json"
        found = _KNOWN.get(provider, OAuth(provider, kept))._replace(**said, file=kept)
        found = found._replace(**{key: getattr(found, key).replace("{tenant}", tenant) for key in _URLS})
        if not found.token_command:
            _check(account, found)
        return found

    def _provider(self, table: Table, endpoint: Endpoint) -> str:
        usual = provider_at(endpoint)
        name = table.take("provider", "'google', 'microsoft', or the name of a table [oauth.NAME]", taking.text, usual)
        if name and name not in {*_KNOWN, *self._said}:
            there = ", ".join(sorted({*_KNOWN, *self._said}))
            table.fail("provider", f"is {name!r}, of which nothing is said", f"there are: {there}")
        return name


def provider_at(endpoint: Endpoint) -> str:
    """Return what the provider of a server is called here, if its authorization server is known; else nothing."""
    known = provider_of(endpoint.host, endpoint.port)
    return _OF_PROVIDERS.get(known.name, "") if known else ""


_URLS = ("authorization_url", "device_url", "token_url")


def _said(table: Table, file: Path) -> Mapping[str, Any]:
    """Return those fields of OAuth that a table sets, and perhaps ``tenant``. Raises UsageError."""
    url = "a URL that begins with https://"
    found: dict[str, Any] = {key: table.take(key, url, taking.https, None) for key in _URLS}
    found |= {
        "client_id": table.take("client_id", "the id of a client", taking.text, None),
        "scopes": table.take("scopes", "a list of scopes", taking.texts, None),
        "token_command": table.take("token_command", "a command that prints an access token", taking.text, None),
        "redirect_url": table.take("redirect_url", "http://127.0.0.1 or http://localhost", taking.loopback, None),
        "store": table.take("store", "'auto', 'keyring' or 'file'", taking.one_of(_STORES), None),
        "tenant": table.take("tenant", _TENANT, _tenant, None),
        "ca_file": table.take("ca_file", "the path of a PEM file", taking.path_from(file), None),
    }
    if found["ca_file"] is not None and not found["ca_file"].is_file():
        table.fail("ca_file", f"names {found['ca_file']}, which is no file")
    if "client_secret" in table:
        found["client_secret"] = taking.credential(table.table("client_secret"), file)
    return {key: value for key, value in found.items() if value is not None}


def _check(account: Table, found: OAuth) -> None:
    """Raise UsageError if something is missing without which no token can be got."""
    if not found.token_url:
        hint = "it is known for provider = 'google' and 'microsoft'; or let oauth.token_command print access tokens"
        account.fail("oauth", "has no token_url", hint)
    if not (found.authorization_url or found.device_url):
        account.fail("oauth", "has neither authorization_url nor device_url")
    if not found.client_id:
        account.fail("oauth", "has no client_id", _MAKE_ONE.format(provider=found.provider or "NAME"))


def _tenant(value: object) -> str | None:
    text = taking.text(value)
    return text if text and text != "common" and all(char.isalnum() or char in "-." for char in text) else None


def _tenant_of(user: str) -> str:
    """Return which of Microsoft's doors a user name goes through."""
    return "consumers" if user.rpartition("@")[2].lower().startswith(_PERSONAL) else "organizations"
