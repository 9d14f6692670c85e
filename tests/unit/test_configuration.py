"""A configuration is read whole, and what is wrong in it is said with file, line and what is expected."""

from datetime import timedelta
from pathlib import Path

import platformdirs
import pytest

from mailarchive.config import Endpoint
from mailarchive.configuration import AccountEntry, Credential, configuration_file, load
from mailarchive.configuration.reading import read
from mailarchive.configuration.tables import line_of
from mailarchive.configuration.values import size_of, span_of
from mailarchive.errors import UsageError

FILE = Path("/home/me/.config/mailarchive/config.toml")
MINIMAL = '[accounts."me@example.org"]\nhost = "imap.example.org"\n'
TWIN = '[accounts.again]\nhost = "IMAP.example.org"\nuser = "me@example.org"\n'
WHOLE = """
# what I keep
[archives]
main = "/srv/mail"
old = "old-mail"

[accounts.work]
address = "me@example.org"
protocol = "pop3"
host = "pop.example.org"
port = 1110
tls = "starttls"
user = "me"
auth = "xoauth2"
compress = "never"
archive = "old"
mailboxes = ["INBOX", "Work/*"]
exclude = ["Spam"]
connections = 2
max_download = "2GB"
newest_first = true
every = "6h"
password.command = "pass mail"
"""


def test_a_host_and_an_address_are_enough() -> None:
    found = read(FILE, MINIMAL).accounts
    endpoint = Endpoint("imap", "me@example.org", "imap.example.org", 993, "tls")
    assert found == {"me@example.org": AccountEntry("me@example.org", endpoint, Path.home() / "mail-archive")}


def test_everything_that_can_be_said_is_read() -> None:
    found = read(FILE, WHOLE)
    assert found.archives == {"main": Path("/srv/mail"), "old": FILE.parent / "old-mail"}
    assert found.accounts["work"] == AccountEntry(
        "work",
        Endpoint("pop3", "me", "pop.example.org", 1110, "starttls", auth="xoauth2", compress="never"),
        FILE.parent / "old-mail",
        Credential("command", "pass mail"),
        ("INBOX", "Work/*"),
        ("Spam",),
        2,
        2_000_000_000,
        newest_first=True,
        every=timedelta(hours=6),
    )


@pytest.mark.parametrize(
    ("line", "credential"),
    [
        ("password.keyring = true", Credential("keyring")),
        ("password.prompt = true", Credential("prompt")),
        ('password.file = "secret"', Credential("file", str(FILE.parent / "secret"))),
        ('password.environment = "MAIL_PW"', Credential("environment", "MAIL_PW")),
        ('password.systemd = "mail"', Credential("systemd", "mail")),
    ],
)
def test_a_password_is_named_by_where_it_is(line: str, credential: Credential) -> None:
    assert read(FILE, MINIMAL + line).accounts["me@example.org"].credential == credential


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("x = 1\n", "line 1: x is not known", "accounts"),
        ("[acounts.me]\n", "line 1: acounts is not known", "did you mean accounts?"),
        (MINIMAL + "prot = 993\n", 'line 3: accounts."me@example.org".prot is not known', "did you mean"),
        (MINIMAL + 'port = "993"\n', 'line 3: accounts."me@example.org".port must be a number from 1 to', ""),
        (MINIMAL + "port = true\n", "must be a number from 1 to 65535, not true", ""),
        (MINIMAL + 'tls = "yes"\n', "must be 'tls', 'starttls' or 'plain', not 'yes'", ""),
        (MINIMAL + 'mailboxes = "INBOX"\n', "must be a list of names", ""),
        (MINIMAL + 'max_download = "much"\n', "must be a size", ""),
        (MINIMAL + 'every = "sometimes"\n', "must be a span of time", ""),
        (MINIMAL + 'archive = "nowhere"\n', "is 'nowhere', which is not among the archives", "they are: default"),
        (MINIMAL + 'password = "hunter2"\n', "must be a table", ""),
        (MINIMAL + "password.keyring = false\n", "must be true, not false", ""),
        (MINIMAL + '[accounts."me@example.org".password]\n', "must name one way to the password", ""),
        (MINIMAL + 'password.keyring = true\npassword.file = "x"\n', "must name one way to the password", ""),
        (MINIMAL + 'ca_file = "/nowhere.pem"\n', "names /nowhere.pem, which is no file", ""),
        ('[accounts.me]\nhost = "imap.example.org"\n', "line 1: accounts.me.user is missing", "mail address"),
        ('[accounts."me@x"]\n', 'line 1: accounts."me@x".host is missing', "names the server"),
        ('[accounts."me@x"]\nhost = "a b"\n', "line 2: ", ""),
        ('[accounts."me@x"]\nhots = "x"\n', 'line 2: accounts."me@x".hots is not known', "did you mean host?"),
        ("a = " + "[" * 5000 + "]" * 5000 + "\n", "beyond all measure", ""),
        ("a = " + "9" * 6000 + "\n", "beyond all measure", ""),
        ('[notify]\nto = "me@x"\n', "line 1: notify.smtp is missing", "names the server"),
        ('[notify]\nsmtp = "imaps://me@x"\n', "line 2: notify.smtp ", ""),
        ('[notify]\nsmtp = "smtps://me@x"\nto = "me"\n', "line 3: notify.to must be a mail address", ""),
        ("accounts = 3\n", "line 1: accounts must be a table: [accounts]", ""),
        ("[accounts\n", "line 1: this is not TOML", "toml.io"),
        (MINIMAL + TWIN, "line 3: accounts.again is the same account as me@example.org", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text: str, sentence: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(FILE, text)
    assert str(caught.value).startswith(str(FILE))
    assert sentence in str(caught.value)
    assert hint in caught.value.hint


def test_a_text_that_may_be_a_secret_is_not_repeated() -> None:
    for line in ('password = "hunter2"\n', 'password.keyring = "hunter2"\n', 'password.hint = "hunter2"\n'):
        with pytest.raises(UsageError) as caught:
            read(FILE, MINIMAL + line)
        assert "hunter2" not in str(caught.value) + caught.value.hint


def test_lines_of_longer_strings_are_not_taken_for_keys() -> None:
    text = '[a]\nnote = """\n  [b]\n  port = 1\n"""\n[b]\nport = 2\n'
    assert line_of(text, ("a", "note")) == 2
    assert line_of("x.y = 1\n", ("x", "y")) == 1
    assert line_of("[[many]]\n", ("other",)) is None


def test_a_file_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(MINIMAL)
    file.chmod(0o620)
    with pytest.raises(UsageError, match="others can write") as caught:
        load(file)
    assert caught.value.hint == f"chmod go-w {file}"
    file.chmod(0o644)
    assert list(load(file).accounts) == ["me@example.org"]


def test_no_file_is_an_empty_configuration_and_odd_ones_are_said(tmp_path: Path) -> None:
    assert not load(tmp_path / "none.toml").accounts
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xfc"\n')
    with pytest.raises(UsageError, match="is not UTF-8"):
        load(tmp_path / "latin.toml")


def test_the_file_is_where_it_is_named_else_where_the_platform_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILARCHIVE_CONFIG", str(tmp_path / "a.toml"))
    assert configuration_file() == tmp_path / "a.toml"
    assert configuration_file(Path("/b.toml")) == Path("/b.toml")
    monkeypatch.delenv("MAILARCHIVE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert configuration_file() == tmp_path / "mailarchive" / "config.toml"


@pytest.mark.parametrize("directory", [None, "", "relative", "/etc/mine"])
def test_the_platforms_place_is_that_of_platformdirs(directory: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILARCHIVE_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    if directory is not None:
        monkeypatch.setenv("XDG_CONFIG_HOME", directory)
    assert configuration_file() == platformdirs.user_config_path("mailarchive", appauthor=False) / "config.toml"


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("1.5 KiB", 1536), ("7", 7), ("0", None), ("iB", None)])
def test_sizes(text: str, size: int | None) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize(("text", "minutes"), [("30m", 30), ("1h", 60), ("2 d", 2880), ("0h", None), (3, None)])
def test_spans(text: object, minutes: int | None) -> None:
    assert span_of(text) == (None if minutes is None else timedelta(minutes=minutes))
