"""The program at a server that asks for patience: waiting where it is wanted, exit code 3 where it is not."""

import os
import pty
import subprocess
from contextlib import suppress

from tests.servers.faulty import RefuseCommand, faulty
from tests.system.conftest import Site

OVER = "[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"


def short() -> RefuseCommand:
    return RefuseCommand(name="UID FETCH", skip=1, text="Request is throttled. Suggested Backoff Time: 10 milliseconds")


def test_without_wait_it_ends_with_code_3_and_says_what_happens_next(site: Site) -> None:
    with faulty(site.server, RefuseCommand(name="LOGIN", times=None, text=OVER)):
        done = site.program("pull", site.url, "--quiet", code=3)
        value = site.program.json("pull", site.url, code=3)
    assert "bandwidth limits" in done.stderr
    assert "goes on where it stopped" in done.stderr
    (account,) = value["accounts"]
    assert (value["status"], value["exit_code"], account["status"]) == ("partial", 3, "partial")
    assert site.program.json("pull", site.url)["status"] == "complete"


def test_what_had_come_is_kept_and_the_next_run_brings_the_rest(site: Site) -> None:
    with faulty(site.server, short()):
        first = site.program.json("pull", site.url, "--connections", "1", code=3)
    second = site.program.json("pull", site.url)
    downloaded = [value["accounts"][0]["downloaded_messages"] for value in (first, second)]
    assert sum(downloaded) <= site.account.total()[0]
    assert set(site.server.counts.body_fetches.values()) == {1}


def test_with_wait_it_goes_on(site: Site) -> None:
    with faulty(site.server, short()):
        done = site.program("pull", site.url, "--wait", "--verbose")
    assert ": complete: " in done.stdout
    assert "waiting 1.0 s: " in done.stderr
    assert set(site.server.counts.body_fetches.values()) == {1}


def test_at_a_terminal_it_waits_and_shows_it(site: Site) -> None:
    ours, theirs = pty.openpty()
    with faulty(site.server, short()):
        process = subprocess.Popen(
            [*site.program.command, "pull", site.url],
            env=site.program.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        shown = _read(ours)
        assert process.wait(60) == 0
    assert "waiting 1.0 s: " in shown


def _read(terminal: int) -> str:
    """Return all that is written to a terminal until nobody has it open any more."""
    shown = b""
    with open(terminal, "rb", buffering=0) as screen, suppress(OSError):
        while octets := screen.read(1 << 16):
            shown += octets
    return shown.decode()
