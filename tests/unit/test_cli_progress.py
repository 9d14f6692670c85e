"""Events become sentences on standard error, and a bar where somebody watches."""

import io
import os
import re
import signal
import sys

import pytest

from mailarchive.cli.progress import Watcher, watching
from mailarchive.cli.signals import stoppable
from mailarchive.cli.terminal import OutputFailed, ReaderGone, flush, out, out_octets, prepare
from mailarchive.ops.events import Detail, MailboxPlanned, MessagesDone, MessagesLinked, Notice, Progress, Waiting

EVENTS = (
    MailboxPlanned("me@host", "INBOX", 2, 3000),
    Detail("EXAMINE INBOX"),
    MessagesDone("me@host", "INBOX", 1, 1000),
    Waiting("me@host", 2.0, "throttled\x1b[2J"),
    Notice("the catalog was rebuilt"),
    MessagesDone("me@host", "INBOX", 1, 2000),
)


class Terminal(io.StringIO):
    """A screen that remembers."""

    def isatty(self) -> bool:
        return True


def test_without_a_terminal_only_notices_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with watching("pull") as watcher:
        for event in EVENTS:
            watcher(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "mailarchive: the catalog was rebuilt\n"


def test_verbose_tells_plans_details_and_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    with watching("pull", verbose=True) as watcher:
        for event in EVENTS:
            watcher(event)
    assert capsys.readouterr().err.splitlines() == [
        "me@host INBOX: 2 messages to fetch, 2.9 KiB",
        "EXAMINE INBOX",
        "me@host: waiting 2.0 s: throttled\\x1b[2J",
        "mailarchive: the catalog was rebuilt",
    ]


def test_on_a_terminal_a_bar_counts_messages_and_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with watching("pull") as watcher:
        for event in EVENTS:
            watcher(event)
        watcher(MailboxPlanned("me@host", "Sent\x1b", 1, 1))
    shown = screen.getvalue()
    assert "INBOX" in shown
    assert "throttled\\x1b[2J" in shown
    assert "0/2 " in shown
    assert "mailarchive: the catalog was rebuilt\n" in shown


def test_a_quiet_run_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with watching("pull", quiet=True) as watcher:
        watcher(EVENTS[0])
        watcher(EVENTS[2])
    assert screen.getvalue() == ""


def test_a_local_operation_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    watcher = Watcher(bar=True, verbose=False, verb="verify")
    for done in (0, 1 << 19, 1 << 20):
        watcher(Progress(done, 1 << 20))
    watcher.close()
    watcher.close()
    assert re.search(r"verify: +\d+%", screen.getvalue())


def test_the_first_signal_asks_and_the_handlers_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(10)
        assert stop.signum == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert "SIGTERM: finishing" in capsys.readouterr().err


def test_a_second_signal_ends_the_process_at_once() -> None:
    child = os.fork()
    if child == 0:
        with stoppable():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 143


def test_a_reader_who_left_is_told_from_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        out("nobody reads this")
        with pytest.raises(ReaderGone):
            flush()
    with open("/dev/full", "w", encoding="utf-8") as stream:  # noqa: PTH123 - a device
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(OutputFailed, match="No space left"):
            out_octets([b"x" * 100_000])


def test_octets_go_out_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    out("line")
    out_octets([b"\x00\xff", b"\r\n"])
    flush()
    assert capfdbinary.readouterr().out == b"line\n\x00\xff\r\n"


def test_every_character_can_be_printed_whatever_the_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    prepare()
    out("ü\udcff")
    flush()
    assert buffer.getvalue() == b"\\xfc\\udcff\n"


def test_linked_messages_count_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    watcher = Watcher(bar=True, verbose=False)
    watcher(MailboxPlanned("me@host", "INBOX", 10, 0))
    watcher(MessagesLinked("me@host", "INBOX", 7))
    assert watcher._bar is not None
    assert (watcher._bar.n, watcher._bar.total) == (7, 10)
    watcher.close()
