"""Servers that take mail: aiosmtpd on the loopback interface, and one that follows a script for what that cannot do."""

import asyncio
import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mailarchive.config import Endpoint, Protocol

SECRET = "h0rse-battery"
HANG_UP = "hang up"
"""As an answer to DATA: the message is kept, and the connection ends without a word."""


class Taken(NamedTuple):
    """A message as the server got it."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes
    options: tuple[str, ...]


class SmtpServer:
    """Runs aiosmtpd while the context lasts, in a thread of its own; user ``me``, password ``SECRET``.

    ``answers`` has by hook (EHLO, MAIL, RCPT, DATA) what is answered (DATA: or HANG_UP), each once; after that all is
    taken.
    ``options`` go to aiosmtpd. With ``context`` and ``tls`` connections are under TLS from the beginning.
    """

    def __init__(self, *, context: ssl.SSLContext | None = None, tls: bool = False, **options: Any) -> None:
        self.taken: list[Taken] = []
        self.answers: dict[str, list[str]] = {}
        self.logins: list[tuple[str, bytes, bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._loop = asyncio.new_event_loop()
        self._tls = context if tls else None
        self._options: dict[str, Any] = {
            "tls_context": None if tls else context,
            "authenticator": self._authenticate,
            "enable_SMTPUTF8": True,
            "auth_require_tls": context is not None and not tls,
            **options,
        }
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._is_ready = threading.Event()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Smtp(self, **self._options), sock=self._listener, ssl=self._tls)
        )
        self._loop.call_soon(self._is_ready.set)
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(_end_others())

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((mechanism, data.login, data.password))
        return AuthResult(success=(data.login, data.password) == (b"me", SECRET.encode()), handled=False)

    # What aiosmtpd asks its handler (hence the names).

    def answer(self, hook: str) -> str | None:
        """Return what was prepared for a hook, if anything."""
        prepared = self.answers.get(hook)
        return prepared.pop(0) if prepared else None

    async def handle_MAIL(  # noqa: N802 - a hook
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if said := self.answer("MAIL"):
            return said
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - a hook
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if said := self.answer("RCPT"):
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - a hook
        said = self.answer("DATA")
        if said and said != HANG_UP:
            return said
        assert envelope.original_content is not None
        self.taken.append(
            Taken(
                (envelope.mail_from or "").removeprefix("<>"),
                tuple(envelope.rcpt_tos),
                envelope.original_content,
                tuple(envelope.mail_options),
            )
        )
        if said and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        return "250 2.0.0 kept as 17"


class TokenSmtpServer(SmtpServer):
    """Takes access tokens by OAUTHBEARER (RFC 7628) that ``is_good`` finds to be the user's."""

    def __init__(self, is_good: Callable[[str, str], bool], **options: Any) -> None:
        super().__init__(auth_exclude_mechanism=("PLAIN", "LOGIN"), **options)
        self._is_good = is_good

    async def auth_OAUTHBEARER(self, server: SMTP, arguments: list[str]) -> AuthResult:  # noqa: N802 - a hook
        response = base64.b64decode(arguments[1]) if len(arguments) > 1 else await server.challenge_auth("")
        assert isinstance(response, bytes)
        header, *pairs = response.decode().split("\1")
        token = dict(pair.split("=", 1) for pair in pairs if pair)["auth"].removeprefix("Bearer ")
        return AuthResult(success=self._is_good(header.split(",")[1].removeprefix("a="), token), handled=False)


async def _end_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Smtp(SMTP):
    line_length_limit = 1 << 20

    def __init__(self, server: SmtpServer, **options: Any) -> None:
        super().__init__(server, **options)


Script = Callable[["Line"], None]


class Line:
    """The server's end of a connection: lines in and out."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rb")
        self.got: list[bytes] = []

    def say(self, *lines: str) -> None:
        self.connection.sendall("".join(line + "\r\n" for line in lines).encode())

    def hear(self) -> bytes:
        line = self.file.readline().removesuffix(b"\r\n")
        self.got.append(line)
        return line

    def greet(self, *extensions: str) -> None:
        """Go as far as the answer to EHLO or LHLO."""
        self.say("220 ready")
        self.hear()
        lines = ["test", *extensions]
        self.say(*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}")

    def text(self) -> bytes:
        """Return what comes up to the line with a dot, as it comes."""
        lines: list[bytes] = []
        while (line := self.file.readline()) not in {b".\r\n", b""}:
            lines.append(line)
        return b"".join(lines)


@contextlib.contextmanager
def scripted(script: Script, protocol: Protocol = "smtp") -> Iterator[tuple[Endpoint, list[bytes]]]:
    """Let ``script`` speak to who connects; yield where, and the lines that it hears. Its errors are the test's."""
    heard: list[bytes] = []
    failures: list[BaseException] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _peer = listener.accept()
            with connection:
                line = Line(connection)
                line.got = heard
                try:
                    script(line)
                except BaseException as error:  # noqa: BLE001 - raised in the test below
                    failures.append(error)
                line.file.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Endpoint(protocol, "", "127.0.0.1", listener.getsockname()[1], "plain"), heard
        thread.join(10)
    if failures:
        raise failures[0]
