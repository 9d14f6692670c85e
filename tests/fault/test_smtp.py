"""Messages are sent octet for octet; what a server does not take is said as what it is, and what is in doubt too."""

import base64
import contextlib
import socket
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from mailarchive.config import Auth, Endpoint, Security, parse_target_url
from mailarchive.errors import (
    AuthenticationFailed,
    ConnectionLost,
    Doubtful,
    MessageRefused,
    ProtocolViolation,
    SourceError,
    SourceUnreachable,
    Stalled,
    TargetRefused,
    Throttled,
    TlsFailed,
    TooManyConnections,
    TurnedAway,
)
from mailarchive.remote.smtp import SmtpSession, Timeouts
from mailarchive.targets.smtp import SmtpTarget, account_of, sender_of
from tests.servers.certificates import Certificate, make_certificate
from tests.servers.smtp import SECRET, Line, SmtpServer, scripted

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

FROM, TO = "me@example.org", "you@example.com"
WRONG = "m0use-trap"
PLAIN = b"Subject: x\r\n\r\nbody\r\n"
HASTE = Timeouts(5.0, 5.0)


def endpoint_of(
    server: SmtpServer,
    *,
    user: str = "",
    security: Security = "plain",
    ca_file: Path | None = None,
    auth: Auth = "password",
) -> Endpoint:
    return Endpoint("smtp", user, "127.0.0.1", server.port, security, ca_file, auth)


def send(session: SmtpSession, octets: bytes, *, sender: str = FROM, recipient: str = TO, piece: int = 7000) -> str:
    def chunks() -> Iterator[bytes]:
        return (octets[at : at + piece] for at in range(0, len(octets), piece))

    return session.send(sender, recipient, len(octets), chunks)


@contextlib.contextmanager
def session(endpoint: Endpoint, *, password: str = SECRET, final: float = 10.0) -> Iterator[SmtpSession]:
    opened = SmtpSession(endpoint, password, HASTE, final_seconds=final)
    try:
        yield opened
        opened.leave()
    finally:
        opened.close()


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


# -- octets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "octets",
    [
        PLAIN,
        b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\na.\r\n\r\n.\r\n",
        b".",
        b".\r\n",
        b"..\r\n.",
        b"\r\n",
        b"From x\r\n>From y\r\n\r\n\r\n",
        "Subject: ü€\r\n\r\nß\r\n".encode(),
        b"\x01\xff\x80\x7f\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 2000 + b"\r\n",
    ],
)
def test_the_octets_come_as_they_were_sent(server: SmtpServer, octets: bytes, piece: int) -> None:
    with session(endpoint_of(server)) as smtp:
        assert send(smtp, octets, piece=piece) == "250 2.0.0 kept as 17"
        assert send(smtp, PLAIN).startswith("250 ")
    ended = octets if octets.endswith(b"\r\n") else octets + b"\r\n"
    assert [taken.octets for taken in server.taken] == [ended, PLAIN]
    assert server.taken[0][:2] == (FROM, (TO,))


def test_a_large_message_comes_whole() -> None:
    line = b".x" * 38 + b"\r\n"
    octets = b"Subject: large\r\n\r\n" + line * 40_000
    with SmtpServer(data_size_limit=1 << 30) as server, session(endpoint_of(server)) as smtp:
        send(smtp, octets, piece=1 << 20)
        assert server.taken[0].octets == octets


def test_a_message_of_nothing_is_sent(server: SmtpServer) -> None:
    with session(endpoint_of(server)) as smtp:
        send(smtp, b"")
    assert [taken.octets for taken in server.taken] == [b""]


def test_what_a_message_is_like_is_said_with_the_sender(server: SmtpServer) -> None:
    with session(endpoint_of(server)) as smtp:
        send(smtp, PLAIN)
        send(smtp, b"\xff")
        send(smtp, PLAIN, sender="", recipient="jürgen@example.com")
    assert [set(taken.options) for taken in server.taken] == [
        {f"SIZE={len(PLAIN)}"},
        {"SIZE=3", "BODY=8BITMIME"},
        {f"SIZE={len(PLAIN)}", "SMTPUTF8"},
    ]
    assert server.taken[2].sender == ""


@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\r\n\rb\r\n", b"a\0b\r\n", b"a\n", b"a\r"])
def test_what_smtp_cannot_carry_is_refused_before_it_is_sent(server: SmtpServer, octets: bytes) -> None:
    with session(endpoint_of(server)) as smtp:
        with pytest.raises(MessageRefused, match="has no way to take unchanged") as caught:
            send(smtp, octets, piece=1)
        assert caught.value.code == "5.6.1"
        send(smtp, PLAIN)
    assert len(server.taken) == 1


def test_what_is_larger_than_the_server_takes_is_refused_before_it_is_sent() -> None:
    with SmtpServer(data_size_limit=1000) as server, session(endpoint_of(server)) as smtp:
        with pytest.raises(MessageRefused, match="takes at most 1000") as caught:
            send(smtp, b"x" * 1001)
        assert caught.value.code == "5.3.4"
        send(smtp, PLAIN)
        assert len(server.taken) == 1


def test_octets_that_are_not_ascii_are_refused_where_they_might_be_changed() -> None:
    def script(line: Line) -> None:
        line.greet("SIZE")
        assert line.hear() == b"QUIT"
        line.say("221 bye")

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        with pytest.raises(MessageRefused, match="8BITMIME") as caught:
            send(smtp, b"\xff\r\n")
        assert caught.value.code == "5.6.3"


def test_addresses_that_are_not_ascii_need_a_server_that_takes_them() -> None:
    with SmtpServer(enable_SMTPUTF8=False) as server, session(endpoint_of(server)) as smtp:
        with pytest.raises(TargetRefused, match="SMTPUTF8"):
            send(smtp, PLAIN, recipient="jürgen@example.com")
        assert not server.taken


@pytest.mark.parametrize("address", ["x@y>\r\nDATA", "x y@z", "<x@y>", "x@y\0"])
def test_no_command_is_smuggled_in_by_an_address(server: SmtpServer, address: str) -> None:
    with session(endpoint_of(server)) as smtp:
        with pytest.raises(TargetRefused):
            send(smtp, PLAIN, recipient=address)
        with pytest.raises(TargetRefused):
            send(smtp, PLAIN, sender=address)
    assert not server.taken


def test_an_error_while_a_message_is_read_leaves_nothing_at_the_server(server: SmtpServer) -> None:
    calls = 0

    def chunks() -> Iterable[bytes]:
        nonlocal calls
        calls += 1
        yield b"a" * 100_000
        if calls > 1:
            raise OSError("damaged")
        yield b"b"

    with session(endpoint_of(server)) as smtp:
        with pytest.raises(OSError, match="damaged"):
            smtp.send(FROM, TO, 100_001, chunks)
        with pytest.raises(ConnectionLost):
            send(smtp, PLAIN)
    assert not server.taken


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "answer", "kind"),
    [
        ("MAIL", "550 5.7.1 not you", TargetRefused),
        ("MAIL", "530 5.7.0 log in first", AuthenticationFailed),
        ("MAIL", "552 too large", MessageRefused),
        ("MAIL", "452 4.3.1 no room just now", Throttled),
        ("MAIL", "550 5.4.5 Daily user sending limit exceeded", Throttled),
        ("MAIL", "451 4.7.0 too many connections from you", TooManyConnections),
        ("RCPT", "550 5.1.1 nobody of that name", TargetRefused),
        ("RCPT", "450 4.2.0 greylisted", Throttled),
        ("RCPT", "452 4.2.2 mailbox full", TargetRefused),
        ("RCPT", "552 5.2.2 mailbox full", TargetRefused),
        ("RCPT", "552 5.2.3 longer than this mailbox takes", MessageRefused),
        ("DATA", "554 5.7.1 looks like spam", MessageRefused),
        ("DATA", "552 5.3.4 too large", MessageRefused),
        ("DATA", "552 5.2.2 mailbox full", TargetRefused),
        ("DATA", "451 4.3.0 try again", Throttled),
        ("DATA", "550 refused", MessageRefused),
    ],
)
def test_a_refusal_is_about_the_message_the_account_or_the_moment(
    server: SmtpServer, hook: str, answer: str, kind: type[SourceError]
) -> None:
    server.answers[hook] = [answer]
    with session(endpoint_of(server)) as smtp:
        with pytest.raises(kind) as caught:
            send(smtp, PLAIN)
        assert type(caught.value) is kind
        assert answer in str(caught.value)
        assert caught.value.hint or isinstance(caught.value, MessageRefused)
        if isinstance(caught.value, Throttled):
            assert caught.value.connected
        if isinstance(caught.value, MessageRefused):
            assert caught.value.code == (answer.split()[1] if "." in answer else "")
        assert not server.taken
        send(smtp, PLAIN)
    assert len(server.taken) == 1


def test_what_refusals_exit_with() -> None:
    assert (TargetRefused.exit_code, MessageRefused.exit_code) == (21, 3)
    assert not any(kind.retryable for kind in (TargetRefused, MessageRefused, Doubtful))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("421 4.7.28 you send too much", Throttled),
        ("421 4.3.2 shutting down", ConnectionLost),
        ("421 too many connections", TooManyConnections),
    ],
)
@pytest.mark.parametrize("extension", ["SIZE", "PIPELINING"])
def test_a_server_that_hangs_up_says_why(answer: str, kind: type[SourceError], extension: str) -> None:
    def script(line: Line) -> None:
        line.greet(extension)
        line.hear()
        line.say(answer)
        if extension == "PIPELINING":
            line.hear()
            line.hear()

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        with pytest.raises(kind) as caught:
            send(smtp, PLAIN)
        assert type(caught.value) is kind
        if isinstance(caught.value, Throttled):
            assert not caught.value.connected


# -- pipelining and chunks ---------------------------------------------------------------------------------------------


def test_commands_go_together_where_the_server_takes_that() -> None:
    def script(line: Line) -> None:
        line.greet("PIPELINING")
        for _ in range(2):
            assert [line.hear()[:4] for _ in range(3)] == [b"MAIL", b"RCPT", b"DATA"]
            line.say("250 ok", "250 ok", "354 go on")
            assert line.text() == PLAIN
            line.say("250 kept")
        line.hear()
        line.say("221 bye")

    with scripted(script) as (endpoint, heard), session(endpoint) as smtp:
        assert send(smtp, PLAIN) == send(smtp, PLAIN) == "250 kept"
    assert heard[-1] == b"QUIT"


@pytest.mark.parametrize("data", ["354 go on", "503 5.5.1 nobody to send to"])
def test_a_message_for_nobody_is_not_sent(data: str) -> None:
    def script(line: Line) -> None:
        line.greet("PIPELINING")
        for _ in range(3):
            line.hear()
        line.say("250 ok", "550 5.1.1 nobody of that name", data)
        if data.startswith("354"):
            assert line.text() == b""
            line.say("554 5.5.1 nobody to send to")
        assert line.hear() == b"RSET"
        line.say("250 ok")
        line.hear()

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        with pytest.raises(TargetRefused, match="nobody of that name"):
            send(smtp, PLAIN)
        smtp.check()


def test_an_lmtp_server_that_wants_a_message_for_nobody_is_not_waited_for() -> None:
    def script(line: Line) -> None:
        line.greet("PIPELINING")
        for _ in range(3):
            line.hear()
        line.say("250 ok", "450 4.2.0 later", "354 go on")
        assert line.hear() == b""

    with scripted(script, "lmtp") as (endpoint, _heard), session(endpoint) as lmtp:
        with pytest.raises(Throttled, match="later"):
            send(lmtp, PLAIN)
        with pytest.raises(ConnectionLost):
            lmtp.check()


def take_chunks(line: Line) -> bytes:
    """Answer BDAT up to the last, and return the octets."""
    octets = b""
    while True:
        words = line.hear().split()
        assert words[0] == b"BDAT"
        octets += line.file.read(int(words[1]))
        line.say("250 2.6.0 so far")
        if words[2:] == [b"LAST"]:
            return octets


@pytest.mark.parametrize("octets", [b"a\0b\nc\rd", b"\xff", b".", b"\n" * 1_048_576, b"\n.\r" * 1_000_000])
def test_a_message_that_is_not_lines_goes_in_chunks_where_the_server_takes_that(octets: bytes) -> None:
    came: list[bytes] = []

    def script(line: Line) -> None:
        line.greet("CHUNKING", "BINARYMIME", "SIZE")
        assert line.hear() == f"MAIL FROM:<{FROM}> SIZE={len(octets)} BODY=BINARYMIME".encode()
        line.say("250 ok")
        line.hear()
        line.say("250 ok")
        came.append(take_chunks(line))
        line.hear()

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        assert send(smtp, octets, piece=300_000) == "250 2.6.0 so far"
    assert came == [octets]


def test_a_chunk_that_is_refused_ends_the_message() -> None:
    def script(line: Line) -> None:
        line.greet("CHUNKING", "BINARYMIME", "PIPELINING")
        line.hear()
        line.hear()
        line.say("250 ok", "250 ok")
        line.file.read(int(line.hear().split()[1]))
        line.say("552 5.3.4 too large")
        assert line.hear() == b"RSET"
        line.say("250 ok")
        line.hear()

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp, pytest.raises(MessageRefused) as caught:
        send(smtp, b"\n" * 3_000_000)
    assert caught.value.code == "5.3.4"


# -- cuts --------------------------------------------------------------------------------------------------------------


def begin(line: Line) -> None:
    """Go as far as the message."""
    line.greet("PIPELINING", "SIZE")
    for _ in range(3):
        line.hear()
    line.say("250 ok", "250 ok", "354 go on")


def test_a_connection_lost_before_the_end_of_a_message_is_no_doubt() -> None:
    def script(line: Line) -> None:
        begin(line)
        line.file.read(1000)

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        with pytest.raises(ConnectionLost) as caught:
            send(smtp, b"x" * 998 + (b"\r\n" + b"y" * 998) * 30_000)
        assert type(caught.value) is ConnectionLost
        with pytest.raises(ConnectionLost):
            send(smtp, PLAIN)


@pytest.mark.parametrize("after", ["nothing", "silence", "rubbish"])
def test_a_connection_lost_before_the_answer_to_a_whole_message_is_doubt(after: str) -> None:
    def script(line: Line) -> None:
        begin(line)
        assert line.text() == PLAIN
        if after == "silence":
            line.file.read(1)
        if after == "rubbish":
            line.say("hello")

    with scripted(script) as (endpoint, _heard), session(endpoint, final=0.3) as smtp:
        with pytest.raises(Doubtful, match="not known whether") as caught:
            send(smtp, PLAIN)
        assert caught.value.hint
        with pytest.raises(ConnectionLost):
            smtp.check()


def test_a_refusal_in_the_middle_of_a_message_is_heard() -> None:
    def script(line: Line) -> None:
        begin(line)
        line.file.read(1000)
        line.say("552 5.3.4 too much")
        line.connection.shutdown(socket.SHUT_WR)
        line.connection.settimeout(0.5)
        with contextlib.suppress(OSError):
            while line.connection.recv(1 << 16):
                pass

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp, pytest.raises(MessageRefused):
        send(smtp, b"x" * 998 + (b"\r\n" + b"y" * 998) * 3000 + b"\r\n")


def test_closing_ends_a_wait() -> None:
    def script(line: Line) -> None:
        begin(line)
        line.text()
        smtp.close()
        line.hear()

    with scripted(script) as (endpoint, _heard):
        smtp = SmtpSession(endpoint, "", HASTE)
        with pytest.raises(Doubtful):
            send(smtp, PLAIN)


@pytest.mark.parametrize("answer", ["354 go on", "334 more"])
def test_an_answer_to_a_whole_message_that_does_not_fit_is_doubt(answer: str) -> None:
    def script(line: Line) -> None:
        begin(line)
        assert line.text() == PLAIN
        line.say(answer)
        assert line.hear() == b""

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp, pytest.raises(Doubtful, match=answer):
        send(smtp, PLAIN)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("250 2.0.0 kept", ProtocolViolation),
        ("554 5.7.1 no", MessageRefused),
        ("451 4.3.0 later", Throttled),
        ("rubbish", ProtocolViolation),
    ],
)
def test_an_answer_before_the_end_of_a_message_is_not_taken_for_that_to_the_whole(
    answer: str, kind: type[SourceError]
) -> None:
    def script(line: Line) -> None:
        line.greet("PIPELINING", "SIZE")
        for _ in range(3):
            line.hear()
        line.say("250 ok", "250 ok", "354 go on", answer)
        assert line.text() == b""

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        with pytest.raises(kind) as caught:
            send(smtp, PLAIN)
        assert type(caught.value) is kind


def test_an_answer_too_many_is_not_taken_for_that_to_the_next_command() -> None:
    def script(line: Line) -> None:
        begin(line)
        line.text()
        line.say("250 kept", "250 and again")
        assert line.hear() == b""

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        assert send(smtp, PLAIN) == "250 kept"
        with pytest.raises(ProtocolViolation, match="not asked for: 250 and again"):
            send(smtp, PLAIN)


def test_a_server_that_hangs_up_unasked_is_heard() -> None:
    def script(line: Line) -> None:
        begin(line)
        line.text()
        line.say("250 kept", "421 4.3.2 shutting down")
        for _ in range(3):
            line.hear()

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        send(smtp, PLAIN)
        with pytest.raises(ConnectionLost, match="shutting down"):
            send(smtp, PLAIN)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("\x1b[2J\x07\x00\r\x9b", r"\x1b[2J\x07\x00\r\x9b"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("x" * 7000, "x" * 100),
    ],
)
def test_words_of_a_refusal_are_fit_to_be_shown(words: str, shown: str) -> None:
    def script(line: Line) -> None:
        begin(line)
        line.text()
        line.say(f"554-5.7.1 {words}end", "554 5.7.1 end")
        line.hear()
        line.say("221 bye")

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        with pytest.raises(MessageRefused) as caught:
            send(smtp, PLAIN)
        assert shown in str(caught.value)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("size", ["9" * 5000, "٣", "-1", "0", "1e3", ""])
def test_a_size_that_is_no_limit_is_none(size: str) -> None:
    def script(line: Line) -> None:
        line.greet(f"SIZE {size}", "PIPELINING")
        for _ in range(3):
            line.hear()
        line.say("250 ok", "250 ok", "354 go on")
        line.text()
        line.say("250 kept")
        line.hear()

    with scripted(script) as (endpoint, _heard), session(endpoint) as smtp:
        assert send(smtp, PLAIN) == "250 kept"


def test_a_line_without_end_is_noticed_before_it_fills_the_memory() -> None:
    def script(line: Line) -> None:
        line.say("220 ready")
        line.hear()
        with contextlib.suppress(OSError):
            line.say("250-" + "x" * (1 << 20))
            line.hear()

    with scripted(script) as (endpoint, _heard), pytest.raises(ProtocolViolation, match="line of more than 8192"):
        SmtpSession(endpoint, "", HASTE)


# -- greeting and log-in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        ("554 5.7.1 no service for you", TargetRefused),
        ("421 4.3.2 not now", TurnedAway),
        ("450 too many connections", TooManyConnections),
        ("+OK POP3 ready", ProtocolViolation),
        ("* OK IMAP4rev1", ProtocolViolation),
        ("250 ok", ProtocolViolation),
    ],
)
def test_another_greeting_is_an_error_in_words(greeting: str, kind: type[SourceError]) -> None:
    with scripted(lambda line: line.say(greeting)) as (endpoint, _heard), pytest.raises(kind) as caught:
        SmtpSession(endpoint, "", HASTE)
    assert type(caught.value) is kind
    assert str(endpoint.port) in str(caught.value)


def test_a_server_that_says_nothing_hangs_up_or_does_not_end_is_noticed() -> None:
    def silent(line: Line) -> None:
        line.hear()

    with scripted(silent) as (endpoint, _heard), pytest.raises(Stalled):
        SmtpSession(endpoint, "", Timeouts(0.3, 0.3))
    with scripted(lambda _line: None) as (endpoint, _heard), pytest.raises(ConnectionLost):
        SmtpSession(endpoint, "", HASTE)

    def endless(line: Line) -> None:
        with contextlib.suppress(OSError):
            while True:
                line.say(*["220-x"] * 1000)

    with scripted(endless) as (endpoint, _heard), pytest.raises(ProtocolViolation, match="does not stop"):
        SmtpSession(endpoint, "", HASTE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceUnreachable, match=rf"127\.0\.0\.1:{port} cannot be reached"):
        SmtpSession(Endpoint("smtp", "", "127.0.0.1", port, "plain"), "", HASTE)


def test_a_server_of_old_is_greeted_in_the_old_way() -> None:
    def script(line: Line) -> None:
        line.say("220 old")
        line.hear()
        line.say("502 what?")
        line.hear()
        line.say("250 hello")
        for answer in ("250 ok", "250 ok", "354 go on"):
            line.hear()
            line.say(answer)
        assert line.text() == PLAIN
        line.say("250 kept")
        line.hear()

    with scripted(script) as (endpoint, heard), session(endpoint) as smtp:
        send(smtp, PLAIN)
    assert heard[:4] == [b"EHLO [127.0.0.1]", b"HELO [127.0.0.1]", f"MAIL FROM:<{FROM}>".encode(), heard[3]]


def test_lmtp_is_greeted_by_its_own_word() -> None:
    def script(line: Line) -> None:
        line.say("220 ready")
        line.hear()
        line.say("500 what?")

    with scripted(script, "lmtp") as (endpoint, heard), pytest.raises(ProtocolViolation, match="does not speak LMTP"):
        SmtpSession(endpoint, "", HASTE)
    assert heard == [b"LHLO [127.0.0.1]"]


@pytest.mark.parametrize(("excluded", "mechanism"), [((), "PLAIN"), (("PLAIN",), "LOGIN")])
def test_who_is_named_logs_in(excluded: tuple[str, ...], mechanism: str) -> None:
    with SmtpServer(auth_exclude_mechanism=excluded, auth_required=True) as server:
        with session(endpoint_of(server, user="me")) as smtp:
            send(smtp, PLAIN)
        assert server.logins == [(mechanism, b"me", SECRET.encode())]
        assert len(server.taken) == 1
        with pytest.raises(AuthenticationFailed, match="refused to log me in: 535") as caught:
            SmtpSession(endpoint_of(server, user="me"), WRONG, HASTE)
        assert WRONG not in "".join(traceback.format_exception(caught.value))
        with session(endpoint_of(server)) as smtp, pytest.raises(AuthenticationFailed):
            send(smtp, PLAIN)


def test_a_long_password_goes_in_a_line_of_its_own(server: SmtpServer) -> None:
    with pytest.raises(AuthenticationFailed):
        SmtpSession(endpoint_of(server, user="me"), "p" * 400, HASTE)
    assert server.logins == [("PLAIN", b"me", b"p" * 400)]


@pytest.mark.parametrize("password", ["a\r\nQUIT", "a\0b"])
def test_a_password_has_no_line_break(server: SmtpServer, password: str) -> None:
    with pytest.raises(AuthenticationFailed, match="line break"):
        SmtpSession(endpoint_of(server, user="me"), password, HASTE)


def tokens(offered: str, *answers: str) -> Callable[[Line], None]:
    def script(line: Line) -> None:
        line.greet(offered)
        for answer in answers:
            line.hear()
            line.say(answer)
        line.hear()

    return script


def as_user(endpoint: Endpoint, auth: Auth) -> Endpoint:
    return Endpoint("smtp", "me", endpoint.host, endpoint.port, "plain", None, auth)


def test_an_access_token_is_sent_as_the_server_takes_it() -> None:
    short, long = "t" * 20, "t" * 900
    with scripted(tokens("AUTH XOAUTH2", "235 ok", "250 test")) as (endpoint, heard):
        SmtpSession(as_user(endpoint, "xoauth2"), short, HASTE).leave()
    assert base64.b64decode(heard[1].split()[2]) == f"user=me\1auth=Bearer {short}\1\1".encode()
    with scripted(tokens("AUTH=XOAUTH2", "334 ", "235 ok", "250 test")) as (endpoint, heard):
        SmtpSession(as_user(endpoint, "xoauth2"), long, HASTE).leave()
    assert heard[1] == b"AUTH XOAUTH2"
    assert base64.b64decode(heard[2]) == f"user=me\1auth=Bearer {long}\1\1".encode()


@pytest.mark.parametrize("token", ["old", "old" * 300])
def test_a_token_that_is_refused_is_answered_with_nothing_and_a_hint(token: str) -> None:
    answers = ["334 eyJzdGF0dXMiOiI0MDAifQ==", "535 5.7.8 no"]
    if len(token) > 10:
        answers.insert(0, "334 ")
    with scripted(tokens("AUTH XOAUTH2", *answers)) as (endpoint, heard):
        with pytest.raises(AuthenticationFailed, match=r"535 5\.7\.8 no") as caught:
            SmtpSession(as_user(endpoint, "xoauth2"), token, HASTE)
        assert "access token" in caught.value.hint
    assert heard[len(answers)] == b""


@pytest.mark.parametrize(
    ("offered", "auth", "hint"),
    [
        ("AUTH XOAUTH2", "password", "--auth xoauth2"),
        ("AUTH PLAIN", "xoauth2", "leave out"),
        ("SIZE", "password", "URL"),
    ],
)
def test_without_a_way_in_there_is_a_hint(offered: str, auth: Auth, hint: str) -> None:
    with scripted(tokens(offered)) as (endpoint, _heard):
        with pytest.raises(AuthenticationFailed) as caught:
            SmtpSession(as_user(endpoint, auth), SECRET, HASTE)
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("454 4.7.0 later", TurnedAway),
        ("421 4.7.0 later", TurnedAway),
        ("534 5.7.9 password of an application", AuthenticationFailed),
        ("500 unknown", AuthenticationFailed),
    ],
)
def test_a_log_in_that_is_refused_for_now_is_told_from_a_wrong_password(answer: str, kind: type[SourceError]) -> None:
    with scripted(tokens("AUTH PLAIN", answer)) as (endpoint, _heard):
        with pytest.raises(kind, match=answer) as caught:
            SmtpSession(as_user(endpoint, "password"), SECRET, HASTE)
        assert type(caught.value) is kind


def test_a_server_that_repeats_the_password_is_not_repeated() -> None:
    def script(line: Line) -> None:
        line.greet("AUTH PLAIN")
        line.say(f"500 unknown: {line.hear().decode()} {SECRET}")

    with scripted(script) as (endpoint, heard), pytest.raises(AuthenticationFailed) as caught:
        SmtpSession(as_user(endpoint, "password"), SECRET, HASTE)
    said = "".join(traceback.format_exception(caught.value))
    assert SECRET not in said
    assert heard[1].split()[2].decode() not in said


@pytest.mark.parametrize("offered", ["AUTH PLAIN", "AUTH LOGIN"])
def test_a_server_that_only_repeats_what_it_hears_is_not_repeated(offered: str) -> None:
    def script(line: Line) -> None:
        line.greet(offered)
        while words := line.hear().decode():
            line.say("334 " if words == "AUTH LOGIN" or words == base64.b64encode(b"me").decode() else words)

    with scripted(script) as (endpoint, heard), pytest.raises(ProtocolViolation, match="no SMTP reply") as caught:
        SmtpSession(as_user(endpoint, "password"), SECRET, HASTE)
    said = "".join(traceback.format_exception(caught.value))
    assert heard[-2].split()[-1].decode() not in said
    assert SECRET not in said


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_messages_go_under_tls(security: Security, certificate: Certificate) -> None:
    context = certificate.server_context()
    with SmtpServer(context=context, tls=security == "tls", require_starttls=security == "starttls") as server:
        endpoint = endpoint_of(server, user="me", security=security, ca_file=certificate.ca)
        with session(endpoint) as smtp:
            send(smtp, PLAIN)
        assert [taken.octets for taken in server.taken] == [PLAIN]
        with pytest.raises(TlsFailed, match="cannot be trusted"):
            SmtpSession(endpoint_of(server, user="me", security=security), SECRET, HASTE)
        assert len(server.logins) == 1


@pytest.mark.parametrize("extensions", [(), ("STARTTLS",)])
def test_without_tls_nothing_is_said_about_who_we_are(extensions: tuple[str, ...]) -> None:
    def script(line: Line) -> None:
        line.greet("AUTH PLAIN", *extensions)
        if line.hear() == b"STARTTLS":
            line.say("454 4.7.0 not available")
            line.hear()

    with scripted(script) as (plain, heard):
        endpoint = Endpoint("smtp", "me", plain.host, plain.port, "starttls")
        with pytest.raises(TlsFailed, match="STARTTLS") as caught:
            SmtpSession(endpoint, SECRET, HASTE)
        assert "smtps:// (port 465)" in caught.value.hint
    assert not any(line.startswith(b"AUTH") for line in heard)


def test_what_comes_before_tls_is_not_taken_for_what_comes_under_it() -> None:
    def script(line: Line) -> None:
        line.greet("STARTTLS")
        line.hear()
        line.say("220 begin", "250 injected")
        line.hear()

    with scripted(script) as (plain, _heard):
        endpoint = Endpoint("smtp", "me", plain.host, plain.port, "starttls")
        with pytest.raises(ProtocolViolation, match="before TLS"):
            SmtpSession(endpoint, SECRET, HASTE)


def test_what_is_offered_before_tls_only_is_not_offered(certificate: Certificate) -> None:
    under_tls: list[bytes] = []

    def script(line: Line) -> None:
        line.greet("STARTTLS", "AUTH PLAIN", "SIZE")
        assert line.hear() == b"STARTTLS"
        line.say("220 begin")
        with certificate.server_context().wrap_socket(line.connection, server_side=True) as secured:
            inner = Line(secured)
            under_tls.append(inner.hear())
            inner.say("250 test")
            under_tls.append(inner.hear())

    with scripted(script) as (plain, _heard):
        endpoint = Endpoint("smtp", "me", plain.host, plain.port, "starttls", certificate.ca)
        with pytest.raises(AuthenticationFailed, match="accepts no password"):
            SmtpSession(endpoint, SECRET, HASTE)
    assert under_tls == [b"EHLO [127.0.0.1]", b""]


# -- the target --------------------------------------------------------------------------------------------------------


def test_a_target_sends_what_stands_before_a_message_too(server: SmtpServer) -> None:
    target = SmtpTarget(endpoint_of(server), TO, timeouts=HASTE)
    assert target.send(len(PLAIN), lambda: [PLAIN], b"Resent-To: <x@y>\r\n") == "250 2.0.0 kept as 17"
    target.leave()
    target.close()
    assert server.taken[0][:3] == (TO, (TO,), b"Resent-To: <x@y>\r\n" + PLAIN)


@pytest.mark.parametrize(
    ("url", "name", "sender"),
    [
        ("smtps://me@Smtp.example.org", f"smtp:{TO} via smtp.example.org", TO),
        ("smtp://me@example.org@smtp.example.org:25", f"smtp:{TO} via smtp.example.org", "me@example.org"),
        ("smtp://[::1]:2525", f"smtp:{TO} via [::1]:2525", TO),
        ("lmtp://localhost", f"lmtp:{TO} via localhost", TO),
        ("lmtp:///run/lmtp", f"lmtp:{TO} via /run/lmtp", TO),
    ],
)
def test_an_account_is_named_by_the_address_and_the_way_there(url: str, name: str, sender: str) -> None:
    endpoint = parse_target_url(url)
    account = account_of(endpoint, TO)
    assert account.name == name
    assert "me:" not in account.url
    assert sender_of(endpoint, TO) == sender
