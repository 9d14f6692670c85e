"""Pulls from a Dovecot that offers COMPRESS=DEFLATE, over a slow network and over a fast one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mailarchive.clock import Stop, SystemClock
from mailarchive.config import Compress, Endpoint, account_of
from mailarchive.loopback import corpus
from mailarchive.ops.options import PullAccount, PullOptions
from mailarchive.ops.pull import pull
from mailarchive.ops.report import PullReport
from mailarchive.remote import compression
from mailarchive.sources.registry import connect
from tests.fault.archives import adds_up, held, no_damage
from tests.servers.dovecot import Dovecot
from tests.servers.slow_line import SlowLine
from tests.servers.still_clock import StillClock

ZLIB = "protocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n"
COMMAND = "COMPRESS DEFLATE"
COUNT = 1500
RATE = 2e6

Start = Callable[..., Dovecot]


class Pulling:
    """A Dovecot with mail, and pulls of it."""

    def __init__(self, server: Dovecot, root: Path, mail: Sequence[corpus.Mail]) -> None:
        self.server = server
        self.root = root
        self.told: list[str] = []
        self.count = len(mail)
        self.octets = server.load_all(mail)

    def pull(self, port: int, compress: Compress, clock: StillClock | SystemClock, connections: int) -> PullReport:
        endpoint = Endpoint("imap", self.server.user, "127.0.0.1", port, "plain", compress=compress)
        factory = connect(endpoint, lambda: self.server.password, clock=clock, stop=Stop(), tell=self.told.append)
        account = PullAccount(account_of(endpoint), factory)
        options = PullOptions(connections=connections)
        report = adds_up(pull(self.root, [account], options, observer=lambda _: None, clock=clock, stop=Stop()))
        assert report.exit_code == 0
        assert len(held(self.root)) == self.count
        no_damage(self.root)
        return report

    def compressed(self) -> int:
        """Return how many connections were asked to be compressed."""
        return self.server.commands().count(COMMAND)


@pytest.fixture
def pulling(start_dovecot: Start, tmp_path: Path) -> Pulling:
    mail = list(corpus.small(COUNT))
    return Pulling(start_dovecot(rawlog=True, extra=ZLIB), tmp_path / "archive", mail)


@pytest.mark.parametrize("connections", [1, 2])
def test_over_a_slow_network_fewer_octets_come_than_there_is_mail(
    pulling: Pulling, monkeypatch: pytest.MonkeyPatch, connections: int
) -> None:
    monkeypatch.setattr(compression, "ENOUGH_OCTETS", 1 << 16)
    monkeypatch.setattr(compression, "ENOUGH_SECONDS", 0.05)
    with SlowLine(pulling.server.port, RATE) as line:
        pulling.pull(line.port, "auto", SystemClock(), connections)
    assert line.octets < 0.8 * pulling.octets
    assert 1 <= pulling.compressed() <= connections
    assert len(pulling.told) == 1
    assert "the network is slow" in pulling.told[0]


def test_where_nothing_is_waited_for_nothing_is_compressed(pulling: Pulling) -> None:
    pulling.pull(pulling.server.port, "auto", StillClock(), 1)
    assert pulling.compressed() == 0
    assert pulling.told == []
    assert pulling.server.octets_sent() > 0.85 * pulling.octets


@pytest.mark.parametrize(("wish", "asked"), [("always", 1), ("never", 0)])
def test_what_the_user_wants_is_done_whatever_the_network(pulling: Pulling, wish: Compress, asked: int) -> None:
    with SlowLine(pulling.server.port, 1e9) as line:
        pulling.pull(line.port, wish, StillClock(), 1)
    assert pulling.compressed() == asked
    assert (line.octets < 0.5 * pulling.octets) == bool(asked)


def test_a_large_message_comes_compressed_in_pieces(start_dovecot: Start, tmp_path: Path) -> None:
    large = b"Subject: large\r\n\r\n" + b"a line of mail, over and over\r\n" * 400_000
    pulling = Pulling(start_dovecot(rawlog=True, extra=ZLIB), tmp_path / "archive", [corpus.Mail("INBOX", large)])
    with SlowLine(pulling.server.port, 1e9) as line:
        pulling.pull(line.port, "always", StillClock(), 1)
    assert list(held(pulling.root).values()) == [large]
    assert line.octets < len(large) / 10
