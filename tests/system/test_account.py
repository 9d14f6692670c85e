"""Accounts are added, listed, checked and removed; a password is never where it does not belong."""

import json
import socket
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from tests.servers.certificates import Certificate, make_certificate
from tests.servers.dovecot import Dovecot
from tests.servers.nameserver import NameServer, Records
from tests.servers.web import Page, WebServer
from tests.system.conftest import Program, keep_secret
from tests.system.dialogue import dialogue

SECRET = "hunter2 pass"
AUTOCONFIG = """<clientConfig><emailProvider id="x">
<incomingServer type="pop3"><hostname>127.0.0.1</hostname><port>1</port><socketType>SSL</socketType>
<username>%EMAILADDRESS%</username></incomingServer>
<incomingServer type="imap"><hostname>localhost</hostname><port>{port}</port><socketType>plain</socketType>
<username>%EMAILLOCALPART%</username></incomingServer></emailProvider></clientConfig>"""


@dataclass
class Place:
    """A program with a configuration of its own, a mail server, and a network in which a domain can be looked up."""

    program: Program
    server: LoopbackServer
    network: list[str]

    @property
    def config(self) -> Path:
        return self.program.home / "conf" / "config.toml"

    @property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads(self.config.read_text())

    @property
    def by_host(self) -> list[str]:
        """The options that name the server."""
        return ["--host", "127.0.0.1", "--port", str(self.server.port), "--tls", "plain", "--user", "me"]

    def everything(self) -> str:
        """Return all that stands in files, but for where passwords are kept."""
        files = (path for path in self.program.home.rglob("*") if path.is_file() and path.suffix != ".secret")
        return "".join(path.read_bytes().decode("latin-1") for path in files if path.parent.name != "secrets")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    names = "autoconfig.example.org", "example.org", "autoconfig.thunderbird.net"
    return make_certificate(tmp_path_factory.mktemp("tls"), *names)


@pytest.fixture
def lookups(tmp_path: Path, certificate: Certificate) -> Iterator[Callable[[Records, dict[str, Page]], list[str]]]:
    """Return what starts a name server and a web server, and returns the options that lead there."""
    with ExitStack() as stack:

        def start(records: Records, pages: dict[str, Page]) -> list[str]:
            names = stack.enter_context(NameServer(records))
            web = stack.enter_context(WebServer(pages, certificate))
            places = {"--nameserver": names.place, "--web-server": web.place}
            return [word for option, place in places.items() for word in (option, f"{place[0]}:{place[1]}")]

        yield start


@pytest.fixture
def place(
    tmp_path: Path, certificate: Certificate, lookups: Callable[[Records, dict[str, Page]], list[str]]
) -> Iterator[Place]:
    account = LoopbackAccount()
    account.user, account.password = "me", SECRET
    account.create("Work")
    account.append("INBOX", b"Subject: a\r\n\r\nbody\r\n")
    with LoopbackServer(account) as server:
        url = "https://autoconfig.example.org/mail/config-v1.1.xml"
        network = lookups({}, {url: Page(AUTOCONFIG.format(port=server.port).encode())})
        environment = {"MAILARCHIVE_CONFIG": str(tmp_path / "conf" / "config.toml"), "MAILARCHIVE_ARCHIVE": ""}
        keep_secret(tmp_path / "pw.secret", f"{SECRET}\n")
        program = Program(tmp_path, environment)
        yield Place(program, server, [*network, "--ca-file", str(certificate.ca)])


def test_an_account_is_found_added_pulled_and_removed(place: Place) -> None:
    program = place.program
    words = ["account", "add", "me@example.org", "--password-file", "pw.secret", *place.network]
    done = program(*words)
    assert "known providers: nothing about example.org" in done.stderr
    assert "DNS SRV: none" in done.stderr
    assert f"config-v1.1.xml: 127.0.0.1:1, localhost:{place.server.port}" in done.stderr
    assert "127.0.0.1:1: does not answer, or not as it should" in done.stderr
    removed = program.json("account", "remove", "me@example.org", "--yes")
    assert (removed["name"], removed["password_removed_from"]) == ("me@example.org", None)
    assert program.json(*words, "--tls", "plain", "--name", "mine")["user"] == "me"
    assert place.config.stat().st_mode & 0o777 == 0o600
    assert [row["name"] for row in program.rows("account", "list")] == ["mine"]
    lines = program("account", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "SERVER", "ARCHIVE", "PASSWORD", "EVERY"]
    server = f"imap://me@localhost:{place.server.port}"
    assert lines[1].split() == ["mine", server, str(program.home / "mail-archive"), "file", "-"]
    assert "mine: logged in, 2 mailboxes" in program("account", "check").stdout
    assert program.json("pull")["accounts"][0]["new"] == 1
    done = program("account", "remove", "mine", "--yes")
    assert f"{program.home}/mail-archive stays as it is" in done.stdout
    assert "Its password" not in done.stdout
    assert (program.home / "mail-archive").is_dir()
    assert (program.home / "pw.secret").exists()
    assert program.rows("account", "list") == []
    assert SECRET not in place.everything()


def test_everything_can_be_said_by_options(place: Place) -> None:
    place.program(
        "account", "add", "me@example.org", "--name", "work", "--protocol", "imap", *place.by_host,
        "--archive", "/srv/mail", "--mailbox", "INBOX", "--mailbox", "Work/*", "--exclude", "Spam", "--every", "60m",
        "--max-download", "2GB", "--password-command", f"printf '{SECRET}'",
    )  # fmt: skip
    assert place.settings == {
        "archives": {"mail": "/srv/mail"},
        "accounts": {
            "work": {
                "address": "me@example.org",
                "host": "127.0.0.1",
                "port": place.server.port,
                "tls": "plain",
                "user": "me",
                "mailboxes": ["INBOX", "Work/*"],
                "exclude": ["Spam"],
                "max_download": "2GB",
                "every": "1h",
                "password": {"command": f"printf '{SECRET}'"},
            }
        },
    }
    row = place.program.rows("account", "list")[0]
    assert (row["every"], row["password"], row["archive"]) == (3600, "command", "/srv/mail")


@pytest.mark.parametrize(
    ("options", "environment", "password"),
    [
        (["--password-environment", "PW"], {"PW": SECRET}, {"environment": "PW"}),
        (["--password-systemd", "pw.secret"], {"CREDENTIALS_DIRECTORY": "."}, {"systemd": "pw.secret"}),
        ([], {"MAILARCHIVE_PASSWORD": SECRET}, None),
        (["--prompt", "--no-check"], {}, {"prompt": True}),
    ],
)
def test_a_password_is_referred_to(
    place: Place, options: list[str], environment: dict[str, str], password: dict[str, object] | None
) -> None:
    place.program.environment.update(environment)
    done = place.program("account", "add", "me@example.org", *place.by_host, *options)
    assert place.settings["accounts"]["me@example.org"].get("password") == password
    assert ("later runs need it too" in done.stderr) == (password is None)
    assert SECRET not in place.everything() + done.stderr + done.stdout


def test_a_server_that_dns_names_outside_of_the_domain_is_agreed_to_first(
    place: Place,
    start_dovecot: Callable[..., Dovecot],
    lookups: Callable[[Records, dict[str, Page]], list[str]],
) -> None:
    dovecot = start_dovecot()
    keep_secret(place.program.home / "dovecot.secret", f"{dovecot.password}\n")
    network = lookups({("_imaps._tcp.example.org", "SRV"): [f"0 0 {dovecot.ports.imaps} localhost."]}, {})
    words = [
        "account", "add", "user@example.org", "--user", dovecot.user, "--password-file", "dovecot.secret",
        "--ca-file", str(dovecot.ca_file), *network,
    ]  # fmt: skip
    done = place.program(*words, code=2)
    assert "DNS names localhost, which is outside of the domain" in done.stderr
    assert not place.config.exists()
    done = place.program(*words, "--yes")
    assert "It works: " in done.stderr
    assert place.settings["accounts"]["user@example.org"]["host"] == "localhost"


def test_what_does_not_work_is_not_added(place: Place) -> None:
    keep_secret(place.program.home / "wrong.secret", "wrong\n")
    words = ["account", "add", "me@example.org", *place.by_host, "--password-file", "wrong.secret"]
    done = place.program(*words, code=12)
    assert "refused to log me in" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = place.program(*words, "--port", str(port), code=20)
    assert "cannot be reached" in done.stderr
    assert place.program.json(*words, code=12)["exit_code"] == 12
    assert "there is no password" in place.program(*words[:-2], code=12).stderr
    assert not place.config.exists()
    place.program(*words, "--no-check")
    assert place.config.exists()


def test_where_no_server_is_found_it_is_said_how_to_name_it(
    place: Place, lookups: Callable[[Records, dict[str, Page]], list[str]]
) -> None:
    done = place.program("account", "add", "me@none.invalid", *lookups({}, {}), code=2)
    assert "usual names: no server of mail answers there" in done.stderr
    assert "no server was found for the mail of none.invalid" in done.stderr
    assert "--host HOST" in done.stderr


def test_the_database_of_thunderbird_is_asked_if_that_is_wanted(
    place: Place, lookups: Callable[[Records, dict[str, Page]], list[str]]
) -> None:
    page = Page(AUTOCONFIG.format(port=place.server.port).encode())
    network = lookups({}, {"https://autoconfig.thunderbird.net/v1.1/none.invalid": page})
    words = ["account", "add", "me@none.invalid", *place.network, *network, "--password-file", "pw.secret"]
    place.program(*words, code=2)
    done = place.program(*words, "--isp-database", "--protocol", "imap")
    assert "https://autoconfig.thunderbird.net/v1.1/none.invalid: localhost" in done.stderr


def test_mail_in_the_clear_is_warned_of(place: Place) -> None:
    words = ["account", "add", "me@example.org", "--host", "mail.invalid", "--tls", "plain", "--no-check"]
    assert "unencrypted; anybody between can read along" in place.program(*words).stderr


@pytest.mark.parametrize(("key", "code", "sentence"), [("\x04", 2, "no answer was given"), ("\x03", 130, "")])
def test_whoever_gives_no_answer_ends_it(place: Place, key: str, code: int, sentence: str) -> None:
    words = ["account", "add", "me@example.org", *place.network]
    assert sentence in dialogue(place.program, words, [("Which one? [1]", key)], code=code)
    assert not place.config.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nobody"], "'nobody' is not a mail address"),
        (["a@b@c"], "is not a mail address"),
        (["me@exa mple.org"], "is not a mail address"),
        (["me@\u202eexample.org"], "is not a mail address"),
        (["me@example.org", "--name", "../x"], "cannot be the name of an account"),
        (["me@example.org", "--name", ".."], "cannot be the name of an account"),
        (["me@example.org", "--every", "soon"], "--every 'soon' is not a span of time"),
        (["me@example.org", "--max-download", "much"], "--max-download 'much' is not a size"),
        (["me@example.org", "--keyring", "--prompt"], "several options tell where the password is"),
        (["me@example.org", "--host", "a/b"], "'a/b' is not a host name"),
        (["me@example.org", "--password-file", "~no-such-user/x"], "there is no home directory for ~no-such-user/x"),
        (["me@example.org", "--ca-file", "none.pem"], "there is no file none.pem"),
        (["me@example.org", "--host", "h", "--keyring"], "there is no system keyring"),
        (["me@gmail.com", "--tls", "plain", "--port", "1", "--nameserver", "x"], "is not an address with a port"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(place: Place, words: list[str], sentence: str) -> None:
    assert sentence in place.program("account", "add", *words, code=2).stderr
    assert not place.config.exists()


def test_a_name_is_taken_once_and_a_broken_configuration_is_left_alone(place: Place) -> None:
    words = ["account", "add", "me@example.org", *place.by_host, "--no-check"]
    place.program(*words)
    assert "there is an account me@example.org already" in place.program(*words, code=2).stderr
    place.config.write_text("x = 1\n")
    for command in (words, ["account", "list"], ["account", "check"], ["account", "remove", "x", "--yes"]):
        assert "config.toml, line 1: x is not known" in place.program(*command, code=2).stderr
    assert place.config.read_text() == "x = 1\n"


def test_archives_are_named_by_name_or_by_directory(place: Place) -> None:
    def add(name: str, *words: str) -> None:
        place.program("account", "add", f"{name}@example.org", *place.by_host[:-2], "--no-check", *words)

    add("a", "--archive", "one")
    add("b", "--archive", str(place.program.home / "two"))
    add("c", "--archive", "two")
    add("d")
    home = place.program.home
    assert [row["archive"] for row in place.program.rows("account", "list")] == [
        str(home / name) for name in ("one", "two", "two", "one")
    ]


def test_what_a_provider_wants_is_said(place: Place) -> None:
    done = place.program("account", "add", "you@gmail.com", "--no-check")
    assert "known providers: Gmail" in done.stderr
    assert "Needed: Gmail wants an app password" in done.stderr
    done = place.program("account", "add", "you@hotmail.com", code=2)
    assert "accept only OAuth" in done.stderr
    assert "wants a login by OAuth, and that needs a client of your own at microsoft" in done.stderr
    assert "--client-id ID" in done.stderr
    done = place.program("account", "add", "you@hotmail.com", "--client-id", "an-id")
    assert "mailarchive account login you@hotmail.com" in done.stderr
    assert place.settings["accounts"]["you@hotmail.com"]["auth"] == "oauth"
    assert place.settings["oauth"] == {"microsoft": {"client_id": "an-id"}}
    place.program("account", "add", "me@hotmail.com")
    secret = ("--client-id", "other", "--client-secret-file", "client.secret")
    place.program("account", "add", "they@hotmail.com", *secret)
    place.program("account", "add", "g@gmail.com", "--auth", "oauth", *secret)
    file = str(place.program.home / "client.secret")
    assert place.settings["accounts"]["they@hotmail.com"]["oauth"]["client_secret"] == {"file": file}
    assert place.settings["oauth"]["google"] == {"client_id": "other", "client_secret": {"file": file}}
    assert "oauth" not in place.settings["accounts"]["me@hotmail.com"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["me@hotmail.com", "--password-file", "pw.secret", "--client-id", "x"], "and takes no password"),
        (["me@gmail.com", "--client-id", "x"], "are for accounts that log in by OAuth"),
        (["me@x.example", "--auth", "oauth", "--host", "imap.x.example"], "the OAuth server of imap.x.example is not"),
    ],
)
def test_what_does_not_go_with_oauth_is_refused(place: Place, words: list[str], sentence: str) -> None:
    assert sentence in place.program("account", "add", *words, code=2).stderr


def test_the_same_account_is_refused_before_a_password_is_asked_for(place: Place) -> None:
    words = ("account", "add", "me@gmail.com")
    place.program(*words, "--no-check", "--password-file", "pw.secret")
    done = place.program(*words, "--keyring", "--name", "again", code=2)
    assert "already, as me@gmail.com, and goes into the same archive" in done.stderr


def test_each_account_is_checked_and_the_worst_is_the_exit_code(place: Place) -> None:
    add = ["account", "add", "me@example.org", *place.by_host, "--no-check"]
    keep_secret(place.program.home / "wrong.secret", "wrong\n")
    place.program(*add, "--name", "good", "--password-file", "pw.secret", "--exclude", "Wrok", "--mailbox", "*")
    place.program(*add, "--name", "bad", "--password-file", "wrong.secret", "--archive", "b")
    assert "bad: 127.0.0.1" in place.program("account", "check", code=12).stderr
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = str(closed.getsockname()[1])
    place.program(*add, "--name", "far", "--password-file", "pw.secret", "--port", port)
    done = place.program("account", "check", "--json", code=20)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["name"], row["exit_code"], row["mailboxes"]) for row in rows] == [
        ("good", 0, 2),
        ("bad", 12, None),
        ("far", 20, None),
    ]
    assert rows[0]["unmatched"] == ["Wrok"]
    assert "good: no mailbox matches Wrok" in place.program("account", "check", "good").stderr
    done = place.program("account", "check", "--nope", code=2)
    assert "see: mailarchive account check --help" in done.stderr
    assert "there is no account 'nobody'" in place.program("account", "check", "nobody", code=2).stderr
    assert "good: logged in" in place.program("account", "check", "good", "bad", code=12).stdout


def test_without_accounts_it_is_said_how_to_add_one(place: Place) -> None:
    assert "mailarchive account add" in place.program("account", "list").stderr
    assert "mailarchive account add" in place.program("account", "check", code=2).stderr


def test_nobody_removes_an_account_by_accident(place: Place) -> None:
    place.program("account", "add", "me@example.org", *place.by_host, "--no-check")
    assert "say it with --yes" in place.program("account", "remove", "me@example.org", code=2).stderr
    assert "there are: me@example.org" in place.program("account", "remove", "other", code=2).stderr
    dialogue(place.program, ["account", "remove", "me@example.org"], [("(y/n)", "n")], code=2)
    assert len(place.program.rows("account", "list")) == 1
    shown = dialogue(place.program, ["account", "remove", "me@example.org"], [("(y/n)", "maybe"), ("(y/n)", "y")])
    assert "stays as it is" in shown
    assert place.program.rows("account", "list") == []


def test_what_is_not_given_is_asked_for_at_a_terminal(place: Place) -> None:
    shown = dialogue(
        place.program,
        ["account", "add", "me@example.org", *place.network],
        [
            ("Which one? [1]", "7"),
            ("Which one? [1]", "1"),
            ("Archive [~/mail-archive]", "~/elsewhere"),
            ("Password of", "wrong"),
            ("Password of", SECRET),
            ("Place [1]", ""),
        ],
    )
    assert f"1  IMAP localhost, port {place.server.port}, not encrypted, user me" in shown
    assert "2  POP3 127.0.0.1, port 1, TLS, user me@example.org" in shown
    assert "refused to log me in" in shown
    assert "It works: 2 mailboxes" in shown
    assert SECRET not in shown
    kept = place.program.home / "conf" / "secrets" / "me@example.org"
    assert kept.read_text() == f"{SECRET}\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert place.settings["accounts"]["me@example.org"]["password"] == {"file": "secrets/me@example.org"}
    assert place.settings["archives"] == {"elsewhere": str(place.program.home / "elsewhere")}
    assert SECRET not in place.everything()
    assert place.program.json("pull")["accounts"][0]["new"] == 1
    assert str(kept) in place.program("account", "remove", "me@example.org", "--yes").stdout
    assert not kept.exists()


def test_with_yes_only_the_password_is_asked_for(place: Place) -> None:
    words = ["account", "add", "me@example.org", "--yes", "--tls", "plain", *place.network]
    dialogue(place.program, words, [("Password of", SECRET)])
    assert place.settings["accounts"]["me@example.org"]["password"] == {"file": "secrets/me@example.org"}


def test_after_three_wrong_passwords_it_ends(place: Place) -> None:
    words = ["account", "add", "me@example.org", *place.by_host]
    shown = dialogue(place.program, words, [("Archive [", ""), *[("Password of", "wrong")] * 3], code=12)
    assert "--user" in shown or "check the user name" in shown
    assert not place.config.exists()


def test_a_server_that_is_not_found_is_asked_for(
    place: Place, lookups: Callable[[Records, dict[str, Page]], list[str]]
) -> None:
    words = ["account", "add", "me@none.invalid", "--port", str(place.server.port), "--tls", "plain", "--user", "me"]
    network = lookups({}, {})
    answers = [("Server, like", "localhost"), ("Archive [", ""), ("Password of", SECRET), ("Place [1]", "2")]
    dialogue(place.program, [*words, *network], answers)
    assert place.settings["accounts"]["me@none.invalid"]["password"] == {"prompt": True}


def test_a_host_outside_of_the_domain_may_be_refused_at_the_terminal(
    place: Place, lookups: Callable[[Records, dict[str, Page]], list[str]]
) -> None:
    network = lookups({("_imaps._tcp.example.org", "SRV"): ["0 0 993 localhost."]}, {})
    shown = dialogue(place.program, ["account", "add", "me@example.org", *network], [("(y/n)", "")], code=2)
    assert "nothing was sent, and no account added" in shown
    assert "Password of" not in shown


def test_a_password_goes_into_the_keyring_and_out_of_it(place: Place) -> None:
    program = place.program
    program.environment.update(
        {
            "PYTHON_KEYRING_BACKEND": "tests.servers.keyring_file.FileKeyring",
            "KEYRING_FILE": str(program.home / "keyring.secret"),
        }
    )
    entry = f"mailarchive/me@127.0.0.1:{place.server.port}"
    words = ["account", "add", "me@example.org", *place.by_host]
    dialogue(program, words, [("Archive [", ""), ("Password of", SECRET), ("Place [1]", "")])
    assert place.settings["accounts"]["me@example.org"]["password"] == {"keyring": True}
    assert json.loads((program.home / "keyring.secret").read_text()) == {entry: SECRET}
    program("account", "check")
    program(*words, "--name", "again", "--archive", "b")
    assert place.settings["accounts"]["again"]["password"] == {"keyring": True}
    assert "Its password" not in program("account", "remove", "again", "--yes").stdout
    assert "removed from the system keyring" in program("account", "remove", "me@example.org", "--yes").stdout
    assert json.loads((program.home / "keyring.secret").read_text()) == {}
    (program.home / "keyring.secret").write_text(json.dumps({entry: "stale"}))
    assert "refused to log me in" in program(*words, code=12).stderr
    dialogue(program, words, [("Archive [", ""), ("Password of", SECRET)])
    assert json.loads((program.home / "keyring.secret").read_text()) == {entry: SECRET}
    program("account", "remove", "me@example.org", "--yes")
    program.environment["MAILARCHIVE_PASSWORD"] = SECRET
    program(*words, "--keyring")
    assert json.loads((program.home / "keyring.secret").read_text()) == {entry: SECRET}
    assert SECRET not in place.everything()


def test_a_keyring_that_takes_nothing_is_said(place: Place) -> None:
    place.program.environment.update(
        {
            "PYTHON_KEYRING_BACKEND": "tests.servers.keyring_file.FileKeyring",
            "KEYRING_FILE": str(place.program.home / "none" / "keyring"),
            "MAILARCHIVE_PASSWORD": SECRET,
        }
    )
    done = place.program("account", "add", "me@example.org", *place.by_host, "--keyring", code=2)
    assert "the system keyring does not take the password" in done.stderr
    assert SECRET not in done.stderr


def test_a_password_that_was_kept_for_nothing_is_removed_again(place: Place) -> None:
    program = place.program
    place.config.parent.mkdir()
    place.config.write_text('accounts = { other = { host = "h", user = "u" } }\n')
    words = ["account", "add", "me@example.org", *place.by_host, "--yes"]
    shown = dialogue(program, words, [("Password of", SECRET)], code=2)
    assert "is written in a way that cannot be changed here" in shown
    assert not (program.home / "conf" / "secrets" / "me@example.org").exists()
