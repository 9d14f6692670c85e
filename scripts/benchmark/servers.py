"""Dovecots with mail, made when first wanted and kept for all subjects, and proxies before them."""

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, cast

from mailarchive.loopback.corpus import Mail, realistic, small
from scripts.benchmark.measuring import PROCESSES
from tests.servers.dovecot import Dovecot

INBOX = "INBOX"
_MORE_SEED = 77


@dataclass
class Load:
    """A server and the mail in it. ``messages`` and ``octets`` follow ``add``."""

    name: str
    server: Dovecot
    messages: int = 0
    octets: int = 0

    def add(self, mails: Iterable[Mail]) -> None:
        """Append messages."""
        kept = list(mails)
        self.octets += self.server.load_all(kept)
        self.messages += len(kept)

    def fill(self, mails: Iterable[Mail]) -> None:
        """Append many messages without keeping them in memory."""

        def counted() -> Iterator[Mail]:
            for mail in mails:
                self.messages += 1
                yield mail

        self.octets += self.server.load_all(counted())

    @contextmanager
    def recording(self) -> Iterator[list[str]]:
        """Let the server record what clients say after their log-in; the list is filled at the end of the context.

        Recording is slow: nothing is measured meanwhile.
        """
        said: list[str] = []
        with _renamed(self._rawlog.with_name("no-rawlog"), self._rawlog):
            for path in self._rawlog.iterdir():
                path.unlink()
            yield said
            said += self.server.commands()

    def stop_recording(self) -> None:
        """Let the server record nothing, as it does when there is no folder for that."""
        self._rawlog.rename(self._rawlog.with_name("no-rawlog"))

    @property
    def _rawlog(self) -> Path:
        return self.server.mail.parent / "rawlog"

    def store_flags(self, uids: str, *, add: bool) -> None:
        """Add or remove \\Flagged at messages of the INBOX."""
        client = self.server.login()
        client.select(INBOX)
        answer = client.uid("STORE", uids, "+FLAGS.SILENT" if add else "-FLAGS.SILENT", "(\\Flagged)")
        if answer[0] != "OK":
            raise RuntimeError(f"STORE was answered {answer!r}")
        client.logout()


@dataclass(frozen=True)
class Traffic:
    """What went through a proxy: octets of the server and of the clients, and the clients' lines."""

    sent: int
    received: int
    lines: list[str] = field(default_factory=list)


class Proxy:
    """A port that leads to a server over a distance; the distance may change, the port stays.

    So a program's account, which a port may be part of, is the same at any distance.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self.port = 0
        self.traffic = Traffic(0, 0)
        with self.running():
            pass

    @contextmanager
    def running(self, round_trip: float = 0.0, hide: str = "") -> Iterator["Proxy"]:
        """Run while the context lasts; ``traffic`` is known afterwards. Seconds; a line to hide from clients."""
        options = [f"--round-trip={round_trip}", f"--hide={hide}"]
        command = [sys.executable, "-I", "-S", str(PROCESSES / "delay_proxy.py"), str(self.port), str(self._to)]
        with subprocess.Popen(
            [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            asked, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            _, port = answers.readline().split()
            self.port = int(port)
            try:
                yield self
            finally:
                asked.close()
                self.traffic = Traffic(**json.loads(answers.read()))


class Servers:
    """Makes each load once; ``say`` hears of it. Scaled counts are the caller's business."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._loads: dict[str, Load] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        """Stop all."""
        self._stack.close()

    def small(self, count: int) -> Load:
        """Return ``count`` small messages in six mailboxes, one in six of them a copy."""
        return self._made(f"{count:,} small", lambda: small(count))

    def realistic(self, count: int) -> Load:
        """Return ``count`` messages with sizes like real mail in six mailboxes, one in six of them a copy."""
        return self._made(f"{count:,} realistic", lambda: realistic(count))

    def inbox(self, count: int) -> Load:
        """Return ``count`` small messages in one mailbox, no two alike; POP3 shows them too."""
        return self._made(f"{count:,} small in one mailbox", lambda: in_inbox(count))

    def many(self, count: int, mailboxes: int) -> Load:
        """Return ``count`` small messages in ``mailboxes`` mailboxes."""

        def spread() -> Iterator[Mail]:
            for number, mail in enumerate(in_inbox(count)):
                place = number % mailboxes
                yield replace(mail, mailbox=f"Folder {place // 25}/{place:04}" if place else INBOX)

        return self._made(f"{count:,} small in {mailboxes} mailboxes", spread)

    def with_large(self, count: int, size: int) -> Load:
        """Return ``count`` small messages and one of ``size`` octets that do not compress."""
        large = b"From: a@example.org\r\nSubject: large\r\n\r\n" + _lines(size)
        return self._made(
            f"{count:,} small and one of {size / 1e6:.0f} MB", lambda: [*in_inbox(count), Mail(INBOX, large)]
        )

    def _made(self, name: str, mails: Callable[[], Iterable[Mail]]) -> Load:
        if name not in self._loads:
            self._say(f"loading {name}")
            load = Load(name, self._stack.enter_context(Dovecot(pop3=True, rawlog=True)))
            load.stop_recording()
            load.fill(mails())
            self._loads[name] = load
        return self._loads[name]


@contextmanager
def _renamed(path: Path, name: Path) -> Iterator[None]:
    path.rename(name)
    try:
        yield
    finally:
        name.rename(path)


def in_inbox(count: int, seed: int = 1) -> Iterator[Mail]:
    """Yield small messages, no two alike, all for the INBOX."""
    seen: set[int] = set()
    for mail in small(count * 5 // 4 + 20, seed):
        if hash(mail.octets) not in seen:
            seen.add(hash(mail.octets))
            yield replace(mail, mailbox=INBOX)
        if len(seen) == count:
            return


def more(count: int, nth: int) -> Iterator[Mail]:
    """Yield new small messages for the INBOX, others for each ``nth``."""
    return in_inbox(count, _MORE_SEED + nth)


def _lines(size: int) -> bytes:
    """Return about ``size`` octets of base64 in lines of 76."""
    text = base64.b64encode(random.Random(1).randbytes(size * 57 // 78))
    return b"\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + b"\r\n"
