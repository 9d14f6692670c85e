"""URLs become endpoints, and never show a password."""

import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.config import Endpoint, is_loopback, parse_target_url, parse_url, url_of
from mailarchive.errors import UsageError


@pytest.mark.parametrize(
    ("url", "user", "host", "port", "security"),
    [
        ("imaps://me@imap.example.org", "me", "imap.example.org", 993, "tls"),
        ("IMAPS://me@imap.example.org/", "me", "imap.example.org", 993, "tls"),
        ("imaps://me@example.org@imap.example.org", "me@example.org", "imap.example.org", 993, "tls"),
        ("imaps://me%40example.org@imap.example.org:1993", "me@example.org", "imap.example.org", 1993, "tls"),
        ("imaps://J%C3%BCrgen@h", "Jürgen", "h", 993, "tls"),
        ("imaps://a%3Ab%2Fc@h", "a:b/c", "h", 993, "tls"),
        ("imaps://a/b@h", "a/b", "h", 993, "tls"),
        ("imap://me@imap.example.org", "me", "imap.example.org", 143, "starttls"),
        ("imap://me@localhost:1143", "me", "localhost", 1143, "plain"),
        ("imap://me@127.9.8.7", "me", "127.9.8.7", 143, "plain"),
        ("imap://me@[::1]:1143", "me", "::1", 1143, "plain"),
        ("imaps://me@[2001:db8::1]", "me", "2001:db8::1", 993, "tls"),
        ("imap://me@[2001:db8::1]", "me", "2001:db8::1", 143, "starttls"),
        ("pop3s://me@pop.example.org", "me", "pop.example.org", 995, "tls"),
        ("POPS://me@pop.example.org", "me", "pop.example.org", 995, "tls"),
        ("pop3://me@pop.example.org", "me", "pop.example.org", 110, "starttls"),
        ("pop://me@localhost:1110", "me", "localhost", 1110, "plain"),
        ("pop3s://recent:me@gmail.com@pop.gmail.com", "recent:me@gmail.com", "pop.gmail.com", 995, "tls"),
    ],
)
def test_a_url_names_user_host_port_and_protection(url: str, user: str, host: str, port: int, security: str) -> None:
    endpoint = parse_url(url)
    assert (endpoint.user, endpoint.host, endpoint.port, endpoint.security) == (user, host, port, security)


def test_options_decide_how_imap_is_protected() -> None:
    assert parse_url("imap://me@localhost", starttls=True).security == "starttls"
    assert parse_url("imap://me@example.org", insecure_plaintext=True).security == "plain"
    assert parse_url("imaps://me@example.org", insecure_plaintext=True).security == "tls"
    assert parse_url("imaps://me@example.org", ca_file=Path(__file__)).ca_file == Path(__file__)
    assert parse_url("pop3://me@localhost", starttls=True).security == "starttls"
    assert parse_url("pop3://me@example.org", insecure_plaintext=True).security == "plain"
    assert parse_url("pop3s://me@example.org", auth="xoauth2").auth == "xoauth2"
    assert parse_url("imaps://me@example.org").compress == "auto"
    assert parse_url("imaps://me@example.org", compress="never").compress == "never"
    with pytest.raises(UsageError, match="exclude each other"):
        parse_url("imap://me@example.org", starttls=True, insecure_plaintext=True)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("word", "'word' is not a URL"),
        ("me@host", "'me@host' is not a URL"),
        ("", "'' is not a URL"),
        ("imaps:me@host", "the account is not a URL"),
        ("https://me@host", "the protocol https is not supported"),
        ("smtp://me@host", "over smtp mail can be sent, and none be had"),
        ("lmtp:///run/lmtp", "over lmtp mail can be sent, and none be had"),
        ("://me@host", "the protocol of the URL is not supported"),
        ("imaps://host", "names no user"),
        ("imaps://@host", "names no user"),
        ("imaps://me@", "names no host"),
        ("imaps://me@:993", "names no host"),
        ("imaps://me@my host", "is not a host name"),
        ("imaps://me@host:", "port"),
        ("imaps://me@host:0", "port"),
        ("imaps://me@host:65536", "port"),
        ("imaps://me@host:99999999", "port"),
        ("imaps://me@host:imap", "port"),
        ("imaps://me@host:²", "port"),
        ("imaps://me@2001:db8::1", "needs brackets"),
        ("imaps://me@[::1", "in brackets"),
        ("imaps://me@[host]", "in brackets"),
        ("imaps://me@[::1]993", "in brackets"),
        ("imaps://me@host/INBOX", "more than a user and a host"),
        ("imaps://me@host?x=1", "more than a user and a host"),
        ("imaps://me@host#x", "more than a user and a host"),
        ("imaps://%FF@host", "not UTF-8"),
        ("imaps://me\udcff@host", "not UTF-8"),
        ("imaps://me%0D%0Ax@host", "control character"),
        ("imaps://me@ho%00st", "control character"),
        (f"imaps://me@{'x' * 64}.example.org", "longer than 63 characters"),
        ("imaps://me@imap..example.org", "is not a host name"),
        ("imaps://me@" + "ü" * 60, "is not a host name"),
        ("pop3s://pop.example.org", "names no user"),
        ("pop3s://me:recent:x@pop.example.org", "holds a password"),
        ("imaps://recent:me@imap.example.org", "holds a password"),
    ],
)
def test_what_is_no_url_of_an_account_is_refused_with_a_hint(url: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence.replace("(", r"\(")) as caught:
        parse_url(url)
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "imaps://me:{}@host",
        "imaps://me@example.org:{}@host",
        "imaps://me:{}",
        "imaps://me:{}@host:0/path?query",
        "me:{}@host",
        "me:{}",
        "https://me:{}@host",
        "me:{}@imaps://host",
        "imaps:me:{}@host",
    ],
)
@pytest.mark.parametrize("password", ["hunter2", "hun@ter2", "hunter2/x", "12345"])
def test_a_password_in_a_url_is_refused_and_never_repeated(url: str, password: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(url.format(password))
    said = f"{caught.value} {caught.value.hint} {caught.value.__context__}"
    assert not any(part in said for part in password.replace("@", "/").split("/") if len(part) > 1)


def test_a_file_of_authorities_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"there is no file nowhere\.pem"):
        parse_url("imaps://me@example.org", ca_file=Path("nowhere.pem"))


@pytest.mark.parametrize(
    "url",
    [
        "imap://me@localhost",
        "imaps://a%2Fb@[2001:db8::1]:1993",
        "pop3s://me@pop.example.org",
        "pop3://me@localhost:1110",
        "pop3s://recent%3Ame%40gmail.com@pop.gmail.com",
    ],
)
def test_an_endpoint_is_written_as_the_url_that_names_it(url: str) -> None:
    assert url_of(parse_url(url)) == url


@pytest.mark.parametrize(
    ("url", "user", "host", "port", "security"),
    [
        ("imaps://me@imap.example.org", "me", "imap.example.org", 993, "tls"),
        ("imap://me@localhost", "me", "localhost", 143, "plain"),
        ("smtps://me@example.org@smtp.example.org", "me@example.org", "smtp.example.org", 465, "tls"),
        ("smtp://me@smtp.example.org", "me", "smtp.example.org", 587, "starttls"),
        ("smtp://smtp.example.org:25/", "", "smtp.example.org", 25, "starttls"),
        ("SMTP://localhost", "", "localhost", 587, "plain"),
        ("smtp://me@[::1]:2525", "me", "::1", 2525, "plain"),
        ("lmtp://mail.example.org", "", "mail.example.org", 24, "plain"),
        ("lmtp://me@mail.example.org", "me", "mail.example.org", 24, "starttls"),
        ("lmtp://me@localhost:2424", "me", "localhost", 2424, "plain"),
        ("lmtp:///var/run/a%20b/lmtp", "", "/var/run/a b/lmtp", 0, "plain"),
    ],
)
def test_a_url_names_the_account_to_restore_to(url: str, user: str, host: str, port: int, security: str) -> None:
    endpoint = parse_target_url(url)
    assert (endpoint.user, endpoint.host, endpoint.port, endpoint.security) == (user, host, port, security)
    assert parse_target_url(url_of(endpoint)) == endpoint


def test_options_decide_how_a_target_is_protected() -> None:
    assert parse_target_url("smtp://localhost", starttls=True).security == "starttls"
    assert parse_target_url("smtp://example.org", insecure_plaintext=True).security == "plain"
    assert parse_target_url("lmtp://example.org", starttls=True).security == "starttls"
    assert parse_target_url("lmtp://me@example.org", insecure_plaintext=True).security == "plain"
    assert parse_target_url("smtps://example.org", ca_file=Path(__file__)).ca_file == Path(__file__)
    assert parse_target_url("smtps://me@example.org", auth="xoauth2").auth == "xoauth2"
    with pytest.raises(UsageError, match="names no user for the access token"):
        parse_target_url("smtps://example.org", auth="xoauth2")
    with pytest.raises(UsageError, match="exclude each other"):
        parse_target_url("smtp://example.org", starttls=True, insecure_plaintext=True)
    with pytest.raises(UsageError, match=r"there is no file nowhere\.pem"):
        parse_target_url("smtps://example.org", ca_file=Path("nowhere.pem"))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("me@host", "'me@host' is not a URL"),
        ("pop3s://me@host", "over pop3s mail can be had, and none be put anywhere"),
        ("imaps://host", "names no user"),
        ("smtp://@host", "names no user"),
        ("smtp://", "names no host"),
        ("smtp://host:smtp", "port"),
        ("smtp://me@host/x", "more than a user and a host"),
        ("smtp://me:hunter2@host", "holds a password"),
        ("lmtp://", "names no host"),
        ("lmtp:///", "names no UNIX socket"),
        ("lmtp:///run?x", "names no UNIX socket"),
        ("lmtp:///a%00b", "control character"),
        ("lmtp:///" + "x" * 107, "may have 107 octets"),
        ("lmtps://host", "the protocol lmtps is not supported"),
    ],
)
def test_what_is_no_url_to_restore_to_is_refused_with_a_hint(url: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        parse_target_url(url)
    assert caught.value.hint
    assert "pop3s://user" not in caught.value.hint


@pytest.mark.parametrize("url", ["smtps://me:{}@host", "smtp://me:{}", "lmtp://me:{}@host", "me:{}@smtp://host"])
@pytest.mark.parametrize("password", ["hunter2", "hun@ter2", "hunter2/x"])
def test_a_password_in_the_url_of_a_target_is_never_repeated(url: str, password: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target_url(url.format(password))
    said = f"{caught.value} {caught.value.hint} {caught.value.__context__}"
    assert not any(part in said for part in password.replace("@", "/").split("/") if len(part) > 1)


def test_loopback_is_localhost_and_the_loopback_addresses() -> None:
    assert all(map(is_loopback, ("localhost", "LOCALHOST", "127.0.0.1", "127.255.0.9", "::1")))
    assert not any(map(is_loopback, ("localhost.example.org", "128.0.0.1", "::2", "127.0.0.1.example.org", "")))


_users = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=""), min_size=1)
_labels = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=63)
_hosts = st.lists(_labels, min_size=1).map(".".join)


@given(user=_users, host=_hosts, port=st.integers(1, 65535))
def test_every_user_name_can_be_written_percent_encoded(user: str, host: str, port: int) -> None:
    url = f"imaps://{quote(user, safe='@')}@{host}:{port}"
    assert parse_url(url) == Endpoint("imap", user, host, port, "tls")


@given(st.text())
def test_any_text_is_an_endpoint_or_a_usage_error(text: str) -> None:
    for url in (text, f"imaps://{text}", f"imap://me@{text}", f"pop3s://{text}"):
        try:
            endpoint = parse_url(url)
        except UsageError:
            continue
        assert endpoint.user
        assert endpoint.host


@given(st.text())
def test_any_text_is_a_target_or_a_usage_error(text: str) -> None:
    for url in (text, f"smtp://{text}", f"smtps://me@{text}", f"lmtp:///{text}"):
        try:
            endpoint = parse_target_url(url)
        except UsageError:
            continue
        assert endpoint.host
        assert parse_target_url(url_of(endpoint)) == endpoint
