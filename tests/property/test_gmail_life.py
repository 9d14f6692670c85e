"""Random lives of a Gmail account: whatever happens to its labels, the archive has what Gmail shows, fetched once."""

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mailarchive.facts import Fact
from mailarchive.journal.log import Log
from mailarchive.loopback.gmail import CAPABILITIES, GmailAccount
from mailarchive.loopback.server import LoopbackServer
from mailarchive.ops.options import PullOptions
from tests.integration.gmails import ALL, Gmail, boxes
from tests.integration.sites import mail

LABELS = ["\\Inbox", "\\Sent", "\\Starred", "\\Important", "\\Draft", "Work", "Work/a b", "2024", "Büro", 'q"\\x']
ALL_OF_IT = PullOptions(connections=1, gone_alarm=1.0)
PARTLY = [
    PullOptions(mailboxes=("INBOX",), connections=1),
    PullOptions(exclude=("Work*",), connections=1),
    PullOptions(exclude=(ALL,), connections=1),
    PullOptions(mailboxes=(ALL,), connections=1),
    PullOptions(max_download=1000, connections=1),
]


class Life:
    """One account, changed by chance."""

    def __init__(self, account: GmailAccount, seed: int) -> None:
        self.account = account
        self.chance = random.Random(seed)
        self.delivered = 0

    def some(self) -> str | None:
        names = sorted(self.account.expected()[ALL] | self.account.expected()["[Gmail]/Trash"])
        return self.chance.choice(names) if names else None

    def deliver(self) -> None:
        self.delivered += 1
        labels = self.chance.sample(LABELS, self.chance.randrange(4))
        self.account.deliver(mail(self.delivered), labels, thread_id=self.chance.choice(["", "T"]))

    def label(self) -> None:
        if name := self.some():
            self.account.label(name, *self.chance.sample(LABELS, 2))

    def unlabel(self) -> None:
        if name := self.some():
            self.account.unlabel(name, *self.chance.sample(LABELS, 5))

    def put(self) -> None:
        if name := self.some():
            self.account.put(name, self.chance.choice(["\\All", "\\Trash", "\\Junk"]))

    def forget(self) -> None:
        if name := self.some():
            self.account.forget(name)

    def reflag(self) -> None:
        if messages := self.account.messages(ALL) if ALL in self.account else []:
            flags = self.chance.sample(["\\Seen", "\\Flagged", "x"], 2)
            self.account.set_flags(ALL, self.chance.choice(messages).uid, flags)

    def delete(self) -> None:
        own = [box.raw for box in self.account.mailboxes() if not box.special_use and box.raw != b"INBOX"]
        if own:
            self.account.delete(self.chance.choice(own))

    def renumber(self) -> None:
        self.account.reset_uidvalidity(self.chance.choice(self.account.mailboxes()).raw, first_uid=50)

    def conceal(self) -> None:
        name = self.chance.choice([ALL, "Work", "2024", "[Gmail]/Important", "[Gmail]/Starred"])
        if name in self.account:
            self.account.hide(name)

    def live(self) -> None:
        """Let a few things happen."""
        acts: list[Callable[[], None]] = [
            self.deliver,
            self.deliver,
            self.deliver,
            self.label,
            self.label,
            self.unlabel,
        ]
        acts += [self.unlabel, self.put, self.forget, self.reflag, self.delete, self.renumber, self.conceal]
        for _ in range(self.chance.randrange(8)):
            self.chance.choice(acts)()

    def show_all(self) -> None:
        shown = {box.name for box in self.account.mailboxes()}
        for name in self.account.expected().keys() - shown:
            if name == ALL or self.chance.random() < 0.5:
                self.account.show(name)


def pull_and_die(site: Gmail, options: PullOptions, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pull, and end at the moment when the journal is written to for the time after ``steps`` times."""
    left = iter(range(steps))
    append = Log.append

    def dying(log: Log, *facts: Fact) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        append(log, *facts)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Log, "append", dying)
        site.pull(options)


@pytest.mark.parametrize("seed", range(6))
def test_the_archive_has_what_gmail_shows(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = GmailAccount(capabilities=CAPABILITIES - ({"CONDSTORE"} if seed % 3 == 0 else set()))
    life = Life(account, seed)
    for _ in range(6):
        life.deliver()
    with LoopbackServer(account) as server:
        site = Gmail(server, tmp_path / "archive")
        for _ in range(5):
            life.live()
            if life.chance.random() < 0.5:
                site.pull(life.chance.choice(PARTLY))
                life.live()
            if seed % 2:
                pull_and_die(site, life.chance.choice([ALL_OF_IT, *PARTLY]), life.chance.randrange(40), monkeypatch)
                life.live()
            life.show_all()
            rehearsed = boxes(site.pull(ALL_OF_IT._replace(dry_run=True)))
            report = site.pull(ALL_OF_IT)
            assert (report.status, report.accounts[0].warnings) == ("complete", [])
            site.is_gmail()
            assert {name: (box.listed, box.gone) for name, box in rehearsed.items()} == {
                name: (box.listed, box.gone) for name, box in boxes(report).items()
            }
        if not seed % 2:
            assert site.bodies() <= life.delivered
        assert sum(box.new + box.gone for box in site.pull(ALL_OF_IT).accounts[0].mailboxes) == 0
