"""Tokens when things go wrong: servers that are down or odd, answers that are none, threads that want one at once."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailarchive.configuration import OAuth
from mailarchive.errors import (
    AuthenticationFailed,
    MailArchiveError,
    ProtocolViolation,
    SourceUnreachable,
    TlsFailed,
    TokenDenied,
    UsageError,
)
from mailarchive.remote.oauth import Grant
from mailarchive.tokens.base import Tokens
from mailarchive.tokens.files import FileStore
from mailarchive.tokens.keeper import Holder, Keeper
from mailarchive.tokens.login import by_browser, by_device
from tests.servers.authorization import CLIENT, SECRET, AuthorizationServer
from tests.servers.certificates import Certificate, make_certificate
from tests.servers.still_clock import StillClock

NEVER = threading.Event()


@dataclass
class Site:
    server: AuthorizationServer
    holder: Holder
    store: FileStore
    clock: StillClock

    @property
    def keeper(self) -> Keeper:
        """Another one each time, as in another process."""
        return Keeper(self.holder, self.store, self.clock)

    def kept(self) -> Tokens:
        found = self.store.load()
        assert found is not None
        return found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def site(certificate: Certificate, tmp_path: Path) -> Iterator[Site]:
    with AuthorizationServer(certificate) as server:
        oauth = OAuth(
            "local",
            tmp_path / "tokens" / "me.json",
            client_id=CLIENT,
            authorization_url=f"{server.url}/authorize",
            device_url=f"{server.url}/device",
            token_url=f"{server.url}/token",
            scopes=("mail",),
            ca_file=certificate.ca,
        )
        clock = StillClock(datetime.now(UTC))
        site = Site(server, Holder("me", "user", oauth, lambda: SECRET), FileStore(oauth.file), clock)
        site.keeper.keep(by_device(site.holder, lambda _code: None, clock, NEVER))
        server.counts.clear()
        yield site


def test_a_token_that_is_good_is_given_without_asking_anybody(site: Site) -> None:
    assert site.keeper() == site.kept().access
    site.clock.sleep(3600 - 301, NEVER)
    assert site.keeper() == site.kept().access
    assert not site.server.counts


def test_five_minutes_before_its_end_it_is_renewed(site: Site) -> None:
    before = site.kept()
    site.clock.sleep(3600 - 300, NEVER)
    assert site.keeper() != before.access
    assert site.server.counts == {"refresh_token": 1}
    assert site.kept().refresh != before.refresh


@pytest.mark.parametrize(("told", "good_for"), [({"expires_in": "100"}, 49), ({"expires_in": None}, 3299)])
def test_a_short_life_or_one_that_is_not_told_is_reckoned_with(
    site: Site, told: dict[str, object], good_for: int
) -> None:
    site.server.told = told
    assert site.keeper.replace(site.keeper())
    site.clock.sleep(good_for, NEVER)
    site.keeper()
    assert site.server.counts == {"refresh_token": 1}
    site.clock.sleep(2, NEVER)
    site.keeper()
    assert site.server.counts == {"refresh_token": 2}


def test_many_at_once_renew_once(site: Site) -> None:
    site.clock.sleep(3600, NEVER)
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _number: site.keeper(), range(32)))
    assert found == {site.kept().access}
    assert site.server.counts == {"refresh_token": 1}


def test_a_refused_token_is_replaced_once(site: Site) -> None:
    refused = site.kept().access
    assert site.keeper.replace(refused)
    assert site.keeper.replace(refused)
    assert site.server.counts == {"refresh_token": 1}


def test_a_refresh_token_stays_where_no_new_one_is_given(site: Site) -> None:
    site.server.rotates = False
    before = site.kept()
    site.clock.sleep(3600, NEVER)
    site.keeper()
    assert (site.kept().refresh, site.kept().granted) == (before.refresh, before.granted)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (503, b"<html>"),
        (429, b"{}"),
        (400, b'{"error": "temporarily_unavailable"}'),
        (500, b'{"error": "server_error"}'),
    ],
)
def test_a_server_that_gives_none_for_now_matters_only_when_the_old_one_has_expired(
    site: Site, status: int, answer: bytes
) -> None:
    site.server.answers = [(status, answer)] * 2
    site.clock.sleep(3600 - 10, NEVER)
    assert site.keeper() == site.kept().access
    site.clock.sleep(10, NEVER)
    with pytest.raises(SourceUnreachable) as caught:
        site.keeper()
    assert caught.value.retryable
    assert site.keeper()


@pytest.mark.parametrize(
    ("status", "answer", "kind", "words"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "A7: \\u001b Trace ID: 1"}', TokenDenied, "A7"),
        (401, b'{"error": "invalid_client"}', TokenDenied, "invalid_client"),
        (400, b'{"error": ["odd"]}', MailArchiveError, "gives no token"),
        (404, b"<html>", ProtocolViolation, "HTTP status 404 and nothing that says why"),
        (302, b"", ProtocolViolation, "HTTP status 302"),
        (200, b"[]", ProtocolViolation, "nothing that says why"),
        (200, b"{}", TokenDenied, "missing_token"),
        (200, b'{"access_token": 7}', ProtocolViolation, "none to log in with"),
        (200, b'{"access_token": "a\\u0001b"}', ProtocolViolation, "none to log in with"),
        (200, b'{"access_token": "x", "token_type": "mac"}', ProtocolViolation, "none to log in with"),
        (200, b'{"access_token": "x", "expires_in": {}}', ProtocolViolation, "in a form that nobody knows"),
        (200, b"[" * 100_000, ProtocolViolation, "nothing that says why"),
        (200, b" " * 2_000_000, ProtocolViolation, "more than 1048576 octets"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_token_is_an_error_in_words(
    site: Site, status: int, answer: bytes, kind: type[MailArchiveError], words: str
) -> None:
    before = site.kept()
    site.clock.sleep(3600, NEVER)
    site.server.answers = [(status, answer)]
    with pytest.raises(kind, match=words) as caught:
        site.keeper()
    assert "\x1b" not in str(caught.value)
    assert "Trace" not in str(caught.value)
    assert before.refresh not in str(caught.value)
    assert site.kept().refresh == before.refresh


def test_that_a_login_has_ended_is_written_down_until_it_is_made_again(site: Site) -> None:
    site.server.revoke()
    site.clock.sleep(3600, NEVER)
    for _time in range(2):
        with pytest.raises(TokenDenied, match="the login of me has ended"):
            site.keeper()
    refused = site.kept().refused
    assert refused == site.clock.now()
    site.keeper.keep(Grant("new", "refresh", 3600, None))
    assert site.kept().refused is None


def test_another_user_or_client_must_log_in_anew(site: Site) -> None:
    holders = replace(site.holder, user="other"), replace(site.holder, oauth=site.holder.oauth._replace(client_id="x"))
    for holder in holders:
        with pytest.raises(AuthenticationFailed, match="another user or with another client_id") as caught:
            Keeper(holder, site.store, site.clock)()
        assert caught.value.hint == "mailarchive account login me"


def test_without_a_refresh_token_the_end_is_the_end(site: Site) -> None:
    site.store.save(replace(site.kept(), refresh=""))
    site.clock.sleep(3600, NEVER)
    with pytest.raises(AuthenticationFailed, match="has expired, and there is no refresh token"):
        site.keeper()


def test_what_is_kept_is_whole_or_nothing(site: Site) -> None:
    path = site.holder.oauth.file
    text = path.read_text()
    assert Tokens.load(text, "here") == site.kept()
    values = json.loads(text)
    for broken in (
        text[: len(text) // 2],
        "[]",
        "{}",
        text.replace('"version": 1', '"version": 2'),
        "[" * 100_000,
        json.dumps({**values, "issued": "2024-01-01T00:00:00"}),
        json.dumps({**values, "access": 7}),
    ):
        with pytest.raises(UsageError, match="what is kept in here are no tokens that can be read"):
            Tokens.load(broken, "here")
    assert values["access"] not in repr(site.kept())
    site.store.remove()
    site.store.remove()
    assert site.store.load() is None


def test_a_refresh_token_is_not_used_up_where_the_new_one_cannot_be_kept(site: Site) -> None:
    folder = site.holder.oauth.file.parent
    path = folder.with_name("blocked") / "me.json"
    folder.with_name("blocked").write_text("no folder")
    holder = replace(site.holder, oauth=site.holder.oauth._replace(file=path))
    site.clock.sleep(3600, NEVER)
    with pytest.raises(TokenDenied, match="cannot write"):
        Keeper(holder, site.store, site.clock)()
    assert not site.server.counts


# -- logging in ----------------------------------------------------------------------------------------------------


def test_a_device_code_is_asked_about_as_slowly_as_the_server_wants(site: Site) -> None:
    site.server.pending = ["authorization_pending", "slow_down", "authorization_pending"]
    clock = StillClock()
    assert by_device(site.holder, lambda _code: None, clock, NEVER).access in site.server.tokens
    assert clock.sleeps == [1, 1, 6, 6]


def test_a_network_that_fails_meanwhile_is_waited_for(site: Site) -> None:
    site.server.answers = [(503, b"")] * 3
    clock = StillClock()
    assert by_device(site.holder, lambda _code: None, clock, NEVER)
    assert clock.sleeps == [1, 2, 4, 8]


def test_a_code_that_nobody_types_runs_out(site: Site) -> None:
    site.server.interval = 60
    site.server.pending = ["authorization_pending"] * 11
    with pytest.raises(AuthenticationFailed, match="nobody logged in within 10 minutes"):
        by_device(site.holder, lambda _code: None, StillClock(), NEVER)
    site.server.pending = ["expired_token"]
    with pytest.raises(TokenDenied, match="expired_token") as caught:
        by_device(site.holder, lambda _code: None, StillClock(), NEVER)
    assert "run the same command again" in caught.value.hint


def test_a_server_cannot_make_one_wait_for_ever(site: Site) -> None:
    site.server.interval = 10**6
    site.server.pending = ["authorization_pending"]
    clock = StillClock()
    assert by_device(site.holder, lambda _code: None, clock, NEVER)
    assert clock.sleeps == [60, 60]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "https://", "https://a\x1b[2Jb/"])
def test_only_a_url_of_the_web_is_shown(site: Site, url: str) -> None:
    site.server.activation = url
    with pytest.raises(ProtocolViolation, match="gave no device code"):
        by_device(site.holder, lambda _code: None, StillClock(), NEVER)


def test_a_client_that_the_server_does_not_know_is_told(site: Site) -> None:
    holder = replace(site.holder, oauth=site.holder.oauth._replace(client_id="x"))
    with pytest.raises(TokenDenied, match="invalid_client") as caught:
        by_device(holder, lambda _code: None, StillClock(), NEVER)
    assert "client_id and client_secret" in caught.value.hint


def test_a_browser_that_never_comes_back_is_not_waited_for_for_ever(site: Site) -> None:
    with pytest.raises(AuthenticationFailed, match="nobody logged in within"):
        by_browser(site.holder, lambda _url: None, seconds=0.01)


def test_a_server_that_is_not_trusted_gets_nothing(site: Site, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_certificate(tmp_path / "other").ca
    holder = replace(site.holder, oauth=site.holder.oauth._replace(ca_file=other))
    with pytest.raises(TlsFailed, match="cannot be trusted"):
        by_device(holder, lambda _code: None, StillClock(), NEVER)
    assert len(site.server.forms) == 1


def test_a_server_that_is_not_there_is_told(site: Site) -> None:
    holder = replace(site.holder, oauth=site.holder.oauth._replace(device_url="https://127.0.0.1:1/device"))
    with pytest.raises(SourceUnreachable, match=r"127\.0\.0\.1:1 cannot be reached"):
        by_device(holder, lambda _code: None, StillClock(), NEVER)


def test_the_time_is_no_older_than_the_token(site: Site) -> None:
    """A clock that was set back must not make an old token look good for years."""
    site.store.save(replace(site.kept(), issued=site.clock.now() + timedelta(days=1)))
    site.keeper()
    assert site.server.counts == {"refresh_token": 1}
