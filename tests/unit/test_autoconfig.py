"""An autoconfig file is read as its domain meant it, and never trusted."""

from contextlib import suppress
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailarchive.config import Endpoint, is_host
from mailarchive.errors import ProtocolViolation
from mailarchive.remote.discovery import read_autoconfig

SERVER = """<incomingServer type="{kind}"><hostname>{host}</hostname><port>{port}</port>
<socketType>{tls}</socketType><username>{user}</username><authentication>{auth}</authentication></incomingServer>"""


def server(**changes: str) -> str:
    usual = {
        "kind": "imap",
        "host": "imap.%EMAILDOMAIN%",
        "port": "993",
        "tls": "SSL",
        "user": "%EMAILADDRESS%",
        "auth": "password-cleartext",
    }
    return SERVER.format(**{**usual, **changes})


def whole(*servers: str) -> bytes:
    inside = "".join(servers)
    text = f'<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="x"><domain>x</domain>{inside}\
<outgoingServer type="smtp"><hostname>smtp.x</hostname></outgoingServer></emailProvider></clientConfig>'
    return text.encode("utf-8", "replace")


def read(*servers: str) -> list[Endpoint]:
    return read_autoconfig(whole(*servers), "me@example.org")


def test_servers_come_in_their_order_and_placeholders_are_filled() -> None:
    found = read(
        server(),
        server(kind="pop3", port="110", tls="STARTTLS", user="%EMAILLOCALPART%", host=" Pop.example.net "),
        server(port="143", tls="plain"),
    )
    assert found == [
        Endpoint("imap", "me@example.org", "imap.example.org", 993, "tls"),
        Endpoint("pop3", "me", "pop.example.net", 110, "starttls"),
        Endpoint("imap", "me@example.org", "imap.example.org", 143, "plain"),
    ]


def test_where_only_oauth_is_accepted_it_is_known() -> None:
    both = server(auth="OAuth2</authentication><authentication>password-cleartext")
    assert [one.auth for one in read(server(auth="OAuth2"), both)] == ["oauth", "password"]


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "exchange"},
        {"host": ""},
        {"host": "a b"},
        {"host": "x\x7f.example.org"},
        {"host": "evil.example/..\\"},
        {"host": "-oProxy"},
        {"host": "x" * 64 + ".org"},
        {"host": "\u202eexample.org"},
        {"port": "0"},
        {"port": "99999"},
        {"port": "-1"},
        {"port": ""},
        {"tls": "maybe"},
        {"user": "a\u202eb"},
    ],
)
def test_a_server_that_cannot_be_is_passed_over(changes: dict[str, str]) -> None:
    assert read(server(**changes), server())[0].host == "imap.example.org"
    assert len(read(server(**changes), server())) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html><body>welcome</body></html>",
        b"<clientConfig>",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="no-such"?><clientConfig/>',
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><clientConfig>&b;</clientConfig>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><clientConfig/>',
    ],
)
def test_what_is_no_such_file_or_could_explode_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        read_autoconfig(text, "me@example.org")


def test_deep_files_are_read_or_refused_but_hurt_nobody() -> None:
    deep = b"<clientConfig>" + b"<a>" * 30_000 + b"</a>" * 30_000 + b"</clientConfig>"
    assert read_autoconfig(deep, "me@example.org") == []


@given(st.binary() | st.text(alphabet="<>/&;! aclientConfigemailProvider=\"'").map(str.encode))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    with suppress(ProtocolViolation):
        read_autoconfig(octets, "me@example.org")


@given(st.text(), st.text(), st.text())
def test_whatever_stands_there_only_what_can_be_shown_and_reached_comes_out(host: str, user: str, port: str) -> None:
    texts = {"host": escape(host), "user": escape(user), "port": escape(port)}
    with suppress(ProtocolViolation):
        for endpoint in read_autoconfig(whole(server(**texts)), "me@example.org"):
            assert is_host(endpoint.host)
            assert (endpoint.host + endpoint.user).isprintable()
            assert 0 < endpoint.port < 65536


def test_of_many_servers_few_are_heeded() -> None:
    assert len(read(*[server()] * 100)) == 16
