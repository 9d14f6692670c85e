"""The OAuth client of an account that is added: given, in the configuration already, or asked for."""

from pathlib import Path

from mailarchive.cli import asking
from mailarchive.cli.terminal import notice
from mailarchive.config import Endpoint
from mailarchive.configuration import Configuration, Credential, OAuth
from mailarchive.errors import UsageError


def client_for(
    endpoint: Endpoint, known: Configuration, given: str | None, secret: Path | None, *, asks: bool
) -> OAuth | None:
    """Return the client to write down for an account; None if it needs none, or there is one for its provider.

    ``given`` is the client's id, ``secret`` the file of its secret. Raises UsageError if there is none to be had.
    """
    if endpoint.auth != "oauth":
        if given or secret:
            raise UsageError("--client-id and --client-secret-file are for accounts that log in by OAuth")
        return None
    from mailarchive.configuration.oauth import provider_at

    provider = provider_at(endpoint)
    if not provider:
        raise UsageError(
            f"the OAuth server of {endpoint.host} is not known",
            hint=f"write the account into {known.file} by hand: the README shows how, under OAuth",
        )
    if given is None and provider in known.clients:
        return None
    client_id = given or (_asked(provider) if asks else "")
    if not client_id:
        raise UsageError(
            f"{endpoint.host} wants a login by OAuth, and that needs a client of your own at {provider}",
            hint="the README says how to make one, under Recipes; then give it: --client-id ID",
        )
    if provider == "google" and secret is None:
        notice("Google's clients have a secret, too: --client-secret-file FILE, or [oauth.google] in the configuration")
    place = Credential("file", str(secret.expanduser().absolute())) if secret else None
    return OAuth(provider, Path(), client_id=client_id, client_secret=place)


def _asked(provider: str) -> str:
    return asking.ask(f"Id of your client at {provider} (the README says how to make one, under Recipes)")
