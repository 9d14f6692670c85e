"""Servers are looked for in order, each place is told with its outcome, and the first that has some ends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from mailarchive.config import Endpoint
from mailarchive.errors import SourceUnreachable
from mailarchive.ops.discovery import Wanted, find_servers, servers_of
from mailarchive.providers import provider_of, provider_of_domain
from mailarchive.sources.directory import Service

ME = "me@example.org"
FIRST = "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=me%40example.org"
SECOND = "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=me%40example.org"
DATABASE = "https://autoconfig.thunderbird.net/v1.1/example.org"
IMAPS = Endpoint("imap", ME, "imap.example.org", 993, "tls")
POP3S = Endpoint("pop3", ME, "pop.example.org", 995, "tls")


@dataclass
class Known:
    """A directory that knows what a test says, and nobody else answers."""

    exchangers: Sequence[str] | None = ()
    records: Mapping[str, Sequence[Service]] = field(default_factory=dict)
    files: Mapping[str, Sequence[Endpoint]] = field(default_factory=dict)
    greeters: Sequence[tuple[str, int]] = ()
    silent: Sequence[str] = ()
    asked: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def mail_exchangers(self, domain: str) -> list[str]:
        self.asked.append(f"MX {domain}")
        if self.exchangers is None:
            raise SourceUnreachable("the name server does not answer in time")
        return list(self.exchangers)

    def services(self, service: str, domain: str) -> list[Service]:
        self.asked.append(f"SRV {service}")
        return list(self.records.get(service, ()))

    def autoconfig(self, url: str, address: str) -> list[Endpoint]:
        self.asked.append(url)
        if url not in self.files:
            raise SourceUnreachable("it answers 404")
        return list(self.files[url])

    def greets(self, endpoint: Endpoint) -> bool:
        self.asked.append(f"greeting {endpoint.host}:{endpoint.port}")
        named = {(one.host, one.port) for servers in self.files.values() for one in servers}
        named |= {(one.host, one.port) for places in self.records.values() for one in places}
        place = endpoint.host, endpoint.port
        return place in self.greeters or (place in named and endpoint.host not in self.silent)

    def tell(self, place: str, outcome: str) -> None:
        self.told.append((place, outcome))

    def find(self, address: str = ME, wanted: Wanted | None = None, *, database: bool = False) -> list[Endpoint]:
        found = find_servers(address, self, self.tell, wanted or Wanted(), asks_isp_database=database)
        return list(found.endpoints)


def test_a_known_provider_is_not_looked_for() -> None:
    known = Known()
    assert known.find("you@gmail.com") == [
        Endpoint("imap", "you@gmail.com", "imap.gmail.com", 993, "tls"),
        Endpoint("pop3", "you@gmail.com", "pop.gmail.com", 995, "tls"),
    ]
    assert known.asked == []
    assert known.told == [("known providers: Gmail", "imap.gmail.com:993, pop.gmail.com:995")]


def test_providers_servers_are_as_they_want_to_be_reached() -> None:
    assert [one.auth for one in servers_of(provider_of_domain("live.com"), "a@live.com")] == ["oauth"] * 2  # type: ignore[arg-type]
    assert servers_of(provider_of("127.0.0.1", 1143), "a@pm.me") == [  # type: ignore[arg-type]
        Endpoint("imap", "a@pm.me", "127.0.0.1", 1143, "starttls")
    ]
    hosts = [one.host for one in Known().find("a@yahoo.com")]
    assert hosts == ["imap.mail.yahoo.com", "export.imap.mail.yahoo.com", "pop.mail.yahoo.com"]


def test_who_receives_the_mail_of_a_domain_keeps_it() -> None:
    known = Known(exchangers=["aspmx.l.google.com", "alt1.aspmx.l.google.com"])
    assert known.find()[0] == Endpoint("imap", ME, "imap.gmail.com", 993, "tls")
    assert known.asked == ["MX example.org"]
    assert known.told == [
        ("known providers", "nothing about example.org"),
        ("mail exchangers (MX): Gmail", "imap.gmail.com:993, pop.gmail.com:995"),
    ]


def test_what_the_domain_says_in_dns_comes_next() -> None:
    known = Known(
        exchangers=["mx.example.org"],
        records={
            "imaps": [Service("imap.example.org", 993)],
            "imap": [Service("", 0)],
            "pop3s": [Service("pop.example.org", 995)],
        },
    )
    assert known.find() == [IMAPS, POP3S]
    assert ("mail exchangers (MX)", "mx.example.org: no provider that is known") in known.told
    assert ("DNS SRV _imap", "not offered") in known.told
    assert known.told[-1] == ("DNS SRV", "imap.example.org:993, pop.example.org:995")


def test_a_host_outside_of_the_domain_is_pointed_out() -> None:
    records = {
        "imaps": [Service("mail.host.example", 993), Service("notexample.org", 993), Service("example.org", 993)]
    }
    found = find_servers(ME, known := Known(records=records), known.tell, Wanted())
    assert found.foreign == ("mail.host.example", "notexample.org")


def test_then_autoconfig_at_both_places() -> None:
    assert Known(files={SECOND: [POP3S, IMAPS]}).find() == [IMAPS, POP3S]
    known = Known(files={FIRST: [IMAPS]})
    assert known.find() == [IMAPS]
    assert SECOND not in known.asked


def test_what_does_not_answer_comes_last_and_is_told() -> None:
    known = Known(files={FIRST: [IMAPS, POP3S]}, silent=["imap.example.org"])
    assert known.find() == [POP3S, IMAPS]
    assert known.told[-1] == ("imap.example.org:993", "does not answer, or not as it should")
    nobody = Known(files={FIRST: [IMAPS, POP3S]}, silent=["imap.example.org", "pop.example.org"])
    assert nobody.find() == [IMAPS, POP3S]


def test_somebody_else_is_told_the_domain_only_if_that_is_wanted() -> None:
    known = Known(files={DATABASE: [IMAPS]}, silent=[IMAPS.host])
    assert known.find() == []
    assert DATABASE not in known.asked
    assert known.find(database=True) == [IMAPS]


def test_at_last_usual_names_are_tried() -> None:
    known = Known(exchangers=None, greeters=[("mail.example.org", 143), ("pop.example.org", 995)])
    assert known.find() == [
        Endpoint("imap", ME, "mail.example.org", 143, "starttls"),
        Endpoint("pop3", ME, "pop.example.org", 995, "tls"),
    ]
    assert ("mail exchangers (MX)", "the name server does not answer in time") in known.told
    assert sorted(question for question in known.asked if question.startswith("greeting")) == sorted(
        f"greeting {host}:{port}"
        for port, hosts in {
            993: ("imap.example.org", "mail.example.org", "example.org"),
            143: ("imap.example.org", "mail.example.org", "example.org"),
            995: ("pop.example.org", "mail.example.org", "example.org"),
        }.items()
        for host in hosts
    )


def test_where_nothing_is_found_each_place_is_told() -> None:
    known = Known()
    assert known.find() == []
    assert known.told == [
        ("known providers", "nothing about example.org"),
        ("mail exchangers (MX)", "none"),
        ("DNS SRV", "none"),
        (FIRST.partition("?")[0], "it answers 404"),
        (SECOND.partition("?")[0], "it answers 404"),
        ("usual names", "no server of mail answers there"),
    ]


def test_what_a_domain_says_it_has_not_is_not_guessed() -> None:
    known = Known(records={"imaps": [Service("", 0)], "imap": [Service("", 0)]})
    known.find()
    assert [question for question in known.asked if question.endswith((":993", ":143"))] == []
    assert "greeting pop.example.org:995" in known.asked


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(protocol="pop3"), [POP3S]),
        (Wanted(port=995), [POP3S]),
        (Wanted(security="tls"), [IMAPS, POP3S]),
        (Wanted(security="starttls"), []),
        (Wanted(protocol="imap", port=995), []),
    ],
)
def test_only_what_is_wanted_is_found(wanted: Wanted, found: list[Endpoint]) -> None:
    assert Known(files={FIRST: [IMAPS, POP3S]}).find(wanted=wanted) == found


def test_a_port_that_is_wanted_is_tried_at_the_usual_names() -> None:
    known = Known(greeters=[("mail.example.org", 1993)])
    found = known.find(wanted=Wanted("imap", 1993, "tls"))
    assert found == [Endpoint("imap", ME, "mail.example.org", 1993, "tls")]


def test_nothing_is_sent_in_the_clear_unless_it_stays_on_this_machine_or_is_wanted() -> None:
    clear = Endpoint("imap", ME, "imap.example.org", 143, "plain")
    here = Endpoint("imap", ME, "localhost", 1143, "plain")
    known = Known(files={FIRST: [clear, here, IMAPS]})
    assert known.find() == [IMAPS, here]
    assert known.find(wanted=Wanted(security="plain")) == [clear, here]
