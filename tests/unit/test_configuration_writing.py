"""The configuration is changed in place: what was there stays, and what is written is read again as it was meant."""

import re
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from mailarchive.config import Endpoint
from mailarchive.configuration import AccountEntry, Credential, load
from mailarchive.configuration.values import size_of, size_text, span_of, span_text
from mailarchive.configuration.writing import add_account, remove_account
from mailarchive.errors import StorageFailed, UsageError

ARCHIVE = Path("/srv/mail")
PLAIN = AccountEntry(
    "me@example.org", Endpoint("imap", "me@example.org", "imap.example.org", 993, "tls"), ARCHIVE, Credential("keyring")
)
FULL = AccountEntry(
    "work",
    Endpoint("pop3", "w", "pop.example.org", 1110, "starttls", auth="xoauth2", compress="never"),
    Path("/srv/other"),
    Credential("command", "pass 'my mail' | head -1"),
    ("INBOX", "Work/*"),
    ("Spam",),
    2,
    2_500_000_000,
    newest_first=True,
    every=timedelta(hours=6),
)
COMMENTED = """# mine
[archives]   # where it goes
main = "/srv/mail"

# the old one
[accounts.old]
user = "o" # not the address
host = "old.example.org"

# end
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mailarchive" / "config.toml"


def test_an_account_is_read_as_it_was_written(file: Path) -> None:
    add_account(file, PLAIN)
    add_account(file, FULL, "work@example.org")
    assert load(file).accounts == {"me@example.org": PLAIN, "work": FULL}
    assert load(file).archives == {"mail": ARCHIVE, "other": Path("/srv/other")}


def test_a_new_file_is_for_nobody_else_and_its_folder_too(file: Path) -> None:
    add_account(file, PLAIN)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    file.chmod(0o644)
    add_account(file, FULL)
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in file.parent.iterdir()] == ["config.toml"]


def test_what_stands_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(COMMENTED)
    add_account(file, PLAIN)
    kept = [line for line in file.read_text().splitlines() if line in COMMENTED.splitlines()]
    assert [line for line in kept if line] == [line for line in COMMENTED.splitlines() if line]
    remove_account(file, "me@example.org")
    assert re.sub(r"\n+", "\n", file.read_text()) == re.sub(r"\n+", "\n", COMMENTED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only this",
        '[accounts]\nold = { host = "h", user = "u" }\n',
        '[accounts.old]\r\nhost = "h"\r\nuser = "u"\r\n',
        '[accounts.a]\nhost = "h"\nuser = "u"\n[archives]\nx = "/x"\n[accounts.b]\nhost = "i"\nuser = "u"\n',
        '[accounts.a]\nhost = "h"\nuser = "u"\n[accounts.a.password]\nkeyring = true\n',
    ],
)
def test_every_way_to_write_tables_is_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode())
    before = load(file)
    add_account(file, FULL, "work@example.org")
    after = load(file)
    assert after.accounts["work"] == FULL
    assert {name: entry for name, entry in after.accounts.items() if name != "work"} == before.accounts
    remove_account(file, "work")
    assert load(file).accounts == before.accounts


def test_accounts_that_are_there_keep_their_archive_when_another_is_added(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[accounts.a]\nhost = "h"\nuser = "u"\n')
    before = load(file).accounts["a"].archive
    add_account(file, FULL)
    assert load(file).accounts["a"].archive == before
    assert load(file).accounts["work"] == FULL


def test_archives_of_the_same_name_get_different_ones(file: Path) -> None:
    add_account(file, PLAIN)
    add_account(file, AccountEntry("b", PLAIN.endpoint, Path("/other/mail")))
    add_account(file, AccountEntry("c", PLAIN.endpoint, Path("/")))
    assert list(load(file).archives) == ["mail", "mail-2", "archive"]


def test_a_file_beside_the_configuration_is_named_from_there(file: Path) -> None:
    beside = AccountEntry("a", PLAIN.endpoint, ARCHIVE, Credential("file", str(file.parent / "secrets" / "a")))
    add_account(file, beside)
    assert 'password.file = "secrets/a"' in file.read_text()
    assert load(file).accounts["a"] == beside


def test_what_load_refuses_is_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    for text, mode in (("x = 1\n", 0o600), ("[accounts\n", 0o600), (COMMENTED, 0o622)):
        file.write_text(text)
        file.chmod(mode)
        with pytest.raises(UsageError):
            add_account(file, PLAIN)
        assert file.read_text() == text


def test_what_would_come_out_wrong_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text := 'accounts.old.host = "h"\naccounts.old.user = "u"\n')
    with pytest.raises(UsageError, match="cannot be changed here"):
        add_account(file, PLAIN)
    assert file.read_text() == text


def test_names_and_accounts_are_there_once(file: Path) -> None:
    add_account(file, PLAIN)
    text = file.read_text()
    with pytest.raises(UsageError, match=r"there is an account me@example\.org already") as caught:
        add_account(file, PLAIN)
    assert "--name" in caught.value.hint
    with pytest.raises(UsageError, match="is the same account as"):
        add_account(file, AccountEntry("again", PLAIN.endpoint, ARCHIVE))
    with pytest.raises(UsageError, match="there is no account 'nobody'"):
        remove_account(file, "nobody")
    assert file.read_text() == text


def test_a_file_behind_a_link_is_changed_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "mail.toml"
    real.write_text(COMMENTED)
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    add_account(link, PLAIN)
    assert link.is_symlink()
    assert "imap.example.org" in real.read_text()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(StorageFailed, match="cannot write"):
        add_account(tmp_path / "plain" / "config.toml", PLAIN)


def test_of_many_at_once_none_is_lost(file: Path) -> None:
    names = [f"a{number}" for number in range(8)]

    def add(name: str) -> None:
        add_account(file, AccountEntry(name, Endpoint("imap", name, "imap.example.org", 993, "tls"), ARCHIVE))

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(load(file).accounts) == names


@pytest.mark.parametrize("octets", [1, 1000, 1500, 2 * 10**9, 2_500_000_000, 10**12, 5 * 10**15])
def test_sizes_are_read_as_they_are_written(octets: int) -> None:
    assert size_of(size_text(octets)) == octets


@pytest.mark.parametrize("minutes", [1, 59, 60, 90, 1440, 10080])
def test_spans_are_read_as_they_are_written(minutes: int) -> None:
    assert span_of(span_text(timedelta(minutes=minutes))) == timedelta(minutes=minutes)


def test_no_file_is_left_open(file: Path) -> None:
    add_account(file, PLAIN)
    before = len(list(Path("/proc/self/fd").iterdir()))
    remove_account(file, "me@example.org")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
