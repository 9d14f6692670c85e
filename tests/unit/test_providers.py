import pytest

from mailarchive.config import is_host
from mailarchive.providers import provider_by_mx, provider_of, provider_of_domain, providers


def name_of(host: str, port: int | None = None) -> str | None:
    provider = provider_of(host, port)
    return provider.name if provider else None


def test_a_host_tells_its_provider() -> None:
    assert name_of("imap.gmail.com") == "Gmail"
    assert name_of("IMAP.GoogleMail.com.") == "Gmail"
    assert name_of("imap.mail.yahoo.com") == "Yahoo"
    assert name_of("export.imap.mail.yahoo.com") == "Yahoo (export)"
    assert name_of("outlook.office365.com") == "Microsoft"
    assert name_of("127.0.0.1", 1143) == "Proton Mail Bridge"


def test_other_hosts_tell_none() -> None:
    for host in ("127.0.0.1", "localhost", "imap.example.org", "imap.gmail.com.example.org", "gmail.com", ""):
        assert provider_of(host, 993) is None


def test_each_server_of_a_provider_is_his() -> None:
    for provider in providers():
        for server in filter(None, (provider.imap, provider.pop3, provider.smtp)):
            host, _, port = server.partition(":")
            assert name_of(host, int(port) if port else None) == provider.name
        assert set(provider.advice) <= {"login", "ceiling", "throttled"}
        for sentence in provider.advice.values():
            assert "\n" not in sentence
            assert not sentence.endswith(".")


def test_gmails_limits_are_known() -> None:
    gmail = provider_of("imap.gmail.com")
    assert gmail is not None
    assert (gmail.connections, gmail.download, gmail.pop_shows_part) == (15, 2_500_000_000, True)
    assert 1_000 in gmail.ceilings


def test_where_yahoo_shows_everything_is_known() -> None:
    yahoo = provider_of("imap.mail.yahoo.com")
    assert yahoo is not None
    assert provider_of(str(yahoo.export)) != yahoo
    assert 10_000 in yahoo.ceilings


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("gmail.com", "Gmail"),
        ("GoogleMail.com.", "Gmail"),
        ("yahoo.co.uk", "Yahoo"),
        ("aol.com", "AOL"),
        ("hotmail.fr", "Microsoft"),
        ("live.com", "Microsoft"),
        ("msn.com", "Microsoft"),
        ("outlook.com", "Microsoft"),
        ("me.com", "iCloud"),
        ("fastmail.fm", "Fastmail"),
        ("gmx.de", "GMX"),
        ("gmx.com", "GMX.com"),
        ("web.de", "web.de"),
        ("bk.ru", "mail.ru"),
        ("ya.ru", "Yandex"),
        ("zohomail.eu", "Zoho (EU)"),
        ("proton.me", "Proton Mail Bridge"),
    ],
)
def test_a_domain_of_addresses_tells_its_provider(domain: str, name: str) -> None:
    provider = provider_of_domain(domain)
    assert provider is not None
    assert provider.name == name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("aspmx.l.google.com", "Gmail"),
        ("SMTP.Google.com.", "Gmail"),
        ("example-org.mail.protection.outlook.com", "Microsoft"),
        ("in1-smtp.messagingengine.com", "Fastmail"),
        ("mx2.zoho.eu", "Zoho for domains (EU)"),
        ("mx.yandex.net", "Yandex"),
        ("mx01.mail.icloud.com", "iCloud"),
        ("mail.protonmail.ch", "Proton Mail Bridge"),
    ],
)
def test_who_receives_the_mail_of_a_domain_tells_its_provider(host: str, name: str) -> None:
    provider = provider_by_mx(host)
    assert provider is not None
    assert provider.name == name


def test_other_domains_and_receivers_tell_none() -> None:
    for name in ("example.org", "mail.gmail.com", "google.com.example.org", "notgoogle.com", ""):
        assert provider_of_domain(name) is None
        assert provider_by_mx(name) is None


def test_each_domain_is_of_one_provider_and_each_provider_with_domains_says_what_it_needs() -> None:
    domains = [domain for provider in providers() for domain in provider.domains]
    assert len(set(domains)) == len(domains)
    assert all(is_host(domain) and domain == domain.lower() for domain in domains)
    for provider in providers():
        assert "login" in provider.advice
        assert set(provider.starttls) <= {"imap", "pop3", "smtp"}


def test_what_is_like_another_differs_only_where_it_says_so() -> None:
    plain, custom = provider_of("imap.zoho.eu"), provider_of("imappro.zoho.eu")
    assert plain is not None
    assert custom is not None
    assert custom.advice == plain.advice
    assert custom.domains == ()


def test_patterns_are_names_or_domains_behind_a_star() -> None:
    for provider in providers():
        for pattern in (*provider.hosts, *provider.mx):
            assert "*" not in pattern.removeprefix("*.")
            assert pattern == pattern.lower()
