"""Whatever happens to a maildrop and on the way: the archive has its mail, and no message comes twice."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mailarchive.archive.archive import open_for_reading
from mailarchive.errors import ArchiveMissing
from tests.fault.archives import Journal, ignore_text, no_damage
from tests.fault.deaths import server as processes
from tests.fault.scripts import KILLED, pull_maildrop
from tests.integration.maildrops import Maildrop
from tests.property.machine import ArchiveMachine, picks
from tests.servers.scripted_pop3 import Hangup, Pop3Server

Uidl = Literal["good", "none", "blank", "duplicate"]
lines = st.lists(st.sampled_from([b".", b"..", b".x", b"From me", b"", b"text \xff", b"\0"]), max_size=6)


class Pace:
    """Lets the next message be sent when the one before is in the journal; kills the process before one of them."""

    def __init__(self, root: Path, server: Pop3Server) -> None:
        self.killed = threading.Event()
        self._root = root
        self._server = server
        self._before = Counter(server.retrieved)
        self._left = -1
        self._kill: Callable[[], None] = lambda: None

    def arm(self, last: int, kill: Callable[[], None]) -> None:
        """Call ``kill`` before message number ``last``."""
        self._left = last
        self._kill = kill

    def __call__(self, _count: int) -> None:
        sent = Counter(self._server.retrieved) - self._before
        self._before = Counter(self._server.retrieved)
        for octets in sent:
            while not self.killed.is_set() and not self._is_recorded(octets):
                self.killed.wait(0.001)
        self._left -= 1
        if self._left == 0:
            self._kill()
            self.killed.set()
        if self.killed.is_set():
            raise Hangup

    def _is_recorded(self, octets: bytes) -> bool:
        try:
            return hashlib.sha256(octets).hexdigest() in Journal.of(self._root).digests()
        except (FileNotFoundError, ArchiveMissing):
            return False


class MaildropMachine(ArchiveMachine):
    """A maildrop that changes, and an archive that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Pop3Server()
        self.server.__enter__()
        self.maildrop = Maildrop(self.server, self.root)
        self.number = 0
        self.delivered: Counter[bytes] = Counter()
        self.damaged: Counter[bytes] = Counter()

    def teardown(self) -> None:
        self.server.__exit__(None, None, None)
        super().teardown()

    # -- the maildrop changes --------------------------------------------------------------------------------------

    @rule(texts=st.lists(lines, min_size=1, max_size=5), copies=st.sampled_from([1, 1, 1, 2]))
    def deliver(self, texts: list[list[bytes]], copies: int) -> None:
        for text in texts:
            self.number += 1
            octets = b"Subject: %d\r\n\r\n" % self.number + b"".join(line + b"\r\n" for line in text)
            for _ in range(copies):
                self.server.deliver(octets)
                self.delivered[octets] += 1

    @rule(number=picks)
    def remove(self, number: int) -> None:
        if letters := self.server.letters:
            del letters[number % len(letters)]

    @rule()
    def renumber(self) -> None:
        self.server.renumber()

    @rule(uidl=st.sampled_from(("good", "none", "blank", "duplicate")))
    def name(self, uidl: Uidl) -> None:
        self.server.uidl = uidl

    @rule(pipelining=st.booleans())
    def offer(self, pipelining: bool) -> None:
        self.server.capabilities = ("TOP", "UIDL", "USER", *(["PIPELINING"] if pipelining else []))

    # -- the archive follows ---------------------------------------------------------------------------------------

    @rule(refused=st.sets(st.integers(0, 5), max_size=2), cut=st.none() | st.integers(0, 5))
    def pull(self, refused: set[int], cut: int | None) -> None:
        there = [letter.octets for letter in self.server.letters]
        self.server.refused = dict.fromkeys(refused, b"-ERR internal error")
        self.server.cuts = {} if cut is None else {cut: 1}
        report = self.maildrop.pull()
        assert report.accounts[0].error == ""
        kept, wanted = Counter(self.maildrop.kept()), Counter(there)
        assert not kept - wanted
        missing = wanted - kept
        assert all(there.index(octets) in refused or there.count(octets) > 1 for octets in missing)
        assert (report.status == "complete") == (not missing)
        self.settle()
        if not missing:
            before = self.server.counts["RETR"]
            assert self.maildrop.pull().status == "complete"
            assert self.server.counts["RETR"] == before

    @rule(last=st.integers(1, 4))
    def kill(self, last: int) -> None:
        self.server.refused, self.server.cuts = {}, {}
        before = Counter(self.server.retrieved)
        pace = Pace(self.root, self.server)
        process = processes().Process(target=pull_maildrop, args=(self.server.port, self.root))
        pace.arm(last, process.kill)
        self.server.before_retr = pace
        process.start()
        process.join(60)
        pace.killed.set()
        self.server.before_retr = lambda _count: None
        assert process.exitcode in {0, KILLED}
        process.close()
        while not self.server.lock(self):  # until the server has noticed
            threading.Event().wait(0.001)
        self.server.unlock(self)
        if (self.root / "archive.toml").exists():
            no_damage(self.root)
            have = Journal.of(self.root).digests()
        else:
            have = set()
        flying = [octets for octets in self.server.retrieved - before if hashlib.sha256(octets).hexdigest() not in have]
        assert len(flying) <= 1
        self.damaged.update(flying)

    def settle(self) -> None:
        """Nothing was lost, and no message came twice but those that nothing but their order tells apart."""
        self.kept()
        for octets, times in self.server.retrieved.items():
            assert self.delivered[octets] > 1 or times <= 1 + self.damaged[octets]
        with open_for_reading(self.root, ignore_text) as archive:
            assert archive.catalog.totals().lost == 0


MaildropMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=16,
    database=None,
    phases=[Phase.generate],  # making a failure small would take longer than a test may
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestMaildropMachine = pytest.mark.no_cover(MaildropMachine.TestCase)
