from mailarchive.providers import provider_of, providers


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
