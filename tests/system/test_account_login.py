"""account login as a user sees it: a browser that comes back, a pasted URL, a code; and what later runs make of it."""

import json
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.servers import browser
from tests.servers.authorization import SECRET, AuthorizationServer
from tests.servers.certificates import make_certificate
from tests.servers.dovecot import Dovecot
from tests.servers.smtp import TokenSmtpServer
from tests.system.conftest import Program

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
PROVIDER = 'oauth.provider = "local"'
MAIL = b"From: a@example.org\r\nSubject: hello\r\n\r\nbody\r\n"


@dataclass
class Site:
    """The program, configured for an account at a Dovecot that trusts an authorization server."""

    program: Program
    server: AuthorizationServer
    dovecot: Dovecot

    @property
    def tokens(self) -> Path:
        return self.program.home / "tokens" / "me.json"

    def configure(
        self, *, device: bool = False, oauth: str = 'oauth.provider = "local"', protocol: str = "imap"
    ) -> None:
        """Write the configuration anew."""
        port = self.dovecot.ports.imap if protocol == "imap" else self.dovecot.ports.pop3
        (self.program.home / "config.toml").write_text(
            f'[archives]\nmain = "{self.program.archive}"\n'
            + self.server.configuration(device=device)
            + f'[accounts.me]\nuser = "user"\nhost = "127.0.0.1"\nport = {port}\ntls = "plain"\n'
            f'protocol = "{protocol}"\nauth = "oauth"\n{oauth}\n'
        )

    def kept(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.tokens.read_text())
        return found

    def expire(self) -> None:
        """Let the access token that is kept come to its end."""
        past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        self.tokens.write_text(json.dumps({**self.kept(), "issued": past, "expires": past}))

    def secrets(self) -> list[str]:
        """Return what nobody must see."""
        return [SECRET, *self.server.tokens, *self.server.refreshable]


@pytest.fixture
def site(tmp_path: Path, start_dovecot: Callable[..., Dovecot]) -> Iterator[Site]:
    with AuthorizationServer(make_certificate(tmp_path)) as server:
        dovecot = start_dovecot(introspection=server.introspection_url, pop3=True)
        dovecot.load("INBOX", MAIL)
        environment = {
            "MAILARCHIVE_ARCHIVE": "",
            "MAILARCHIVE_CONFIG": str(tmp_path / "config.toml"),
            "CLIENT_SECRET": SECRET,
            "BROWSER": f"{sys.executable} {browser.__file__} %s",
            "SSL_CERT_FILE": str(server.certificate.ca),
        }
        site = Site(Program(tmp_path, environment), server, dovecot)
        site.configure()
        yield site


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_browser_that_comes_back_logs_in_and_pulls_renew_the_token_themselves(site: Site, protocol: str) -> None:
    site.configure(protocol=protocol)
    done = site.program("account", "login", "me")
    assert "me is logged in, with tokens in" in done.stdout
    assert "The access token is good until" in done.stdout
    assert "it is renewed by itself" in done.stdout
    assert site.tokens.stat().st_mode & 0o777 == 0o600
    assert site.tokens.parent.stat().st_mode & 0o777 == 0o700
    [query] = site.server.authorizations
    assert query["login_hint"] == "user"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", query["redirect_uri"])
    assert site.program.json("pull")["accounts"][0]["new"] == 1
    before = site.kept()
    site.expire()
    pulled = site.program("pull", "--verbose")
    assert "0 new" in pulled.stdout
    after = site.kept()
    assert after["refresh"] != before["refresh"]
    assert after["granted"] == before["granted"]
    assert site.server.counts["refresh_token"] == 1
    shown = done.stdout + done.stderr + pulled.stdout + pulled.stderr
    assert not [secret for secret in site.secrets() if secret in shown]
    archived = b"".join(path.read_bytes() for path in site.program.archive.rglob("*") if path.is_file())
    assert not [secret for secret in site.secrets() if secret.encode() in archived]


def url_said_by(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("  https://"):
            return line.strip()
    raise AssertionError("no URL was printed")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def led_to(site: Site, url: str) -> str:
    """Return where the browser would be led to, which is where it cannot get."""
    context = ssl.create_default_context(cafile=str(site.server.certificate.ca))
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Stay)
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(url, timeout=30)
    with caught.value as answer:
        return str(answer.headers["Location"])


def test_over_ssh_the_last_url_is_pasted(site: Site) -> None:
    command = [*site.program.command, "account", "login", "me", "--no-open", "--json"]
    with subprocess.Popen(
        command,
        env=site.program.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        landing = led_to(site, url_said_by(process))
        for wrong in (landing.replace("state=", "state=x"), landing.partition("?")[0] + "/favicon.ico"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(wrong, timeout=30)
            caught.value.close()
            assert caught.value.code == 404
        out, err = process.communicate(f"what?\n{landing}\n", timeout=30)
    assert process.returncode == 0, err
    assert "That is not the URL" in err
    found = json.loads(out)
    assert (found["account"], found["user"], found["is_renewed"]) == ("me", "user", True)
    assert found["kept_in"] == str(site.tokens)


def test_a_code_is_typed_elsewhere(site: Site) -> None:
    site.configure(device=True)
    site.server.pending = ["authorization_pending"]
    done = site.program("account", "login", "me")
    assert f"{site.server.url}/activate" in done.stderr
    assert "type this code: WDJB-MJHT" in done.stderr
    assert site.program.json("pull")["accounts"][0]["new"] == 1
    assert not site.server.authorizations
    assert site.program.json("account", "login", "me", "--browser")["status"] == "complete"
    assert len(site.server.authorizations) == 1
    assert site.tokens.exists()
    site.program("account", "remove", "me", "--yes")
    assert not site.tokens.exists()


def test_who_says_no_is_believed(site: Site) -> None:
    site.server.denies = True
    done = site.program("account", "login", "me", code=12)
    assert "access_denied: the user said no" in done.stderr
    assert not site.tokens.exists()


def test_what_was_not_allowed_is_said(site: Site) -> None:
    site.server.granted, site.server.gives_refresh = "email", False
    done = site.program("account", "login", "me")
    assert "tick every box; missing: mail" in done.stderr
    assert "gave no refresh token" in done.stderr
    assert "log in again then" in done.stdout


def test_without_a_login_a_pull_says_what_to_type(site: Site) -> None:
    done = site.program("pull", code=12)
    assert "nobody has logged in for me yet" in done.stderr
    assert "mailarchive account login me" in done.stderr


def test_a_login_that_has_ended_is_explained(site: Site) -> None:
    site.program("account", "login", "me")
    site.server.revoke()
    site.expire()
    done = site.program("pull", code=12)
    assert "the login of me has ended" in done.stderr
    assert "invalid_grant: no" in done.stderr
    assert "Trace ID" not in done.stderr
    assert "it was revoked, or the password was changed; log in again with: mailarchive account login me" in done.stderr
    assert site.kept()["refused"]
    site.program("account", "login", "me")
    assert site.kept()["refused"] is None
    site.program("pull")


def test_two_processes_do_not_lose_a_refresh_token_that_is_good_once(site: Site) -> None:
    site.program("account", "login", "me")
    site.expire()
    url = f"imap://user@127.0.0.1:{site.dovecot.ports.imap}"
    arguments = [("pull",), ("pull", url, "--auth", "oauth", "--archive", str(site.program.home / "other"))]
    runs = [site.program.start(*one) for one in arguments]
    for run in runs:
        _out, err = run.communicate(timeout=60)
        assert run.returncode == 0, err
    assert site.server.counts["refresh_token"] == 1
    site.expire()
    site.program("pull")
    assert site.server.counts["refresh_token"] == 2


def test_mail_is_sent_on_with_the_login_of_the_same_user(site: Site) -> None:
    site.program("account", "login", "me")
    site.program("pull", "--quiet")
    with TokenSmtpServer(lambda user, token: site.server.tokens[token].user == user, auth_required=True) as target:
        to = ("--to", "you@example.org")
        site.program("restore", f"smtp://user@127.0.0.1:{target.port}", *to, "--auth", "oauth")
        assert [taken.octets for taken in target.taken] == [MAIL]
        done = site.program("restore", f"smtp://other@127.0.0.1:{target.port}", *to, "--auth", "oauth", code=2)
    assert "no account of the configuration logs other in" in done.stderr


def test_a_command_may_give_the_tokens(site: Site) -> None:
    site.program("account", "login", "me")
    (site.program.home / "token").write_text(site.kept()["access"])
    site.configure(oauth='oauth.token_command = "cat token"')
    assert site.program.json("pull")["accounts"][0]["new"] == 1
    assert "come from its token_command" in site.program("account", "login", "me", code=2).stderr
    site.configure(oauth='oauth.token_command = "exit 3"')
    assert "the token command failed with exit code 3" in site.program("pull", code=12).stderr


def test_an_authorization_server_that_cannot_be_reached_or_trusted_is_told(site: Site) -> None:
    site.program("account", "login", "me")
    site.expire()
    text = site.program.home.joinpath("config.toml").read_text()
    other = make_certificate(site.program.home / "tokens").ca
    site.program.home.joinpath("config.toml").write_text(text.replace(str(site.server.certificate.ca), str(other)))
    done = site.program("pull", code=20)
    assert "the certificate of 127.0.0.1" in done.stderr
    assert "oauth.ca_file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("you",), "has no account 'you'"),
        (("me", "--device"), "has no device_url"),
        (("me", "--device", "--browser"), "exclude each other"),
    ],
)
def test_what_cannot_be_is_said(site: Site, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in site.program("account", "login", *arguments, code=2).stderr


def test_a_client_secret_that_is_not_there_is_told(site: Site) -> None:
    program = replace(site.program, environment={**site.program.environment, "CLIENT_SECRET": ""})
    assert (
        "there is no client secret: the environment variable CLIENT_SECRET"
        in program("account", "login", "me", code=12).stderr
    )


def test_a_file_that_others_can_read_is_not_used(site: Site) -> None:
    site.program("account", "login", "me")
    site.tokens.chmod(0o640)
    done = site.program("pull", code=12)
    assert "others can get at the tokens" in done.stderr
    assert f"chmod 600 {site.tokens}" in done.stderr


@pytest.mark.parametrize("trouble", ["no login", "others", "no secret", "no folder"])
def test_an_account_without_tokens_stops_no_other(site: Site, trouble: str) -> None:
    if trouble != "no login":
        site.program("account", "login", "me")
        site.expire()
    if trouble == "others":
        site.tokens.chmod(0o644)
    if trouble == "no secret":
        site.program.environment["CLIENT_SECRET"] = ""
    if trouble == "no folder":
        site.tokens.with_suffix(".lock").unlink()
        site.tokens.with_suffix(".lock").mkdir()
    with (site.program.home / "config.toml").open("a") as file:
        port = site.dovecot.ports.imap
        file.write(f'[accounts.two]\nuser = "two"\nhost = "127.0.0.1"\nport = {port}\ntls = "plain"\n')
        file.write('password.environment = "PASSWORD"\n')
    site.program.environment["PASSWORD"] = site.dovecot.password
    value = site.program.json("pull", code=12)
    assert [one["status"] for one in value["accounts"]] == ["failed", "complete"]


def test_check_and_doctor_log_in_with_it_and_warn_before_it_ends(site: Site) -> None:
    assert "nobody has logged in for me yet" in site.program("account", "check", code=12).stderr
    site.program("account", "login", "me")
    assert "login" not in site.program("account", "check").stderr
    findings = site.program.json("doctor", code=0)["accounts"][0]["findings"]
    assert next(one["level"] for one in findings if one["what"] == "login") == "fine"
    site.server.told = {"refresh_token_expires_in": 86400}
    site.expire()
    site.program("pull", "--quiet")
    done = site.program("account", "check")
    assert "the login ends on" in done.stderr
    assert "mailarchive account login me" in done.stderr
