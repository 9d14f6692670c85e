"""Restores into an empty account, near and far."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from mailarchive.loopback.corpus import Mail, realistic
from mailarchive.loopback.syntax import date_time
from scripts.benchmark import programs
from scripts.benchmark.bench import DELAY, Bench, Command
from scripts.benchmark.measuring import Series
from scripts.benchmark.servers import Load, Proxy, in_inbox
from scripts.benchmark.tables import Figure, Report
from tests.servers.dovecot import Dovecot

SMALL, REALISTIC = 10_000, 1_000
ONE_BY_ONE_FAR = 500
_ACCOUNTS = "mail_location = sdbox:%h/%u"
_SINGLE = """
protocol imap {
  imap_capability = IMAP4rev1 SASL-IR LITERAL+ ENABLE NAMESPACE UIDPLUS LIST-EXTENDED LIST-STATUS SPECIAL-USE
}
"""
_MANY, _PIPELINED, _ONE = ("400", "2"), ("1", "100"), ("1", "1", "--ask")
_LETTERS = {"\\Flagged": "F", "\\Answered": "R", "\\Seen": "S"}
_RAW_MANY, _RAW_PIPELINED, _RAW_ONE = "raw, MULTIAPPEND of 400, 2 ahead", "raw, APPEND, 100 ahead", "raw, one by one"

Tool = Callable[[Path, str], Command]
"""Makes the command that restores from a new folder to a user."""


class Mails:
    """The same messages as an archive, as a file for the raw client, and as a Maildir."""

    def __init__(self, bench: Bench, load: Load, mails: Iterable[Mail]) -> None:
        self.load = load
        self.archive = bench.pulled(load)
        folder = bench.new_folder()
        self.file, self.maildir = folder / "mails", folder / "mail"
        by_mailbox: dict[str, list[Mail]] = {}
        for mail in mails:
            by_mailbox.setdefault(mail.mailbox, []).append(mail)
        with self.file.open("wb") as file:
            for name, some in by_mailbox.items():
                file.write(b"%b %d\n" % (name.encode(), len(some)))
                for mail in some:
                    how = f'({" ".join(mail.flags)}) "{date_time(mail.internaldate)}"'
                    file.write(b"%d %b\n" % (len(mail.octets), how.encode()) + mail.octets)
                _deliver(self.maildir / name, some)

    def copied(self, folder: Path) -> Path:
        """Copy the archive into a folder and return it; nothing was restored from it yet."""
        return Path(shutil.copytree(self.archive, folder / "archive"))


class Accounts:
    """A server that has an empty account for each run."""

    def __init__(self, server: Dovecot) -> None:
        self.server = server
        self._numbers = itertools.count(1)

    def new(self) -> str:
        """Return a user who has no mail."""
        return f"user{next(self._numbers)}"

    def remove(self, user: str, messages: int) -> None:
        """Remove the mail of a user, after a look at how much there is. Raises RuntimeError if that is not all."""
        said = self.server.doveadm("-f", "flow", "mailbox", "status", "-u", user, "messages", "*")
        found = sum(int(line.rpartition("messages=")[2]) for line in said.splitlines())
        if found != messages:
            raise RuntimeError(f"{found} messages were restored, not {messages}")
        shutil.rmtree(self.server.mail.parent / user)


def restore(bench: Bench) -> Report:
    """10,000 small and 1,000 realistic messages into an empty account at 0 ms and at 40 ms.

    Beside a raw client, with MULTIAPPEND and without, and mbsync; one by one at 40 ms: 500 messages.
    """
    report = Report()
    few = bench.servers.inbox(bench.count(SMALL))
    loads = [
        Mails(bench, few, in_inbox(few.messages)),
        Mails(bench, load := bench.servers.realistic(bench.count(REALISTIC)), realistic(load.messages)),
    ]
    with ExitStack() as stack:
        accounts = Accounts(stack.enter_context(Dovecot(extra=_ACCOUNTS)))
        single = Accounts(stack.enter_context(Dovecot(extra=_ACCOUNTS + _SINGLE)))
        for mails in loads:
            for seconds in (0, DELAY):
                _beside(bench, report, mails, seconds, accounts, _RAW_MANY, 2)
                _beside(bench, report, mails, seconds, single, _RAW_PIPELINED, 1.5)
        _one_by_one(bench, report, accounts)
    return report


def _beside(
    bench: Bench, report: Report, mails: Mails, seconds: float, accounts: Accounts, base: str, limit: float
) -> None:
    """Measure at one distance beside the raw client ``base``; mbsync too where there is MULTIAPPEND, which it lacks."""
    series = Series()
    is_many = base == _RAW_MANY
    with Proxy(accounts.server.port).running(seconds) as proxy:
        port = proxy.port if seconds else accounts.server.port
        tools = {base: _raw(mails, port, *(_MANY if is_many else _PIPELINED)), **_restores(bench, mails, port)}
        if is_many and not seconds:
            tools[_RAW_ONE] = _raw(mails, port, *_ONE)
        if is_many and "mbsync" in bench.peers:
            tools["mbsync"] = _mbsync(mails, port)
        _run(bench, series, tools, accounts, mails.load.messages)
    what = f"restore, {mails.load.name}, {'' if is_many else 'without MULTIAPPEND, '}{seconds * 1000:.0f} ms"
    octets = dict.fromkeys(series.runs, mails.load.octets)
    report.runs(f"R{what.removeprefix('r')}", series, {"raw": base, "mbsync": "mbsync"}, octets)
    report.figures.append(Figure(what, series.ratio("mailarchive", base), limit, "× raw"))


def _one_by_one(bench: Bench, report: Report, accounts: Accounts) -> None:
    """Measure one APPEND at a time at 40 ms, and say what it would take for all."""
    load = bench.servers.inbox(bench.count(ONE_BY_ONE_FAR))
    mails, series = Mails(bench, load, in_inbox(load.messages)), Series()
    with Proxy(accounts.server.port).running(DELAY) as proxy:
        tools = {_RAW_ONE: _raw(mails, proxy.port, *_ONE), **_restores(bench, mails, proxy.port)}
        _run(bench, series, tools, accounts, load.messages, runs=1)
    report.runs(f"Restore, {load.name}, 40 ms", series, {"raw, one by one": _RAW_ONE})
    seconds = series.median(_RAW_ONE)
    if seconds is not None:
        whole = seconds / load.messages * bench.count(SMALL)
        report.lines += [f"One by one, {bench.count(SMALL):,} messages would take {whole:,.0f} s at 40 ms.", ""]


def _run(
    bench: Bench, series: Series, tools: Mapping[str, Tool], accounts: Accounts, messages: int, runs: int | None = None
) -> None:
    """Run tools in turn, each into a new account."""
    for _ in range(runs or bench.runs):
        for name, command in tools.items():
            user = accounts.new()
            with bench.folder() as folder:
                made = command(folder, user)
                os.sync()  # what was copied is not written out while something is measured
                bench.note(series, name, bench.run(made))
            accounts.remove(user, messages)


def _raw(mails: Mails, port: int, *options: str) -> Tool:
    return lambda _folder, user: programs.push_imap(port, user, mails.file, *options)


def _restores(bench: Bench, mails: Mails, port: int) -> dict[str, Tool]:
    def command(folder: Path, user: str) -> Command:
        url = f"imap://{user}@{programs.HOST}:{port}"
        return bench.mailarchive(mails.copied(folder), "restore", url, "--quiet")

    return {"mailarchive": command}


def _mbsync(mails: Mails, port: int) -> Tool:
    def command(folder: Path, user: str) -> Command:
        shutil.copytree(mails.maildir, folder / "mail")
        return programs.mbsync(folder, port, push_to=user)

    return command


def _deliver(folder: Path, mails: Iterable[Mail]) -> None:
    """Put messages into a Maildir, with the line ends of files."""
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, mail in enumerate(mails):
        letters = "".join(letter for flag, letter in _LETTERS.items() if flag in mail.flags)
        moment = mail.internaldate.timestamp()
        path = folder / "cur" / f"{moment:.0f}.M{number}P1.bench:2,{letters}"
        path.write_bytes(mail.octets.replace(b"\r\n", b"\n"))
        os.utime(path, (moment, moment))
