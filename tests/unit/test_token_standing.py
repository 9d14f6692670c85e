"""How a login stands is told before it ends, with what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailarchive.configuration.model import OAuth
from mailarchive.configuration.reading import read
from mailarchive.tokens.base import Tokens
from mailarchive.tokens.explain import standing, why_ended

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
LOGIN = "mailarchive account login me"


def oauth_of(host: str) -> OAuth:
    text = f'[accounts."me@x.org"]\nhost = "{host}"\nauth = "oauth"\noauth.client_id = "x"\n'
    found = read(Path("/config.toml"), text).accounts["me@x.org"].oauth
    assert found is not None
    return found


GOOGLE, MICROSOFT = oauth_of("imap.gmail.com"), oauth_of("outlook.office365.com")
OWN = OAuth("own", Path("/tokens/me.json"))


def tokens(*, granted: float, used: float) -> Tokens:
    """Return tokens of a login so many days ago, last used so many days ago."""
    issued = NOW - timedelta(days=used)
    return Tokens(
        "me", "x", "x", "access", "refresh", NOW - timedelta(days=granted), issued, issued + timedelta(hours=1)
    )


@pytest.mark.parametrize(
    ("oauth", "granted", "used", "state", "words"),
    [
        (MICROSOFT, 300, 1, "good", "logged in on 2023-08-06"),
        (MICROSOFT, 300, 80, "ending", "ends on 2024-06-11: it was last used on 2024-03-13; a pull uses it"),
        (MICROSOFT, 300, 91, "ended", "ended on 2024-05-31"),
        (GOOGLE, 1, 0, "good", "logged in"),
        (GOOGLE, 5, 0, "ending", "ends on 2024-06-03: if the app is still in 'Testing'"),
        (GOOGLE, 8, 0, "good", "logged in"),
        (GOOGLE, 300, 170, "ending", "ends on 2024-06-11"),
        (OWN, 3000, 3000, "good", "logged in"),
    ],
)
def test_an_end_that_is_near_is_told(oauth: OAuth, granted: float, used: float, state: str, words: str) -> None:
    found = standing(tokens(granted=granted, used=used), oauth, LOGIN, NOW)
    assert found.state == state
    assert words in found.sentence
    assert (found.hint == LOGIN) == (state != "good")
    assert found.used == NOW - timedelta(days=used)


def test_an_end_that_the_provider_told_is_believed() -> None:
    told = replace(tokens(granted=5, used=0), refresh_expires=NOW + timedelta(days=2))
    found = standing(told, GOOGLE, LOGIN, NOW)
    assert (found.state, found.ends) == ("ending", NOW + timedelta(days=2))
    assert "publish it" in found.sentence
    later = replace(told, refresh_expires=NOW + timedelta(days=80))
    assert standing(later, GOOGLE, LOGIN, NOW).state == "good"


def test_a_login_that_was_refused_has_ended_and_one_that_is_not_there_is_missing() -> None:
    refused = replace(tokens(granted=1, used=0), refused=NOW - timedelta(days=1))
    found = standing(refused, MICROSOFT, LOGIN, NOW)
    assert (found.state, found.sentence) == ("ended", "the login has been refused since 2024-05-31")
    assert "not used for 90 days" in found.hint
    assert standing(None, MICROSOFT, LOGIN, NOW).state == "missing"


def test_a_login_without_refresh_token_ends_with_its_access_token() -> None:
    found = standing(replace(tokens(granted=0, used=0), refresh=""), OWN, LOGIN, NOW)
    assert (found.state, found.ends) == ("ending", NOW + timedelta(hours=1))


def test_the_reasons_are_those_of_the_provider() -> None:
    google = why_ended(GOOGLE, LOGIN)
    assert "good for 7 days (publish it)" in google
    assert "50 to 100" in google
    assert google.endswith(LOGIN)
    assert "Testing" not in why_ended(MICROSOFT, LOGIN)
    assert why_ended(OWN, LOGIN).startswith("perhaps it was revoked, or the password was changed; ")
