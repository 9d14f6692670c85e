"""Where access tokens come from is read from the file, and what is missing or wrong is said."""

from pathlib import Path

import pytest

from mailarchive.configuration import Credential, OAuth
from mailarchive.configuration.reading import read
from mailarchive.errors import UsageError

FILE = Path("/home/me/.config/mailarchive/config.toml")
GOOGLE = '[accounts."me@gmail.com"]\nhost = "imap.gmail.com"\nauth = "oauth"\n'
CLIENT = '[oauth.google]\nclient_id = "one for all"\nclient_secret.environment = "SECRET"\n'
OWN = """
[oauth.example]
client_id = "us"
authorization_url = "https://login.example.org/authorize"
token_url = "https://login.example.org/token"
scopes = ["mail"]
redirect_url = "http://127.0.0.1:8765/back"
store = "file"

[accounts."me/work"]
user = "me"
host = "imap.example.org"
auth = "oauth"
oauth.provider = "example"
"""


def oauth_of(text: str) -> OAuth:
    [entry] = read(FILE, text).accounts.values()
    assert entry.oauth is not None
    return entry.oauth


def test_google_is_known_by_its_host_and_the_client_stands_once_for_all() -> None:
    found = oauth_of(CLIENT + GOOGLE)
    assert (found.provider, found.client_id) == ("google", "one for all")
    assert found.client_secret == Credential("environment", "SECRET")
    assert found.scopes == ("https://mail.google.com/",)
    assert not found.device_url
    assert found.file == FILE.parent / "tokens" / "me@gmail.com.json"


def test_what_an_account_says_comes_first() -> None:
    found = oauth_of(CLIENT + GOOGLE + 'oauth.client_id = "my own"\noauth.scopes = ["mail"]\n')
    assert (found.client_id, found.scopes) == ("my own", ("mail",))


@pytest.mark.parametrize(
    ("user", "tenant", "door"),
    [
        ("me@outlook.com", "", "consumers"),
        ("me@hotmail.co.uk", "", "consumers"),
        ("me@example.org", "", "organizations"),
        ("me@example.org", 'oauth.tenant = "example.org"\n', "example.org"),
    ],
)
def test_microsoft_has_a_door_for_each_kind_of_account(user: str, tenant: str, door: str) -> None:
    head = f'[accounts."{user}"]\nhost = "outlook.office365.com"\nauth = "oauth"\noauth.client_id = "x"\n'
    found = oauth_of(head + tenant)
    assert found.device_url == f"https://login.microsoftonline.com/{door}/oauth2/v2.0/devicecode"
    assert found.token_url == f"https://login.microsoftonline.com/{door}/oauth2/v2.0/token"
    assert "offline_access" in found.scopes
    assert found.redirect_url == "http://localhost"


def test_any_other_provider_is_told_by_its_urls() -> None:
    assert oauth_of(OWN) == OAuth(
        "example",
        FILE.parent / "tokens" / "me%2Fwork.json",
        client_id="us",
        authorization_url="https://login.example.org/authorize",
        token_url="https://login.example.org/token",
        scopes=("mail",),
        redirect_url="http://127.0.0.1:8765/back",
        store="file",
    )


def test_a_command_may_give_the_tokens_and_then_nothing_else_is_needed() -> None:
    text = '[accounts."me@x.org"]\nhost = "imap.x.org"\nauth = "oauth"\noauth.token_command = "give token"\n'
    assert oauth_of(text).token_command == "give token"


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        (GOOGLE, 'accounts."me@gmail.com".oauth has no client_id', "[oauth.google]"),
        (GOOGLE.replace("imap.gmail.com", "imap.x.org"), "has no token_url", "oauth.token_command"),
        (GOOGLE + 'oauth.provider = "gogle"\n', "line 4: ", "google, microsoft"),
        (CLIENT + GOOGLE + "password.keyring = true\n", "password is not used with auth = 'oauth'", "leave it out"),
        (GOOGLE.replace('"oauth"', '"password"') + 'oauth.client_id = "x"\n', "is only used with auth = 'oauth'", ""),
        (GOOGLE + 'oauth.clientid = "x"\n', "clientid is not known", "did you mean client_id?"),
        ('[oauth.google]\nclient = "x"\n', "line 2: oauth.google.client is not known", "did you mean client_id?"),
        (GOOGLE + 'oauth.tenant = "common"\n', "not 'common'", ""),
        (OWN.replace("https://login.example.org/token", "http://login.example.org/token"), "begins with https://", ""),
        (OWN.replace("127.0.0.1:8765", "example.org"), "must be http://127.0.0.1 or http://localhost", ""),
        (OWN.replace("authorization_url", "#"), "has neither authorization_url nor device_url", ""),
        (OWN + 'oauth.ca_file = "none.pem"\n', "which is no file", ""),
    ],
)
def test_what_is_wrong_is_said(text: str, sentence: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(FILE, text)
    assert sentence in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "line", ['client_secret = "hunter2"', 'client_secret.file = ["hunter2"]', 'client_secret.keyring = "hunter2"']
)
def test_a_client_secret_is_named_by_where_it_is_and_not_repeated(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(FILE, f"[oauth.google]\n{line}\n")
    assert "hunter2" not in str(caught.value) + caught.value.hint
