"""How a POP3 server is greeted and told who we are; what is refused, and how it is said."""

import base64
import contextlib
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailarchive.config import Auth, Endpoint, Security, account_of
from mailarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ProtocolViolation,
    SourceError,
    SourceUnreachable,
    Stalled,
    Throttled,
    TlsFailed,
    TurnedAway,
)
from mailarchive.remote.pop3 import Timeouts
from mailarchive.sources.pop3 import Pop3Source
from tests.servers.certificates import Certificate, make_certificate
from tests.servers.scripted_pop3 import GREETING, Pop3Server

SECRET = "h0rse-battery"
TOKEN = "ya29." + "t" * 600


def open_source(
    server: Pop3Server,
    *,
    password: str | None = None,
    user: str = "user",
    security: Security = "plain",
    ca_file: Path | None = None,
    auth: Auth = "password",
) -> Pop3Source:
    endpoint = Endpoint("pop3", user, "127.0.0.1", server.port, security, ca_file, auth)
    return Pop3Source(account_of(endpoint), endpoint, password or server.password, Timeouts(30.0, 30.0))


def logged_in(server: Pop3Server, **how: object) -> list[bytes]:
    """Log in, leave, and return the commands that the server got up to the log-in."""
    source = open_source(server, **how)  # type: ignore[arg-type]
    source.leave(lambda: None)
    return [line for line in server.commands if line not in {b"CAPA", b"QUIT", b"STLS"}]


@pytest.mark.parametrize(
    ("capabilities", "greeting", "verbs"),
    [
        (("USER",), b"+OK", ["USER", "PASS"]),
        (None, b"+OK", ["USER", "PASS"]),
        (("USER", "SASL CRAM-MD5 PLAIN"), b"+OK", ["AUTH"]),
        (("SASL PLAIN",), b"+OK", ["AUTH"]),
        (("USER", "SASL PLAIN"), GREETING, ["APOP"]),
        (("UIDL",), GREETING, ["APOP"]),
        (None, GREETING, ["APOP"]),
    ],
)
def test_the_way_in_is_what_the_server_offers_and_keeps_the_password_from_others(
    capabilities: tuple[str, ...] | None, greeting: bytes, verbs: list[str]
) -> None:
    with Pop3Server(capabilities=capabilities, greeting=greeting, password=SECRET) as server:
        lines = logged_in(server)
    assert [line.split(b" ")[0].decode() for line in lines] == verbs
    if verbs == ["APOP"]:
        assert not any(SECRET.encode() in line for line in lines)


def test_a_server_that_does_not_know_the_user_by_apop_gets_the_password_on_a_line_where_that_may_be() -> None:
    with Pop3Server(greeting=GREETING, login_answers=[b"-ERR no APOP for this user"]) as server:
        assert [line[:4] for line in logged_in(server)] == [b"APOP", b"AUTH"]


def test_a_password_may_hold_anything_but_a_line_break() -> None:
    for capabilities in (("USER",), ("SASL PLAIN",)):
        with Pop3Server(capabilities=capabilities, password="a b  öx€ ") as server:
            logged_in(server)
            with pytest.raises(AuthenticationFailed, match="line break"):
                open_source(server, password="x\r\nDELE 1")
            assert server.counts["DELE"] == 0


def test_a_long_password_goes_in_a_line_of_its_own() -> None:
    with Pop3Server(password="p" * 300) as server:
        assert logged_in(server) == [b"AUTH PLAIN"]


@pytest.mark.parametrize(("greeting", "lines"), [(b"+OK Gpop ready", 1), (b"+OK The Microsoft Exchange POP3", 2)])
def test_an_access_token_is_sent_as_the_server_takes_it(greeting: bytes, lines: int) -> None:
    with Pop3Server(greeting=greeting, password=TOKEN, capabilities=("SASL XOAUTH2",)) as server:
        [line] = logged_in(server, auth="xoauth2")
    if lines == 1:
        assert base64.b64decode(line.split()[2]) == f"user=user\1auth=Bearer {TOKEN}\1\1".encode()
    else:
        assert line == b"AUTH XOAUTH2"


def test_a_token_that_is_refused_is_answered_with_nothing_and_a_hint() -> None:
    with (
        Pop3Server(password=TOKEN, capabilities=("SASL XOAUTH2",)) as server,
        pytest.raises(AuthenticationFailed, match="wrong user name or password") as caught,
    ):
        open_source(server, password="old", auth="xoauth2")
    assert "access token" in caught.value.hint


def test_without_a_way_for_passwords_there_is_a_hint() -> None:
    with Pop3Server(capabilities=("SASL XOAUTH2",)) as server, pytest.raises(AuthenticationFailed) as caught:
        open_source(server)
    assert "--auth xoauth2" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "kind", "seconds"),
    [
        (b"-ERR [AUTH] no", AuthenticationFailed, None),
        (b"-ERR no", AuthenticationFailed, None),
        (b"-ERR [IN-USE] locked", TurnedAway, None),
        (b"-ERR [LOGIN-DELAY] wait", Throttled, 300.0),
        (b"-ERR [SYS/TEMP] later", TurnedAway, None),
        (b"-ERR [SYS/PERM] broken", SourceError, None),
    ],
)
def test_a_refusal_means_what_its_code_says(answer: bytes, kind: type[SourceError], seconds: float | None) -> None:
    with Pop3Server(capabilities=("USER", "LOGIN-DELAY 300 USER"), password=SECRET) as server:
        server.login_answers = [answer]
        with pytest.raises(kind) as caught:
            open_source(server)
    assert type(caught.value) is kind
    assert answer.split(b"] ")[-1].removeprefix(b"-ERR ").decode() in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    if isinstance(caught.value, Throttled):
        assert caught.value.seconds == seconds
    assert caught.value.retryable == isinstance(caught.value, Throttled)


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"* OK IMAP4rev1", ProtocolViolation),
        (b"220 smtp ESMTP", ProtocolViolation),
        (b"-ERR [SYS/TEMP] full", TurnedAway),
        (b"-ERR go away", TurnedAway),
        (b"\xff\xfe", ProtocolViolation),
    ],
)
def test_another_greeting_is_an_error_in_words(greeting: bytes, kind: type[SourceError]) -> None:
    with Pop3Server(greeting=greeting) as server, pytest.raises(kind) as caught:
        open_source(server)
    assert type(caught.value) is kind
    assert str(server.port) in str(caught.value)


@contextlib.contextmanager
def raw(serve: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    """Let ``serve`` speak to who connects."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        connection, _peer = listener.accept()
        with connection:
            serve(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield Endpoint("pop3", "user", "127.0.0.1", listener.getsockname()[1], "plain")
    thread.join(10)
    listener.close()


def test_a_server_that_says_nothing_or_hangs_up_is_noticed() -> None:
    released = threading.Event()

    def silent(_connection: socket.socket) -> None:
        released.wait(10)

    with raw(silent) as endpoint:
        with pytest.raises(Stalled):
            Pop3Source(account_of(endpoint), endpoint, "secret", Timeouts(0.3, 0.3))
        released.set()
    with raw(lambda _connection: None) as endpoint, pytest.raises(ConnectionLost):
        Pop3Source(account_of(endpoint), endpoint, "secret")


def test_an_answer_without_end_is_refused() -> None:
    def endless(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"+OK" * 10_000)

    with raw(endless) as endpoint, pytest.raises(ProtocolViolation, match="more than 1 MiB"):
        Pop3Source(account_of(endpoint), endpoint, "secret")


def test_nobody_listening_is_said_with_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    endpoint = Endpoint("pop3", "user", "127.0.0.1", port, "plain")
    with pytest.raises(SourceUnreachable, match=rf"127\.0\.0\.1:{port} cannot be reached"):
        Pop3Source(account_of(endpoint), endpoint, "secret")


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_the_password_is_sent_under_tls_only(security: Security, certificate: Certificate) -> None:
    context = certificate.server_context()
    offers = ("USER", "STLS", "TOP", "UIDL")
    with Pop3Server(context=context, tls=security == "tls", capabilities=offers, greeting=GREETING) as server:
        server.deliver(b"Subject: x\r\n\r\n")
        source = open_source(server, security=security, ca_file=certificate.ca)
        assert source.open(source.mailboxes()[0]).uids() == ["00000001"]
        source.leave(lambda: None)
        commands = [line.split(b" ")[0] for line in server.commands]
    assert commands[: 3 if security == "tls" else 5][-2:] == [b"USER", b"PASS"]
    assert (b"STLS" in commands) == (security == "starttls")


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_of_nobody_known_is_refused(security: Security, certificate: Certificate) -> None:
    with Pop3Server(context=certificate.server_context(), tls=security == "tls", capabilities=None) as server:
        with pytest.raises(TlsFailed, match="cannot be trusted"):
            open_source(server, security=security)
        assert not {"USER", "AUTH", "APOP"} & server.counts.keys()


def test_without_stls_nothing_is_said_about_who_we_are() -> None:
    for capabilities in (("USER",), None):
        with Pop3Server(capabilities=capabilities) as server:
            with pytest.raises(TlsFailed, match="STLS") as caught:
                open_source(server, security="starttls")
            assert "pop3s:// (port 995)" in caught.value.hint
            assert not {"USER", "AUTH", "APOP"} & server.counts.keys()


def test_what_comes_before_tls_is_not_taken_for_what_comes_under_it() -> None:
    def inject(connection: socket.socket) -> None:
        connection.sendall(b"+OK\r\n")
        connection.recv(100)
        connection.sendall(b"+OK\r\nSTLS\r\n.\r\n")
        connection.recv(100)
        connection.sendall(b"+OK begin\r\n+OK injected\r\n")
        connection.recv(100)

    with raw(inject) as plain:
        endpoint = Endpoint("pop3", "user", plain.host, plain.port, "starttls")
        with pytest.raises(ProtocolViolation, match="before TLS"):
            Pop3Source(account_of(endpoint), endpoint, "secret")
