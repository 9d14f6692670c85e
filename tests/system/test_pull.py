"""``pull`` as a process against a server on loopback: numbers, silence, signals, passwords."""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from mailarchive.loopback.account import LoopbackAccount
from mailarchive.loopback.faults import Fault, FetchAnswer
from mailarchive.loopback.server import LoopbackServer
from mailarchive.loopback.wire import Wire
from tests.system.conftest import Program, Site, keep_secret

COUNTS = ("listed", "new", "known", "linked", "failed", "excluded", "gone", "flags_changed")


def _adds_up(value: dict[str, Any]) -> None:
    for account in value["accounts"]:
        for counts in (account, *account["mailboxes"]):
            assert counts["listed"] == counts["new"] + counts["known"] + counts["failed"] + counts["excluded"]
        for name in COUNTS:
            assert account[name] == sum(mailbox[name] for mailbox in account["mailboxes"])


def test_the_first_pull_takes_all_and_the_second_nothing(site: Site) -> None:
    messages, _ = site.account.total()
    first = site.program.json("pull", site.url)
    _adds_up(first)
    (account,) = first["accounts"]
    assert (first["status"], first["exit_code"], first["archive"]) == ("complete", 0, str(site.program.archive))
    assert (account["protocol"], account["status"]) == ("imap", "complete")
    assert account["listed"] == account["new"] == messages
    assert account["stored_messages"] <= account["downloaded_messages"] <= messages
    assert len(account["mailboxes"]) == len(site.account.mailboxes())

    site.server.counts.clear()
    second = site.program.json("pull", site.url)
    _adds_up(second)
    (account,) = second["accounts"]
    assert (account["new"], account["known"], account["downloaded_messages"]) == (0, messages, 0)
    assert site.server.counts.body_octets == 0


def test_a_known_account_is_pulled_by_name_and_all_without_any(site: Site) -> None:
    site.program("pull", site.url, "--quiet")
    name = site.url.removeprefix("imap://")
    for arguments in ((name,), ()):
        (account,) = site.program.json("pull", *arguments)["accounts"]
        assert (account["account"], account["status"], account["new"]) == (name, "complete", 0)
    assert f"there are {name}" in site.program("pull", "other", code=2).stderr


def test_flags_new_and_vanished_messages_are_counted(site: Site) -> None:
    site.program("pull", site.url)
    uids = [message.uid for message in site.account.messages("INBOX")]
    site.account.set_flags("INBOX", uids[0], ["\\Seen", "\\Flagged", "Custom"])
    site.account.expunge("INBOX", uids[1], uids[2])
    site.account.append("INBOX", b"Subject: new\r\n\r\nnew\r\n")
    value = site.program.json("pull", site.url)
    _adds_up(value)
    inbox = next(mailbox for mailbox in value["accounts"][0]["mailboxes"] if mailbox["mailbox"] == "INBOX")
    assert (inbox["new"], inbox["gone"], inbox["flags_changed"]) == (1, 2, 1)


def test_a_summary_is_one_line_and_quiet_is_silent(site: Site) -> None:
    done = site.program("pull", site.url)
    assert done.stdout.count("\n") == 1
    assert ": complete: " in done.stdout
    assert done.stderr == ""
    done = site.program("pull", site.url, "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


def test_a_verbose_pull_names_the_mailboxes(site: Site) -> None:
    done = site.program("pull", site.url, "--verbose")
    assert f"  INBOX: {len(site.account.messages('INBOX'))} new, 0 known" in done.stdout
    assert "INBOX: " in done.stderr


def test_a_reader_who_leaves_does_not_hide_how_the_pull_ended(site: Site) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with LoopbackServer(LoopbackAccount()) as other, os.fdopen(theirs, "wb") as stream:
        done = subprocess.run(
            [*site.program.command, "pull", site.url, f"imaps://user@127.0.0.1:{other.port}"],
            env=site.program.env,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 20


def test_an_account_without_a_password_does_not_stop_the_others(site: Site, tmp_path: Path) -> None:
    script = f'test "$MAILARCHIVE_ACCOUNT" != you@127.0.0.1:{site.server.port} && echo {site.account.password}'
    other = site.url.replace("demo@", "you@")
    value = Program(tmp_path).json("pull", other, site.url, "--password-command", script, code=12)
    assert [account["status"] for account in value["accounts"]] == ["failed", "complete"]
    assert "password command failed" in value["accounts"][0]["error"]


def test_a_dry_run_changes_nothing(site: Site) -> None:
    value = site.program.json("pull", site.url, "--dry-run")
    _adds_up(value)
    different = {message.octets for box in site.account.mailboxes() for message in box.messages.values()}
    (account,) = value["accounts"]
    assert value["dry_run"]
    assert (account["to_fetch_messages"], account["to_fetch_bytes"]) == (len(different), sum(map(len, different)))
    assert account["downloaded_messages"] == 0
    assert not site.program.archive.exists()
    assert "messages to fetch" in site.program("pull", site.url, "--dry-run").stdout


def test_globs_choose_mailboxes(site: Site) -> None:
    value = site.program.json("pull", site.url, "--mailbox", "[ISA]*", "--exclude", "Archive*")
    _adds_up(value)
    mailboxes = value["accounts"][0]["mailboxes"]
    assert {mailbox["mailbox"] for mailbox in mailboxes if mailbox["new"]} == {"INBOX", "Sent"}
    assert all(mailbox["excluded"] == mailbox["listed"] for mailbox in mailboxes if not mailbox["new"])


def test_a_day_leaves_older_mail_out(site: Site) -> None:
    value = site.program.json("pull", site.url, "--since", "2100-01-01")
    _adds_up(value)
    (account,) = value["accounts"]
    assert account["excluded"] == account["listed"] == site.account.total()[0]
    assert account["downloaded_messages"] == 0


def test_a_wrong_password_is_exit_code_12(site: Site, tmp_path: Path) -> None:
    program = Program(tmp_path, {"MAILARCHIVE_PASSWORD": "hunter2"})
    done = program("pull", site.url, "--json", "--verbose", code=12)
    value = json.loads(done.stdout)
    assert (value["status"], value["exit_code"]) == ("failed", 12)
    assert "hunter2" not in done.stdout + done.stderr


def test_an_unreachable_server_is_exit_code_20_and_does_not_stop_the_others(site: Site) -> None:
    with LoopbackServer(LoopbackAccount()) as other:
        unreachable = f"imaps://user@127.0.0.1:{other.port}"
        value = site.program.json("pull", unreachable, site.url, code=20)
    assert [account["status"] for account in value["accounts"]] == ["failed", "complete"]
    assert value["status"] == "partial"
    assert value["accounts"][0]["error"]


@pytest.mark.parametrize("way", ["file", "command"])
def test_a_password_comes_from_a_file_or_a_command(site: Site, tmp_path: Path, way: str) -> None:
    secret = tmp_path / "secret"
    keep_secret(secret, f"{site.account.password}\n")
    secret.chmod(0o600)
    words = ("--password-file", str(secret)) if way == "file" else ("--password-command", f"cat '{secret}'")
    assert Program(tmp_path)("pull", site.url, "--quiet", *words).stderr == ""


def test_a_second_writer_is_exit_code_11(site: Site) -> None:
    stall = Stall(10)
    site.server.faults.append(stall)
    first = site.program.start("pull", site.url)
    assert stall.reached.wait(30)
    value = site.program.json("pull", site.url, code=11)
    assert (value["status"], value["accounts"]) == ("failed", [])
    stall.go_on.set()
    first.communicate(timeout=60)
    assert first.returncode == 0


class Stall(Fault):
    """After some messages the server says nothing until it is told to go on."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def answer(self, wire: Wire, answer: FetchAnswer) -> FetchAnswer | None:
        if any("BODY" in name for name in answer.items):
            self.left -= 1
            if self.left <= 0:
                self.reached.set()
                self.go_on.wait(60)
        return answer


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_everything_kept(site: Site, signum: signal.Signals) -> None:
    stall = Stall(40)
    site.server.faults.append(stall)
    process = site.program.start("pull", site.url, "--json", "--connections", "1")
    assert stall.reached.wait(30)
    process.send_signal(signum)
    assert process.stderr is not None
    assert signum.name in process.stderr.readline()
    stall.go_on.set()
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    value = json.loads(stdout)
    assert (value["status"], value["exit_code"]) == ("partial", 128 + signum)
    kept = value["accounts"][0]["downloaded_messages"]
    assert kept > 0

    site.server.faults.clear()
    rest = site.program.json("pull", site.url)
    assert rest["accounts"][0]["downloaded_messages"] + kept <= site.account.total()[0]
    assert site.program.json("verify")["status"] == "whole"


def test_a_second_signal_ends_it_at_once(site: Site) -> None:
    stall = Stall(20)
    site.server.faults.append(stall)
    process = site.program.start("pull", site.url)
    assert stall.reached.wait(30)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    stall.go_on.set()
    site.server.faults.clear()
    assert site.program.json("pull", site.url)["status"] == "complete"


def test_connections_are_compressed_always_never_or_where_it_pays(site: Site) -> None:
    site.account.capabilities |= {"COMPRESS=DEFLATE"}
    for wish, asked in ((("--compress", "never"), False), ((), False), (("--compress", "always"), True)):
        site.server.counts.clear()
        done = site.program("pull", site.url, "--verbose", "--connections", "1", *wish)
        assert ("COMPRESS DEFLATE" in site.server.counts.commands) == asked
        assert ("connections are compressed" in done.stderr) == asked
    assert "auto" in site.program("pull", site.url, "--compress", "perhaps", code=2).stderr
