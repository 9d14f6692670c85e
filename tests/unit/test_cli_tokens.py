"""Tokens go into the keyring where there is one that answers, else into a file; the configuration may say which."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.errors
import pytest

from mailarchive.cli.tokens import KeyringStore, entry_for, store, token_standing
from mailarchive.config import parse_target_url, parse_url
from mailarchive.configuration import AccountEntry
from mailarchive.configuration.reading import read
from mailarchive.errors import AuthenticationFailed, StorageFailed, UsageError
from mailarchive.tokens.base import Tokens
from mailarchive.tokens.files import FileStore

MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
TOKENS = Tokens("me", "own", "us", "access", "refresh", MOMENT, MOMENT)


class Memory(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError


class Locked(Memory):
    """A keyring that nobody opens."""

    def get_password(self, service: str, username: str) -> str | None:
        raise RuntimeError("secret-word")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError("secret-word")

    def delete_password(self, service: str, username: str) -> None:
        raise RuntimeError("secret-word")


@pytest.fixture
def use() -> Iterator[Callable[[keyring.backend.KeyringBackend], None]]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def text_of(kind: str) -> str:
    return (
        f'[oauth.own]\nclient_id = "us"\nstore = "{kind}"\n'
        'token_url = "https://x.org/t"\ndevice_url = "https://x.org/d"\n'
        '[accounts.me]\nuser = "me"\nhost = "imap.x.org"\nauth = "oauth"\noauth.provider = "own"\n'
    )


def entry(directory: Path, kind: str = "auto") -> AccountEntry:
    return read(directory / "config.toml", text_of(kind)).accounts["me"]


def test_a_keyring_is_taken_if_it_answers(
    use: Callable[[keyring.backend.KeyringBackend], None], tmp_path: Path
) -> None:
    memory = Memory()
    use(memory)
    assert isinstance(store(entry(tmp_path)), KeyringStore)
    for backend in (Locked(), keyring.backends.fail.Keyring()):  # type: ignore[no-untyped-call]
        use(backend)
        assert isinstance(store(entry(tmp_path)), FileStore)


def test_a_file_that_is_there_stays_in_use(
    use: Callable[[keyring.backend.KeyringBackend], None], tmp_path: Path
) -> None:
    use(Memory())
    FileStore(tmp_path / "tokens" / "me.json").save(TOKENS)
    assert isinstance(store(entry(tmp_path)), FileStore)
    assert isinstance(store(entry(tmp_path, "keyring")), KeyringStore)


def test_the_configuration_decides(use: Callable[[keyring.backend.KeyringBackend], None], tmp_path: Path) -> None:
    use(Memory())
    assert isinstance(store(entry(tmp_path, "file")), FileStore)


def test_the_keyring_gives_back_what_it_was_given(
    use: Callable[[keyring.backend.KeyringBackend], None], tmp_path: Path
) -> None:
    memory = Memory()
    use(memory)
    kept = store(entry(tmp_path))
    assert kept.load() is None
    kept.save(TOKENS)
    assert kept.load() == TOKENS
    assert list(memory.entries) == [("mailarchive", "oauth:me")]
    assert kept.place == "the system keyring"
    kept.remove()
    kept.remove()
    assert kept.load() is None


def test_a_keyring_that_does_not_open_is_told_without_its_words(
    use: Callable[[keyring.backend.KeyringBackend], None], tmp_path: Path
) -> None:
    use(Locked())
    kept = store(entry(tmp_path, "keyring"))
    with pytest.raises(AuthenticationFailed, match=r"cannot be read \(RuntimeError\)") as caught:
        kept.load()
    assert "oauth.store = 'file'" in caught.value.hint
    with pytest.raises(StorageFailed, match=r"cannot be written \(RuntimeError\)"):
        kept.save(TOKENS)
    with pytest.raises(StorageFailed, match=r"cannot be written \(RuntimeError\)"):
        kept.remove()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("imaps://me@imap.x.org", "me"),
        ("smtps://me@SMTP.x.org", "me"),
        ("smtps://me@smtp.y.org", "the login of me is for imap.x.org: smtp.y.org shall not see"),
        ("smtps://me@org", "shall not see its tokens"),
        ("smtps://you@smtp.x.org", "no account of the configuration logs you in"),
        ("smtps://me@gmail.com@smtp.gmail.com", "gmail"),
        ("pop3s://recent:me@gmail.com@pop.gmail.com", "gmail"),
    ],
)
def test_a_login_serves_for_the_same_user_and_place_only(tmp_path: Path, url: str, name: str) -> None:
    file = tmp_path / "config.toml"
    gmail = 'user = "me@gmail.com"\nhost = "imap.gmail.com"\nauth = "oauth"\noauth.client_id = "x"\n'
    file.write_text(f"{text_of('file')}[accounts.gmail]\n{gmail}")
    reads = parse_url if url.startswith(("imap", "pop")) else parse_target_url
    endpoint = reads(url, auth="oauth")
    if name in {"me", "gmail"}:
        assert entry_for(endpoint, file).name == name
        return
    with pytest.raises(UsageError, match=name):
        entry_for(endpoint, file)


def test_how_a_login_stands_is_told_for_accounts_whose_tokens_are_ours(tmp_path: Path) -> None:
    account = entry(tmp_path, "file")
    found = token_standing(account)
    assert found is not None
    assert (found.state, found.hint) == ("missing", "mailarchive account login me")
    store(account).save(TOKENS)
    found = token_standing(account)
    assert found is not None
    assert found.state == "good"
    assert token_standing(account._replace(oauth=None)) is None
