"""What an account is called in the archive, and how many connections it allows."""

import pytest

from mailarchive.config import account_of, parse_url
from mailarchive.sources.registry import most_connections


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("imaps://me@Imap.Example.org", "me@imap.example.org"),
        ("imap://me@example.org", "me@example.org"),
        ("imaps://me@example.org:143", "me@example.org"),
        ("imaps://me@example.org:995", "me@example.org:995"),
        ("imaps://me@[2001:db8::1]:1993", "me@[2001:db8::1]:1993"),
        ("pop3s://me@example.org", "pop3:me@example.org"),
        ("pop://me@example.org", "pop3:me@example.org"),
        ("pop3://me@localhost:1110", "pop3:me@localhost:1110"),
        ("pop3s://recent:me@gmail.com@pop.gmail.com", "pop3:me@gmail.com@pop.gmail.com"),
    ],
)
def test_an_account_is_called_by_user_host_and_unusual_port(url: str, name: str) -> None:
    account = account_of(parse_url(url))
    assert account.name == name
    assert account_of(parse_url(account.url)) == account


def test_a_maildrop_is_read_over_one_connection() -> None:
    assert most_connections(parse_url("pop3s://me@example.org")) == 1
    assert most_connections(parse_url("imaps://me@example.org")) is None
