"""Whatever happens at a server and on the way: the archive is what the account is, and no body is sent twice."""

import hashlib
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mailarchive.archive.archive import open_for_reading
from mailarchive.clock import Stop
from mailarchive.loopback.account import LoopbackAccount, LoopbackMessage
from mailarchive.loopback.faults import Fault, FetchAnswer, Refused
from mailarchive.loopback.fetch import gmail_id
from mailarchive.loopback.gmail import GmailAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.loopback.wire import Hangup, Wire
from mailarchive.mail.digest import header_section
from mailarchive.model import MailboxName
from mailarchive.ops.events import ignore
from mailarchive.ops.pull import PullOptions, pull
from mailarchive.ops.report import PullReport
from tests.fault.archives import Held, Journal, adds_up, held, ignore_text, no_damage
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
Key = tuple[str, str]
"""What makes a message at the server the same one wherever it is: an account-wide id, or octets and INTERNALDATE."""


def key_of_line(line: dict[str, Any]) -> Key:
    """Return which message a ``placed`` line of the journal is about."""
    if "account_id" in line:
        return "id", line["account_id"]
    return line["digest"], datetime.fromisoformat(line["date"]).astimezone(UTC).isoformat()


class Ledger(Fault):
    """Counts how often each body was sent at least in part, and has trouble with some.

    ``damaged`` counts what was sent in vain: cut, or not in the journal of a process that was killed.
    """

    def __init__(self, account: LoopbackAccount) -> None:
        self.sent: Counter[Key] = Counter()
        self.damaged: Counter[Key] = Counter()
        self.in_this_run: list[Key] = []
        self.headless: set[Key] = set()
        """Messages that no header tells from others."""
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
            key = self.key(message)
            self.sent[key] += 1
            self.in_this_run.append(key)
            if not header_section(message.octets).strip():
                self.headless.add(key)
            cut = self._next_cut()
            if cut is None:
                return answer
            self.damaged[key] += 1
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
            return "id", message.email_id
        if "X-GM-EXT-1" in self._account.capabilities:
            return "id", str(gmail_id(message.email_id))
        return hashlib.sha256(message.octets).hexdigest(), message.internaldate.isoformat()


class WireMachine(ArchiveMachine):
    """An account at a server that changes, and an archive that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.account = self.new_account()
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

    def new_account(self) -> LoopbackAccount:
        """Return an account of the kind that this machine is about."""
        return LoopbackAccount()

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
        expected, archived = self.at_server(), self.archived()
        assert archived.keys() <= expected.keys()
        assert all(octets == expected[key] for key, octets in archived.items())
        missing = expected.keys() - archived.keys()
        assert all(expected[key] in in_trouble for key in missing), (account.error, missing)
        assert self.failures(missing) == sum(box.failed for box in account.mailboxes)
        assert (report.status == "complete") == (not missing)
        self.flags_agree()
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
        journal = Journal.of(self.root)
        sent = {hashlib.sha256(self.account[box].messages[uid].octets).hexdigest() for box, uid in pace.sent}
        assert len(sent - journal.digests()) <= connections
        recorded = set(map(key_of_line, journal.of_type("placed")))
        self.ledger.damaged.update(key for key in self.ledger.in_this_run if key not in recorded)
        self.sent_once()

    # -- what must be true -----------------------------------------------------------------------------------------

    def at_server(self) -> Held:
        """Return what the server has, by the names that the archive prints."""
        return {
            (self.printed(box.name), message.uid): message.octets
            for box in self.account.mailboxes()
            for message in box.messages.values()
        }

    def archived(self) -> Held:
        """Return what the archive has of what is at the server."""
        return held(self.root)

    def failures(self, missing: set[tuple[str, int]]) -> int:
        """Return how many messages must have failed if these are missing."""
        return len(missing)

    @staticmethod
    def printed(name: str) -> str:
        return str(MailboxName(tuple(name.split("/")), "/", b""))

    def flags_agree(self) -> None:
        recorded = self.recorded_flags()
        for box in self.account.mailboxes():
            for uid, message in box.messages.items():
                assert recorded.get((self.printed(box.name), uid), message.flags) == message.flags

    def sent_once(self) -> None:
        """No body was sent more than once, left out those that nothing but their octets tells apart."""
        for key, times in self.ledger.sent.items():
            assert times - self.ledger.damaged[key] <= 1 or self.is_excused(key), (key, times)

    def is_excused(self, key: Key) -> bool:
        """Return whether only an account-wide id would have helped: no header to go by, or twins in a mailbox."""
        return key[0] != "id" and (key in self.ambiguous or key in self.ledger.headless)


class BareWireMachine(WireMachine):
    """The same, at a server that knows neither account-wide ids nor what changed since when."""

    def new_account(self) -> LoopbackAccount:
        return LoopbackAccount(capabilities={"IMAP4rev1", "LITERAL+"})


class GmailMachine(WireMachine):
    """The same at Gmail, where a mailbox is a label; its messages are told apart by their ids."""

    def new_account(self) -> LoopbackAccount:
        return GmailAccount()

    def at_server(self) -> Held:
        assert isinstance(self.account, GmailAccount)
        return {
            (self.printed(name), gmail_id(identity)): octets
            for name, messages in self.account.expected().items()
            for identity, octets in messages.items()
        }

    def archived(self) -> Held:
        found: Held = {}
        with open_for_reading(self.root, ignore_text) as archive:
            for box in archive.catalog.mailboxes():
                for record in archive.catalog.placements(box.number, gone=False):
                    found[str(box.name), int(record.account_id or 0)] = b"".join(archive.octets(record.digest))
        return found

    def failures(self, missing: set[tuple[str, int]]) -> int:
        return len({identity for _, identity in missing})

    def flags_agree(self) -> None:
        """Return: what is shown under a label has the UIDs of All Mail."""


_SETTINGS = settings(
    max_examples=10,
    stateful_step_count=14,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=[Phase.generate],  # making a failure small would take longer than a test may
)
for machine in (WireMachine, BareWireMachine, GmailMachine):
    machine.TestCase.settings = _SETTINGS
TestWireMachine = pytest.mark.no_cover(WireMachine.TestCase)
TestBareWireMachine = pytest.mark.no_cover(BareWireMachine.TestCase)
TestGmailMachine = pytest.mark.no_cover(GmailMachine.TestCase)
