"""DNS and the web are asked for a domain's servers, and what comes back is not trusted."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailarchive.config import Endpoint
from mailarchive.errors import ProtocolViolation, SourceUnreachable, TlsFailed
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.remote.discovery import Network, Service, fetch, greets, mail_exchangers, services
from mailarchive.remote.discovery.names import is_known
from tests.servers.certificates import Certificate, make_certificate
from tests.servers.nameserver import NameServer, Records
from tests.servers.web import Page, WebServer

URL = "https://autoconfig.example.org/mail/config-v1.1.xml"


@contextmanager
def names(records: Records) -> Iterator[Network]:
    with NameServer(records) as server:
        yield Network(nameserver=server.place, seconds=0.5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "autoconfig.example.org", "example.org")


@contextmanager
def web(certificate: Certificate, pages: dict[str, Page], **changes: object) -> Iterator[Network]:
    with WebServer(pages, certificate) as server:
        yield Network(**{"web": server.place, "ca_file": certificate.ca, "seconds": 5.0, **changes})  # type: ignore[arg-type]


def test_services_come_by_priority_then_weight() -> None:
    records = ["20 9 993 late.example.org.", "10 1 993 light.example.org.", "10 5 1993 Heavy.Example.org."]
    with names({("_imaps._tcp.example.org", "SRV"): records}) as network:
        assert services("imaps", "example.org", network) == [
            Service("heavy.example.org", 1993),
            Service("light.example.org", 993),
            Service("late.example.org", 993),
        ]
        assert services("pop3s", "example.org", network) == []


def test_a_service_that_is_not_offered_has_no_host() -> None:
    with names({("_imap._tcp.example.org", "SRV"): ["0 0 0 ."]}) as network:
        assert services("imap", "example.org", network) == [Service("", 0)]


def test_names_that_cannot_be_hosts_are_passed_over() -> None:
    records = ["0 0 993 \\027[2J.example.org.", "0 0 993 a\\032b.example.org.", "0 0 0 zero.example.org."]
    with names({("_imaps._tcp.example.org", "SRV"): records}) as network:
        assert services("imaps", "example.org", network) == []


def test_mail_exchangers_come_by_preference() -> None:
    with names({("example.org", "MX"): ["20 b.example.org.", "10 A.example.org."]}) as network:
        assert mail_exchangers("example.org", network) == ["a.example.org", "b.example.org"]
        assert mail_exchangers("other.example", network) == []
        assert mail_exchangers("bücher.example", network) == []


def test_a_name_server_that_is_silent_or_absent_is_said() -> None:
    with names({("example.org", "MX"): None}) as network, pytest.raises(SourceUnreachable, match="in time"):
        mail_exchangers("example.org", network)
    with pytest.raises(SourceUnreachable, match="name server"):
        mail_exchangers("x." * 200 + "org", Network(("127.0.0.1", 9), seconds=0.2))


def test_a_file_is_fetched_and_redirects_are_followed(certificate: Certificate) -> None:
    pages = {
        URL: Page(status=302, headers={"Location": "https://example.org/moved"}),
        "https://example.org/moved": Page(b"<x/>"),
    }
    with web(certificate, pages) as network:
        assert fetch(URL + "?emailaddress=me%40example.org", network) == b"<x/>"


@pytest.mark.parametrize(
    "location",
    ["http://example.org/x", "file:///etc/passwd", "https://user@example.org/", "https://[::1/", "https://a b/"],
)
def test_a_redirect_to_where_it_is_not_safe_is_not_followed(certificate: Certificate, location: str) -> None:
    with (
        web(certificate, {URL: Page(status=301, headers={"Location": location})}) as network,
        pytest.raises(ProtocolViolation, match="not safe"),
    ):
        fetch(URL, network)


def test_redirects_end(certificate: Certificate) -> None:
    with (
        web(certificate, {URL: Page(status=301, headers={"Location": URL})}) as network,
        pytest.raises(ProtocolViolation, match="redirects"),
    ):
        fetch(URL, network)


def test_what_is_too_large_or_not_there_is_said(certificate: Certificate) -> None:
    with web(certificate, {URL: Page(b"x" * 200_000)}) as network:
        with pytest.raises(ProtocolViolation, match="more than"):
            fetch(URL, network)
        with pytest.raises(SourceUnreachable, match=r"example\.org answers 404"):
            fetch("https://example.org/none", network)


def test_a_certificate_must_be_of_the_host_and_of_a_known_authority(certificate: Certificate) -> None:
    with web(certificate, {}) as network, pytest.raises(TlsFailed, match=r"certificate of other\.example"):
        fetch("https://other.example/", network)
    with web(certificate, {}, ca_file=None) as network, pytest.raises(TlsFailed):
        fetch(URL, network)


def test_a_server_that_says_nothing_or_something_else_holds_nobody_up(certificate: Certificate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        network = Network(web=silent.getsockname()[:2], ca_file=certificate.ca, seconds=0.2)
        with pytest.raises(SourceUnreachable, match="in time"):
            fetch(URL, network)


def test_a_server_that_dribbles_is_cut(certificate: Certificate) -> None:
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def dribble() -> None:
            sock, _peer = listener.accept()
            with certificate.server_context().wrap_socket(sock, server_side=True) as tls:
                try:
                    while not done.wait(0.05):
                        tls.sendall(b"H")
                except OSError:
                    pass

        thread = threading.Thread(target=dribble, daemon=True)
        thread.start()
        network = Network(web=listener.getsockname()[:2], ca_file=certificate.ca, seconds=0.3)
        with pytest.raises((SourceUnreachable, ProtocolViolation)):
            fetch(URL, network)
        done.set()
        thread.join()


def test_a_name_server_that_is_set_says_which_hosts_there_are() -> None:
    with LoopbackServer(LoopbackAccount()) as server, names({("here.localhost", "A"): ["127.0.0.1"]}) as network:
        assert is_known("here.localhost", network)
        assert not is_known("imap.example.org", network)
        for host, answers in (("imap.example.org", False), ("localhost", True), ("127.0.0.1", True)):
            assert greets(Endpoint("imap", "", host, server.port, "plain"), network) == answers


def test_a_server_of_mail_is_known_by_its_greeting(tmp_path: Path) -> None:
    network = Network(seconds=0.5)
    with LoopbackServer(LoopbackAccount()) as server:
        assert greets(Endpoint("imap", "", "127.0.0.1", server.port, "plain"), network)
        assert greets(Endpoint("imap", "", "127.0.0.1", server.port, "starttls"), network)
        assert not greets(Endpoint("pop3", "", "127.0.0.1", server.port, "plain"), network)
        assert not greets(Endpoint("imap", "", "127.0.0.1", server.port, "tls"), network)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not greets(Endpoint("imap", "", "127.0.0.1", silent.getsockname()[1], "plain"), network)
