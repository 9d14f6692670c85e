import base64
import socket
import traceback
from pathlib import Path

import pytest

from mailarchive.config import Endpoint, Security, account_of
from mailarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ProtocolViolation,
    SourceError,
    SourceUnreachable,
    Throttled,
    TlsFailed,
    TooManyConnections,
    TurnedAway,
)
from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.remote.imap import Timeouts
from mailarchive.sources.imap import ImapSource
from tests.fault.imap_scripts import source_of
from tests.servers.certificates import Certificate, make_certificate
from tests.servers.scripted_imap import CUT, Rule, ScriptedServer

SECRET = "h0rse-battery"
LISTS: Rule = (rb"LIST", b"%T OK\r\n")


def after_login(
    *rules: Rule, capabilities: bytes = b"IMAP4rev1", password: str = "secret", user: str = "me"
) -> list[bytes]:
    """Log in, list, and return the commands that the server got."""
    with ScriptedServer([*rules, LISTS], capabilities) as server:
        source = source_of(server, password=password, user=user)
        source.mailboxes()
        source.close()
    return server.commands


def test_the_password_is_quoted() -> None:
    assert b'LOGIN "me" "a\\"b\\\\c d"' in after_login(password='a"b\\c d')


def test_a_password_beyond_ascii_is_a_literal() -> None:
    assert 'LOGIN "me" {5}\r\nöxé'.encode() in after_login(password="öxé")
    assert 'LOGIN "me" {5+}\r\nöxé'.encode() in after_login(password="öxé", capabilities=b"IMAP4rev1 LITERAL+")


def test_line_breaks_in_a_user_name_do_not_become_commands() -> None:
    commands = after_login(user="me\r\nA9 DELETE INBOX")
    assert not [line for line in commands if line.startswith(b"DELETE")]


def with_token(*rules: Rule, capabilities: bytes) -> list[bytes]:
    """Log in with an access token and return the commands that the server got."""
    with ScriptedServer([*rules, LISTS], capabilities) as server:
        endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "plain", auth="xoauth2")
        ImapSource(account_of(endpoint), endpoint, "t0ken").close()
    return server.commands


TOKEN = base64.b64encode(b"user=me\1auth=Bearer t0ken\1\1")


def test_an_access_token_is_sent_at_once_where_that_is_allowed() -> None:
    commands = with_token(capabilities=b"IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR")
    assert b"AUTHENTICATE XOAUTH2 " + TOKEN in commands


def test_an_access_token_waits_for_the_server_elsewhere() -> None:
    rules: list[Rule] = [
        (rb"AUTHENTICATE XOAUTH2\Z", b"+ \r\n"),
        (rb"\Z", b"A1 OK [CAPABILITY IMAP4rev1] in\r\n"),
    ]
    with ScriptedServer(rules, b"IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED") as server:
        endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "plain", auth="xoauth2")
        ImapSource(account_of(endpoint), endpoint, "t0ken").close()
    assert TOKEN in server.lines


def test_an_error_that_comes_as_a_challenge_is_answered_with_nothing() -> None:
    challenge = b"+ " + base64.b64encode(b'{"status":"400"}') + b"\r\n"
    empty: Rule = (rb"\Z", b"A1 NO [AUTHENTICATIONFAILED] Invalid credentials\r\n")
    with pytest.raises(AuthenticationFailed, match="Invalid credentials") as caught:
        with_token((rb"AUTHENTICATE XOAUTH2", challenge), empty, capabilities=b"IMAP4rev1 AUTH=XOAUTH2 SASL-IR")
    assert "access token" in caught.value.hint


def test_a_server_that_takes_no_token_is_not_sent_one() -> None:
    with pytest.raises(AuthenticationFailed, match="no access token"):
        with_token(capabilities=b"IMAP4rev1 AUTH=PLAIN")


def test_plain_is_used_where_login_is_disabled() -> None:
    commands = after_login(
        (rb"AUTHENTICATE PLAIN .", b"%T OK [CAPABILITY IMAP4rev1] in\r\n"),
        capabilities=b"IMAP4rev1 LOGINDISABLED AUTH=PLAIN SASL-IR",
    )
    assert b"AUTHENTICATE PLAIN " + base64.b64encode(b"\0me\0secret") in commands


def test_plain_waits_for_the_server_where_it_has_to() -> None:
    with LoopbackServer(LoopbackAccount(capabilities=["IMAP4rev1", "LOGINDISABLED", "AUTH=PLAIN"])) as server:
        endpoint = Endpoint("imap", "user", server.host, server.port, "plain")
        source = ImapSource(account_of(endpoint), endpoint, "secret")
        assert source.mailboxes()
        source.close()


def test_without_any_way_to_log_in_nothing_is_sent() -> None:
    server = ScriptedServer([], b"IMAP4rev1 LOGINDISABLED AUTH=GSSAPI")
    with server, pytest.raises(AuthenticationFailed) as caught:
        source_of(server)
    assert "imaps://" in caught.value.hint
    assert server.commands == [b"CAPABILITY"]


def test_capabilities_are_asked_for_if_the_log_in_does_not_tell_them() -> None:
    commands = after_login(
        (rb"LOGIN", b"%T OK in\r\n"), (rb"CAPABILITY", b"* CAPABILITY IMAP4rev1 LIST-STATUS\r\n%T OK done\r\n")
    )
    assert [line.split()[0] for line in commands] == [b"CAPABILITY", b"LOGIN", b"CAPABILITY", b"LIST", b"LOGOUT"]
    assert b"RETURN" in commands[3]


def test_capabilities_in_an_untagged_answer_count() -> None:
    commands = after_login((rb"LOGIN", b"* CAPABILITY IMAP4rev1 LIST-STATUS\r\n%T OK in\r\n"))
    assert b"RETURN" in commands[2]


def test_we_introduce_ourselves_where_that_is_offered_without_waiting() -> None:
    commands = after_login((rb"ID", b"* ID NIL\r\n%T BAD what\r\n"), capabilities=b"IMAP4rev1 ID")
    assert commands[2].startswith(b'ID ("name" "mailarchive" "version" "')
    assert commands[3].startswith(b"LIST")


def test_who_is_greeted_as_known_does_not_log_in() -> None:
    with ScriptedServer([LISTS], greeting=b"* PREAUTH welcome\r\n") as server:
        source = source_of(server)
        source.mailboxes()
        source.close()
    assert not [line for line in server.commands if line.startswith(b"LOGIN")]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"%T NO [AUTHENTICATIONFAILED] wrong\x07 one\r\n", AuthenticationFailed, r"wrong\\x07 one"),
        (b"%T NO " + b"x" * 5000 + b"\r\n", AuthenticationFailed, "xxx"),
        (b"%T BAD what\r\n", AuthenticationFailed, "what"),
        (b"%T NO [UNAVAILABLE] later\r\n", TurnedAway, "later"),
        (b"%T NO [INUSE] later\r\n", TurnedAway, "later"),
        (b"%T NO [LIMIT] too many\r\n", Throttled, "too many"),
        (b"%T NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)\r\n", Throttled, "bandwidth"),
        (b"%T NO [ALERT] Too many simultaneous connections. (Failure)\r\n", TooManyConnections, "simultaneous"),
        (b"%T BAD User is authenticated but not connected.\r\n", SourceUnreachable, "lost touch"),
        (b"* BYE too many connections\r\n" + CUT, TooManyConnections, "too many connections"),
        (b"* BYE Session expired\r\n" + CUT, TurnedAway, "expired"),
        (CUT, ConnectionLost, "ended the connection"),
        (b"rubbish\r\n", ProtocolViolation, "rubbish"),
    ],
)
def test_a_log_in_that_fails_says_why_and_never_the_password(
    answer: bytes, error: type[SourceError], words: str
) -> None:
    with ScriptedServer([(rb"LOGIN", answer)]) as server, pytest.raises(error, match=words) as caught:
        source_of(server, password=SECRET)
    assert type(caught.value) is error
    assert len(str(caught.value)) < 400
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value.__dict__)


def test_a_password_with_a_nul_is_refused_before_it_is_sent() -> None:
    with ScriptedServer([]) as server, pytest.raises(AuthenticationFailed) as caught:
        source_of(server, password="a\0b")
    assert server.commands == [b"CAPABILITY"]
    assert "a\0b" not in str(caught.value)


def test_the_password_is_asked_for_only_when_it_is_needed() -> None:
    with ScriptedServer([], greeting=b"* PREAUTH welcome\r\n") as server:
        endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "plain")
        ImapSource(account_of(endpoint), endpoint, lambda: pytest.fail("asked")).close()


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"* BYE [UNAVAILABLE] go away\r\n" + CUT, TurnedAway),
        (b"* BYE Maximum number of connections from user+IP exceeded\r\n" + CUT, TooManyConnections),
        (b"* OK hello\r\n* BYE [ALERT] Too many concurrent connections\r\n", TooManyConnections),
        (b"* OK hello\r\n" + b"* OK and welcome\r\n" * 100_000, ProtocolViolation),
        (b"* OK hello\r\n* OK {4000000000}\r\n", ProtocolViolation),
        (b"220 mail.example ESMTP\r\n", SourceUnreachable),
        (b"", SourceUnreachable),
        (b"* OK \xff\xff\r\n* \xff\r\n", SourceUnreachable),
        (b"* OK " + b"x" * 2_000_000 + b"\r\n", ProtocolViolation),
    ],
)
def test_a_greeting_that_is_none_is_told(greeting: bytes, error: type[SourceError]) -> None:
    with ScriptedServer([(rb"CAPABILITY", CUT)], greeting=greeting.removesuffix(CUT)) as server:
        endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "plain")
        with pytest.raises(error) as caught:
            ImapSource(account_of(endpoint), endpoint, "secret", Timeouts(connect=0.5, stall=0.5))
    assert caught.value.retryable
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "capability", [b"* CAPABILITY \xff\r\n%T OK done\r\n", b"* CAPABILITY POP3\r\n%T OK done\r\n", b"%T OK done\r\n"]
)
def test_a_server_that_is_not_imap4rev1_is_told(capability: bytes) -> None:
    with ScriptedServer([(rb"CAPABILITY", capability)]) as server, pytest.raises(ProtocolViolation):
        source_of(server)


def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    endpoint = Endpoint("imap", "me", "127.0.0.1", port, "plain")
    with pytest.raises(SourceUnreachable, match="refused"):
        ImapSource(account_of(endpoint), endpoint, "secret")


def test_a_host_without_an_address_is_unreachable() -> None:
    endpoint = Endpoint("imap", "me", "nowhere.invalid", 143, "plain")
    with pytest.raises(SourceUnreachable, match=r"nowhere\.invalid"):
        ImapSource(account_of(endpoint), endpoint, "secret")


def test_octets_that_came_with_the_greeting_are_not_lost() -> None:
    early = b"* CAPABILITY %C\r\n%T OK done\r\n* OK [ALERT] read me\r\n"
    with ScriptedServer([(rb"CAPABILITY", early), LISTS]) as server:
        source = source_of(server)
        assert source.mailboxes() == []
        source.close()


def test_octets_that_make_no_sense_behind_the_greeting_are_seen() -> None:
    early = b"* CAPABILITY %C\r\n%T OK done\r\nrubbish\r\n"
    with ScriptedServer([(rb"CAPABILITY", early)]) as server, pytest.raises(ProtocolViolation, match="rubbish"):
        source_of(server)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def secure(server: LoopbackServer, certificate: Certificate | None, **other: str) -> ImapSource:
    ca_file = certificate.ca if certificate else None
    security: Security = "starttls" if other.get("security") == "starttls" else "tls"
    endpoint = Endpoint("imap", "user", other.get("host", "localhost"), server.port, security, ca_file)
    return ImapSource(account_of(endpoint), endpoint, "secret")


@pytest.mark.parametrize("starttls", [False, True])
def test_mail_is_read_over_tls(certificate: Certificate, starttls: bool) -> None:
    account = LoopbackAccount()
    account.append("INBOX", b"x" * 3_000_000)
    with LoopbackServer(account, ssl_context=certificate.server_context(), starttls=starttls) as server:
        source = secure(server, certificate, security="starttls" if starttls else "tls")
        [fetched] = source.open(source.mailboxes()[0]).fetch([1], lambda: pytest.fail("no spool"))
        assert fetched.body.size == 3_000_000
        source.close()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_of_an_unknown_authority_is_refused(certificate: Certificate, security: str) -> None:
    context = certificate.server_context()
    server = LoopbackServer(LoopbackAccount(), ssl_context=context, starttls=security == "starttls")
    with server, pytest.raises(TlsFailed, match="cannot be trusted"):
        secure(server, None, security=security)


def test_a_certificate_for_another_host_is_refused(certificate: Certificate) -> None:
    server = LoopbackServer(LoopbackAccount(), ssl_context=certificate.server_context())
    with server, pytest.raises(TlsFailed, match="cannot be trusted"):
        secure(server, certificate, host="127.1")


def test_starttls_that_is_not_offered_is_an_error_and_no_password_is_sent() -> None:
    with ScriptedServer([]) as server:
        endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "starttls")
        with pytest.raises(TlsFailed) as caught:
            ImapSource(account_of(endpoint), endpoint, "secret")
    assert "imaps://" in caught.value.hint
    assert server.commands == [b"CAPABILITY"]


@pytest.mark.parametrize("greeting", [b"* OK hi\r\n", b"* PREAUTH hi\r\n"])
def test_starttls_that_is_refused_is_an_error_and_no_password_is_sent(greeting: bytes) -> None:
    with ScriptedServer([(rb"STARTTLS", b"%T NO not now\r\n")], b"IMAP4rev1 STARTTLS", greeting) as server:
        endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "starttls")
        with pytest.raises(TlsFailed):
            ImapSource(account_of(endpoint), endpoint, "secret")
    assert not [line for line in server.commands if line.startswith((b"LOGIN", b"AUTH"))]


def test_plain_text_on_a_tls_port_is_told() -> None:
    with ScriptedServer([]) as server:
        endpoint = Endpoint("imap", "me", "127.0.0.1", server.port, "tls")
        with pytest.raises(TlsFailed) as caught:
            ImapSource(account_of(endpoint), endpoint, "secret")
    assert "port" in caught.value.hint


@pytest.mark.parametrize("content", [None, "no certificate\n"])
def test_a_ca_file_that_cannot_be_used_is_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    endpoint = Endpoint("imap", "me", "127.0.0.1", 1, "tls", path)
    with pytest.raises(TlsFailed, match=r"ca\.pem"):
        ImapSource(account_of(endpoint), endpoint, "secret")
