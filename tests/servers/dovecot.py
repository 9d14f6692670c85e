"""A real Dovecot on the loopback interface: own configuration, own folder, own processes."""

import grp
import imaplib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from mailarchive.loopback.corpus import Mail
from mailarchive.loopback.syntax import date_time
from mailarchive.mail.mailbox_name import encode_name
from tests.servers.certificates import make_certificate
from tests.servers.dovecot_config import CONFIG, INTROSPECTION, LMTP, OAUTH, POP3

INSTALL = "apt-get install -y dovecot-imapd"
INSTALL_LMTP = "apt-get install -y dovecot-lmtpd"
FORMATS = ("sdbox", "maildir", "mdbox")
MARKS = 4
"""So often the log is asked whether it is up to date."""
DEFAULT_DATE = datetime(2024, 1, 1, 12, 0, tzinfo=UTC)
_BATCH_COUNT, _BATCH_OCTETS = 400, 8 << 20


class Ports(NamedTuple):
    """Where the listeners are."""

    imap: int
    imaps: int
    pop3: int
    pop3s: int
    lmtp: int


def missing() -> str | None:
    """Return what to install when there is no Dovecot, else None."""
    return None if _program() else f"Dovecot is not installed: {INSTALL}"


def missing_lmtp() -> str | None:
    """Return what to install when Dovecot has no LMTP, else None."""
    folders = (Path(folder) for folder in ("/usr/lib/dovecot", "/usr/libexec/dovecot", "/usr/local/libexec/dovecot"))
    found = any((folder / "lmtp").exists() for folder in folders)
    return None if found else f"Dovecot's LMTP is not installed: {INSTALL_LMTP}"


def _program() -> str | None:
    return shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")


class Dovecot:
    """Runs while the context lasts; one user, ``user`` with password ``secret``.

    ``mail_format`` is one of FORMATS; ``serving`` a Maildir that is served instead. ``separator`` and ``prefix`` shape
    the namespace. ``rawlog`` records
    every command (and answer) for ``commands()``. ``pop3`` (package dovecot-pop3d) serves POP3 as well, ``lmtp``
    (package dovecot-lmtpd) takes mail for whoever it is for into the INBOX, with a Return-Path before it.
    ``introspection`` is the URL at which access tokens are asked about (RFC 7662), which then let in as well,
    by ``mechanisms``.
    ``extra`` is appended to the configuration.
    """

    user = "user"
    password = "secret"
    host = "127.0.0.1"

    def __init__(
        self,
        *,
        mail_format: str = "sdbox",
        serving: Path | None = None,
        separator: str = "/",
        prefix: str = "",
        rawlog: bool = False,
        pop3: bool = False,
        lmtp: bool = False,
        introspection: str = "",
        mechanisms: str = "oauthbearer xoauth2",
        extra: str = "",
    ) -> None:
        self._format = mail_format
        self._location = (
            f"{mail_format}:~/mail"
            if serving is None
            else "maildir:" + str(serving).replace("%", "%%") + ":INDEX=MEMORY"
        )
        self._namespace = (separator, prefix)
        self._rawlog = rawlog
        self._pop3 = pop3
        self._lmtp = lmtp
        self._introspection, self._mechanisms = introspection, mechanisms
        self._extra = extra
        self._root = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.ports = Ports(*_free_ports(len(Ports._fields)))
        self.certificate = make_certificate(self._root)
        self._config = self._root / "dovecot.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self._delivered = 0

    def __enter__(self) -> Self:
        self._write_config()
        self._process = subprocess.Popen(
            [_program() or "dovecot", "-F", "-c", self._config],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _until(self._answers, lambda: f"Dovecot did not start:\n{self.log()}")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            # All processes at once: the first one alone waits a second for the others.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(30)
        shutil.rmtree(self._root, ignore_errors=True)

    @property
    def port(self) -> int:
        """The port of plain IMAP."""
        return self.ports.imap

    @property
    def ca_file(self) -> Path:
        """The certificate authority that a client has to trust."""
        return self.certificate.ca

    @property
    def mail(self) -> Path:
        """Where the mail is: for maildir the INBOX."""
        return self._root / "home" / "mail"

    @property
    def lmtp_socket(self) -> Path:
        """The UNIX socket of LMTP."""
        return self._root / "run" / "lmtp"

    def log(self) -> str:
        """Return Dovecot's log."""
        path = self._root / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def doveadm(self, *arguments: str) -> str:
        """Run ``doveadm`` (add ``-u user`` where the subcommand wants it) and return what it printed."""
        done = subprocess.run(
            ["doveadm", "-c", str(self._config), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"doveadm {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def login(self) -> imaplib.IMAP4:
        """Return a connection that is logged in."""
        client = imaplib.IMAP4(self.host, self.port, timeout=30)
        client.login(self.user, self.password)
        return client

    def create(self, *mailboxes: str) -> None:
        """Make mailboxes."""
        client = self.login()
        for mailbox in mailboxes:
            _checked(client.create(_quoted(mailbox)))
        client.logout()

    def load(
        self, mailbox: str, octets: bytes, internaldate: datetime = DEFAULT_DATE, flags: Sequence[str] = ()
    ) -> None:
        """Add one message by APPEND; the mailbox is made if need be."""
        self.load_all([Mail(mailbox, octets, internaldate, tuple(flags))])

    def load_all(self, messages: Iterable[Mail]) -> int:
        """Add many messages by MULTIAPPEND, thousands a second, and return their octets."""
        waiting: dict[str, list[Mail]] = {}
        total = 0
        with _Loader(self) as loader:
            for message in messages:
                batch = waiting.setdefault(message.mailbox, [])
                batch.append(message)
                total += len(message.octets)
                if len(batch) >= _BATCH_COUNT or sum(len(one.octets) for one in batch) >= _BATCH_OCTETS:
                    loader.append(message.mailbox, waiting.pop(message.mailbox))
            for mailbox, batch in waiting.items():
                loader.append(mailbox, batch)
        return total

    def deliver(self, mailbox: str, octets: bytes, internaldate: datetime = DEFAULT_DATE, flags: str = "") -> None:
        """Write a file into the Maildir of ``mailbox``, any octets; ``flags`` are Maildir letters such as ``FS``."""
        if self._format != "maildir":
            raise ValueError("Only maildir takes files")
        separator = self._namespace[0]
        folder = self.mail
        if mailbox != "INBOX":
            folder /= "." + encode_name(mailbox).decode().replace(separator, ".")
        self._delivered += 1
        moment = int(internaldate.timestamp())
        path = folder / "cur" / f"{moment}.M{self._delivered}P1.test,S={len(octets)}:2,{flags}"
        path.write_bytes(octets)
        os.utime(path, (moment, moment))
        _own(path)

    def messages(self, mailbox: str) -> dict[int, bytes]:
        """Return what the server sends as each message of a mailbox, by UID."""
        client = self.login()
        _checked(client.select(_quoted(mailbox), readonly=True))
        found: dict[int, bytes] = {}
        for part in _checked(client.uid("FETCH", "1:*", "(UID BODY.PEEK[])")):
            if isinstance(part, tuple) and (uid := re.search(rb"UID (\d+)", part[0])):
                found[int(uid.group(1))] = part[1]
        client.logout()
        return found

    def body_fetches(self) -> int:
        """Return how many message bodies all finished connections fetched, as Dovecot counted them."""
        return sum(int(number) for number in re.findall(r"\bbodies=(\d+)", self._settled_log()))

    def body_octets(self) -> int:
        """Return how many octets of bodies all finished connections fetched, as Dovecot counted them."""
        return sum(int(number) for number in re.findall(r"\boctets=(\d+)", self._settled_log()))

    def header_fetches(self) -> int:
        """Return how many messages' headers all finished connections fetched, as Dovecot counted them."""
        return sum(int(number) for number in re.findall(r"\bheaders=(\d+)", self._settled_log()))

    def octets_sent(self) -> int:
        """Return how many octets Dovecot sent over all finished connections, everything included."""
        return sum(int(number) for number in re.findall(r"\bsent=(\d+)", self._settled_log()))

    def retrieved(self, sessions: int) -> int:
        """Return how many messages were sent over POP3, once as many sessions have ended as are known to be."""
        _until(lambda: len(self._retrievals()) >= sessions, lambda: "A session is still open")
        return sum(self._retrievals())

    def _retrievals(self) -> list[int]:
        return [int(number) for number in re.findall(r"\bretr=(\d+)/", self.log())]

    def logins(self) -> int:
        """Return how many IMAP connections have logged in."""
        return self.log().count("imap-login: Info: Login:") + self.log().count("imap-login: Login:")

    def commands(self) -> list[str]:
        """Return the command lines that clients sent, without tags, a connection after the other (``rawlog``)."""
        self._settled_log()
        lines = []
        for path in sorted((self._root / "home" / "rawlog").glob("*.in"), key=lambda path: path.stat().st_mtime_ns):
            for line in path.read_bytes().decode("latin-1").splitlines():
                stamped = re.match(r"\d+\.\d+ \S+ (.*)", line)
                if stamped:
                    lines.append(stamped.group(1))
        return lines

    def appended(self) -> int:
        """Return how many messages clients have sent, each as a literal behind its date (``rawlog``)."""
        self._settled_log()
        logs = (self._root / "home" / "rawlog").glob("*.in")
        return sum(len(re.findall(rb'" ~?\{\d+\+?\}\r?\n', path.read_bytes())) for path in logs)

    def settle(self) -> None:
        """Wait until every connection that logged in has ended, with all that it had asked for."""
        self._settled_log()

    def _settled_log(self) -> str:
        """Return the log once every connection that logged in has also been counted."""
        self._mark_log()
        _until(lambda: self.log().count("bodies=") >= self.logins(), lambda: "A connection is still open")
        return self.log()

    def _mark_log(self) -> None:
        """Wait until the log has all log-ins up to now: the line about a connection of our own comes after theirs.

        On a machine that is very busy a line can be missing; then another connection is made.
        """
        ports: list[int] = []

        def is_marked() -> bool:
            return any(re.search(rf"rport={port}\b", self.log()) for port in ports)

        for _ in range(MARKS):
            ports.append(self._mark())
            with suppress(RuntimeError):
                return _until(is_marked, lambda: "", seconds=5)
        raise RuntimeError("The log stands still")

    def _mark(self) -> int:
        """Make a connection that the log tells of, and return its port."""
        with socket.create_connection((self.host, self.port), 30) as marker:
            port: int = marker.getsockname()[1]
            stream = marker.makefile("rwb")
            stream.readline()
            stream.write(b"x LOGOUT\r\n")
            stream.flush()
            stream.read()
        return port

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Dovecot ended:\n{self.log()}")
        try:
            self.login().logout()
        except (OSError, imaplib.IMAP4.error):
            return False
        return True

    def _write_config(self) -> None:
        user, group = mail_user()
        separator, prefix = self._namespace
        for name in ("run", "state", "home", "home/mail", *(["home/rawlog"] if self._rawlog else [])):
            (self._root / name).mkdir()
        self._config.write_text(
            CONFIG.format(
                root=self._root,
                location=self._location,
                user=user,
                group=group,
                password=self.password,
                separator=separator,
                prefix=prefix,
                certificate=self.certificate.certificate,
                key=self.certificate.key,
                rawlog="rawlog_dir = %h/rawlog" if self._rawlog else "",
                protocols=" ".join(["imap", *(["pop3"] if self._pop3 else []), *(["lmtp"] if self._lmtp else [])]),
                extra=self._extra
                + (OAUTH.format(root=self._root, mechanisms=self._mechanisms) if self._introspection else "")
                + (POP3.format(**self.ports._asdict()) if self._pop3 else "")
                + (LMTP.format(**self.ports._asdict()) if self._lmtp else ""),
                imap=self.ports.imap,
                imaps=self.ports.imaps,
            )
        )
        (self._root / "oauth2.conf").write_text(INTROSPECTION.format(url=self._introspection))
        self._root.chmod(0o755)
        for path in self._root.rglob("*"):
            _own(path)


class _Loader:
    """A raw client that appends in bulk with non-synchronizing literals (RFC 7888)."""

    def __init__(self, server: Dovecot) -> None:
        self._socket = socket.create_connection((server.host, server.port), 60)
        self._stream = self._socket.makefile("rwb", buffering=1 << 20)
        self._made = {"INBOX"}
        self._stream.readline()
        self._command(b"LOGIN %b %b" % (server.user.encode(), server.password.encode()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._command(b"LOGOUT")
        self._stream.close()
        self._socket.close()

    def append(self, mailbox: str, messages: Sequence[Mail]) -> None:
        name = _quoted(mailbox).encode()
        if mailbox not in self._made:
            self._command(b"CREATE " + name, may_fail=True)
            self._made.add(mailbox)
        pieces = [b"APPEND " + name]
        for message in messages:
            flags, date = " ".join(message.flags), date_time(message.internaldate)
            pieces += [f' ({flags}) "{date}" {{{len(message.octets)}+}}\r\n'.encode(), message.octets]
        self._command(*pieces)

    def _command(self, *pieces: bytes, may_fail: bool = False) -> None:
        self._stream.writelines([b"x ", *pieces, b"\r\n"])
        self._stream.flush()
        answer = next((line for line in self._stream if line.startswith(b"x ")), b"(connection lost)")
        if not (answer.startswith(b"x OK") or may_fail):
            raise RuntimeError(f"Dovecot answered {answer!r}")


def _checked(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    if answer[0] != "OK":
        raise RuntimeError(f"Dovecot answered {answer!r}")
    return answer[1]


def _quoted(mailbox: str) -> str:
    name = encode_name(mailbox).decode().replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}"'


def _free_ports(count: int) -> list[int]:
    with_sockets = [socket.socket() for _ in range(count)]
    for listener in with_sockets:
        listener.bind(("127.0.0.1", 0))
    ports = [int(listener.getsockname()[1]) for listener in with_sockets]
    for listener in with_sockets:
        listener.close()
    return ports


def mail_user() -> tuple[str, str]:
    """Return who owns the mail: ourselves, or nobody when we are root (Dovecot refuses to serve root's mail)."""
    entry = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    return entry.pw_name, grp.getgrgid(entry.pw_gid).gr_name


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        entry = pwd.getpwnam("nobody")
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _until(condition: Callable[[], bool], complaint: Callable[[], str], seconds: float = 20) -> None:
    """Wait until ``condition`` holds. Raises RuntimeError with ``complaint`` when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(complaint())
        time.sleep(0.02)  # noqa: TID251 - another process's pace, not ours
