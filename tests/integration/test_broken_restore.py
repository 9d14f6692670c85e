"""A restore that is killed, or whose line is cut, at any moment: run to its end it has put each message there once.

The next attempt begins when the server has done with the connection that was lost: what a server still puts into a
mailbox after that was looked at comes twice.
"""

import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailarchive.loopback.corpus import Mail
from mailarchive.ops.naming import Wishes
from mailarchive.ops.restore_options import RestoreOptions
from mailarchive.targets import imap
from tests.fault.archives import no_damage
from tests.fault.deaths import server as processes
from tests.fault.scripts import restore_over_imap
from tests.integration.restores import Restoring, by_mailbox, restore_at, there
from tests.servers.cut_line import CutLine
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.no_cover
BOXES = ("INBOX", "Work/2024", "Archive", "Sent")
START = datetime(2024, 3, 1, 12, tzinfo=UTC)
KILLS = 25
MOMENTS = ((60, 1500), b""), ((60, 1500), b""), ((1500, 120_000), b""), ((1500, 120_000), b""), ((0, 200), b"UID COPY")
"""How many octets are sent, and behind what, before a death."""


def mails(count: int) -> list[Mail]:
    """Return messages in four mailboxes: a quarter of them in two, some twice in one, some with the same header."""
    chance = random.Random(count)
    found: list[Mail] = []
    while len(found) < count:
        number = len(found)
        head = b"Message-ID: <%d@x>\r\nSubject: %d\r\n\r\n" % ((number - number % 7 // 6,) * 2)
        octets = head + chance.randbytes(chance.randrange(20, 500)).hex("\n", 30).replace("\n", "\r\n").encode()
        one = Mail(chance.choice(BOXES), octets, START + timedelta(minutes=number), ("\\Seen",) * (number % 2))
        others = [box for box in BOXES if box != one.mailbox]
        also = (chance.choice(others),) if number % 3 == 0 else (one.mailbox,) if number % 20 == 1 else ()
        found += [one, *(Mail(box, *_but_mailbox(one)) for box in also)]
    return found


def _but_mailbox(one: Mail) -> tuple[bytes, datetime, tuple[str, ...]]:
    return one.octets, one.internaldate, one.flags


def filled(start_dovecot: Callable[..., Dovecot], loaded: list[Mail], home: Path) -> Path:
    """Return an archive of these messages."""
    old, here = start_dovecot(), Restoring(home)
    old.load_all(loaded)
    here.pull(old)
    return here.root


def test_killed_at_random_it_puts_each_message_there_once(
    tmp_path: Path, start_dovecot: Callable[..., Dovecot]
) -> None:
    loaded = mails(1000)
    root, new = filled(start_dovecot, loaded, tmp_path / "home"), start_dovecot()
    expected, chance = by_mailbox(loaded), random.Random(11)
    deaths, lives = 0, 0
    with CutLine(new.port) as line:
        while deaths < KILLS:
            lives += 1
            into = f"Life {lives}"
            while _dies(line, root, into, chance):
                deaths += 1
                new.settle()
                assert deaths < 3 * KILLS
            assert there(new, BOXES, into) == expected, f"{deaths} deaths, {into}"
        no_damage(root)
    assert lives > 1


def _dies(line: CutLine, root: Path, into: str, chance: random.Random) -> bool:
    """Restore until it has sent some octets, and kill it then; return False if it came to the end before."""
    line.go_on.clear()
    octets, behind = chance.choice(MOMENTS)
    line.arm(chance.randrange(*octets), behind)
    arguments = line.port, root, into, chance.choice((1, 1, 2, 3)), chance.choice((1, 7, 60, 400))
    process = processes().Process(target=restore_over_imap, args=arguments)
    process.start()
    while not line.reached.wait(0.01) and process.is_alive():
        pass
    if is_cut := line.reached.is_set():
        threading.Event().wait(chance.random() * 0.01)
        process.kill()
    process.join(60)
    line.go_on.set()
    return is_cut


@pytest.mark.parametrize("at_once", [1, 20])
def test_a_line_that_is_cut_anywhere_in_an_append_is_made_good_by_the_same_run(
    tmp_path: Path, start_dovecot: Callable[..., Dovecot], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(imap, "_MESSAGES_A_COMMAND", at_once)
    loaded = mails(120)
    root, new = filled(start_dovecot, loaded, tmp_path / "home"), start_dovecot()
    expected = by_mailbox(loaded)
    with CutLine(new.port, before=new.settle) as line:
        shutil.copytree(root, tmp_path / "C0")
        assert restore_at(line.port, tmp_path / "C0", _into("C0")).exit_code == 0
        cuts = list(_cuts(bytes(line.sent)))
        for number, cut in enumerate(cuts, 1):
            name = f"C{number}"
            shutil.copytree(root, tmp_path / name)
            line.arm(cut)
            report = restore_at(line.port, tmp_path / name, _into(name))
            assert line.reached.is_set()
            assert (report.exit_code, report.status) == (0, "complete")
            assert report.total("sent") + report.total("copied") == len(loaded)
            assert there(new, BOXES, name) == expected, name


def _into(name: str) -> RestoreOptions:
    return RestoreOptions(wishes=Wishes((name,)), connections=1)


def _cuts(sent: bytes) -> Iterator[int]:
    """Yield places in what a client sent: in and behind two of the APPENDs, and in what comes after all of them."""
    literals = [(found.end(), int(found[1])) for found in re.finditer(rb'" ~?\{(\d+)\+?\}\r\n', sent)]
    for start, octets in (literals[2], literals[-5]):
        yield start - 9
        yield start
        yield start + octets // 2
        yield start + octets
        yield start + octets + 1
        yield start + octets + 2
    copies = [found.start() for found in re.finditer(rb"UID COPY", sent)]
    yield from (copies[0] + 4, sent.index(b"\r\n", copies[1]) + 2, sent.index(b"\r\n", copies[-1]) + 2)
