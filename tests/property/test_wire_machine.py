"""Whatever happens at a server and on the way: the archive is what the account is, and no body is sent twice."""

import hashlib
import threading
from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mailarchive.clock import Stop
from mailarchive.loopback.account import CAPABILITIES, LoopbackAccount, LoopbackMessage
from mailarchive.loopback.faults import Fault, FetchAnswer, Refused
from mailarchive.loopback.server import LoopbackServer
from mailarchive.loopback.wire import Hangup, Wire
from mailarchive.mail.digest import header_section
from mailarchive.model import MailboxName
from mailarchive.ops.events import ignore
from mailarchive.ops.pull import PullOptions, pull
from mailarchive.ops.report import PullReport
from tests.fault.archives import Held, Journal, adds_up, held, no_damage
from tests.fault.deaths import server as processes
from tests.fault.pacing import OneAtATime
from tests.fault.scripts import KILLED, pull_at
from tests.integration.sites import account_at
from tests.property.account_life import Change, Life, changes
from tests.property.machine import ArchiveMachine, picks
from tests.servers.faulty import CutAtCommand, faulty, send_part
from tests.servers.still_clock import START, StillClock

LONG_ENOUGH = timedelta(days=8)
"""After so long every message that failed is tried again."""
COMMANDS = ("EXAMINE", "LIST", "UID FETCH", "UID SEARCH")
cuts = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300)), max_size=2)
drops = st.lists(st.tuples(st.sampled_from(COMMANDS), st.integers(0, 3)), max_size=2)
Key = tuple[object, ...]
"""What makes a message at the server the same one wherever it is."""


class Ledger(Fault):
    """Counts how often each body was sent at least in part, and has trouble with some.

    ``damaged`` counts what was sent in vain: cut, or not in the journal of a process that was killed.
    """

    def __init__(self, account: LoopbackAccount) -> None:
        self.sent: Counter[Key] = Counter()
        self.damaged: Counter[Key] = Counter()
        self.in_this_run: list[LoopbackMessage] = []
        self.cut: set[bytes] = set()
        """Octets of messages in which the connection was cut in this run."""
        self.refused: set[bytes] = set()
        self.omitted: set[bytes] = set()
        self.cuts: list[tuple[int, int]] = []
        """(bodies before it, octets of it) of each cut that is to come."""
        self._account = account
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Begin a run."""
        self.in_this_run.clear()
        self.cut.clear()

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        if not any(name.startswith(("BODY[]", "BODY[TEXT]")) for name in answer.items):
            return answer
        message = self._account[answer.mailbox].messages[answer.uid]
        if message.octets in self.refused:
            raise Refused("[UNAVAILABLE] Server error")
        if message.octets in self.omitted:
            return None
        with self._lock:
            self.sent[self.key(message)] += 1
            self.in_this_run.append(message)
            cut = self._next_cut()
            if cut is None:
                return answer
            self.damaged[self.key(message)] += 1
            self.cut.add(message.octets)
        send_part(wire, answer, cut)
        raise Hangup

    def _next_cut(self) -> int | None:
        if not self.cuts:
            return None
        after, octets = self.cuts.pop(0)
        if after == 0:
            return octets
        self.cuts.insert(0, (after - 1, octets))
        return None

    def key(self, message: LoopbackMessage) -> Key:
        """Return by what the server's clients can know the message again."""
        if "OBJECTID" in self._account.capabilities:
            return (message.email_id,)
        return (message.octets, message.internaldate)


class WireMachine(ArchiveMachine):
    """An account at a server that changes, and an archive that follows."""

    capabilities: ClassVar[frozenset[str]] = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self.account = LoopbackAccount(capabilities=self.capabilities)
        self.server = LoopbackServer(self.account)
        self.server.__enter__()
        self.ledger = Ledger(self.account)
        self.life = Life(self.account)
        for path in ("a", "a/b"):
            self.account.create(path)
        self.server.faults.append(self.ledger)
        self.now = START
        self.ambiguous: set[Key] = set()
        """Messages that were more than once in one mailbox, so that nothing tells which is which."""

    def teardown(self) -> None:
        self.server.__exit__(None, None, None)
        super().teardown()

    # -- trouble ---------------------------------------------------------------------------------------------------

    @rule(number=picks, omitted=st.booleans())
    def spoil(self, number: int, omitted: bool) -> None:
        if picked := self.life.pick(number):
            octets = self.account[picked[0]].messages[picked[1]].octets
            (self.ledger.omitted if omitted else self.ledger.refused).add(octets)

    @rule()
    def heal(self) -> None:
        self.ledger.omitted.clear()
        self.ledger.refused.clear()

    # -- the archive follows ---------------------------------------------------------------------------------------

    def begin_run(self) -> None:
        self.now += LONG_ENOUGH
        self.ledger.begin()
        for box in self.account.mailboxes():
            there = Counter(map(self.ledger.key, box.messages.values()))
            self.ambiguous.update(key for key, copies in there.items() if copies > 1)

    def run_pull(self, connections: int) -> PullReport:
        self.begin_run()
        clock, stop = StillClock(self.now), Stop()
        target = account_at(self.server.port, self.server.host, clock, stop)
        options = PullOptions(connections=connections, gone_alarm=1)
        return adds_up(pull(self.root, [target], options, observer=ignore, clock=clock, stop=stop))

    @rule(happened=changes, connections=st.sampled_from([1, 1, 2]), cuts=cuts, drops=drops)
    def pull(
        self, happened: list[Change], connections: int, cuts: list[tuple[int, int]], drops: list[tuple[str, int]]
    ) -> None:
        self.life.happen(happened)
        self.ledger.cuts = cuts
        with faulty(self.server, *(CutAtCommand(name=name, skip=skip) for name, skip in drops)):
            report = self.run_pull(connections)
        self.ledger.cuts = []
        account = report.accounts[0]
        in_trouble = self.ledger.refused | self.ledger.omitted | self.ledger.cut
        expected, archived = self.at_server(), held(self.root)
        assert archived.keys() <= expected.keys()
        assert all(octets == expected[key] for key, octets in archived.items())
        missing = expected.keys() - archived.keys()
        assert all(expected[key] in in_trouble for key in missing), (account.error, missing)
        assert len(missing) == sum(box.failed for box in account.mailboxes)
        assert (report.status == "complete") == (not missing)
        self.flags_agree(archived.keys())
        self.kept()
        self.sent_once()
        if not missing:
            self.ledger.begin()
            assert self.run_pull(connections).status == "complete"
            assert not self.ledger.in_this_run

    @rule(
        happened=changes,
        connections=st.sampled_from([1, 2]),
        last=st.integers(1, 8),
        part=st.sampled_from((0, 50, None)),
    )
    def kill(self, happened: list[Change], connections: int, last: int, part: int | None) -> None:
        self.life.happen(happened)
        self.begin_run()
        pace = OneAtATime(self.root)
        pace.arm(last, part)
        with faulty(self.server, pace):
            process = processes().Process(target=pull_at, args=(self.now, self.server.port, self.root, connections))
            process.start()
            while not pace.reached.wait(0.005) and process.is_alive():
                pass
            process.kill()
            process.join(60)
            pace.go_on.set()
        assert process.exitcode in {0, KILLED}
        process.close()
        if not (self.root / "archive.toml").exists():
            return
        no_damage(self.root)
        have = Journal.of(self.root).digests()
        flying = [one for one in self.ledger.in_this_run if hashlib.sha256(one.octets).hexdigest() not in have]
        assert len(flying) <= connections
        self.ledger.damaged.update(map(self.ledger.key, flying))
        self.sent_once()

    # -- what must be true -----------------------------------------------------------------------------------------

    def at_server(self) -> Held:
        """Return what the server has, by the names that the archive prints."""
        return {
            (self.printed(box.name), message.uid): message.octets
            for box in self.account.mailboxes()
            for message in box.messages.values()
        }

    @staticmethod
    def printed(name: str) -> str:
        return str(MailboxName(tuple(name.split("/")), "/", b""))

    def flags_agree(self, keys: Collection[tuple[str, int]]) -> None:
        recorded = self.recorded_flags()
        for box in self.account.mailboxes():
            for uid, message in box.messages.items():
                if (key := (self.printed(box.name), uid)) in keys:
                    assert recorded[key] == message.flags

    def sent_once(self) -> None:
        """No body was sent more than once, left out those that nothing but their octets tells apart."""
        for key, times in self.ledger.sent.items():
            assert times - self.ledger.damaged[key] <= 1 or self.is_excused(key), (key, times)

    def is_excused(self, key: Key) -> bool:
        """Return whether only account-wide ids would have helped: no header to go by, or twins in a mailbox."""
        if "OBJECTID" in self.capabilities:
            return False
        return key in self.ambiguous or not header_section(bytes(key[0])).strip()  # type: ignore[call-overload]


class BareWireMachine(WireMachine):
    """The same, at a server that knows neither account-wide ids nor what changed since when."""

    capabilities = frozenset({"IMAP4rev1", "LITERAL+"})


_SETTINGS = settings(
    max_examples=18,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # making a failure small would take longer than a test may
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
WireMachine.TestCase.settings = _SETTINGS
BareWireMachine.TestCase.settings = _SETTINGS
TestWireMachine = WireMachine.TestCase
TestBareWireMachine = BareWireMachine.TestCase
