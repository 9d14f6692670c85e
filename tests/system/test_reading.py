"""What was pulled can be listed, shown and exported, for people and for programs."""

import hashlib
import mailbox
import os
import pty
import shlex
import shutil
import subprocess
import termios
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.faulty import Refuse, faulty
from tests.system.conftest import Program, Site


@pytest.fixture
def pulled(site: Site) -> Site:
    """The demo's mail, in an archive."""
    site.program("pull", site.url, "--quiet")
    return site


def _digests(site: Site) -> Counter[str]:
    return Counter(
        hashlib.sha256(message.octets).hexdigest()
        for box in site.account.mailboxes()
        for message in site.account.messages(box.raw)
    )


def test_mailboxes_are_listed(pulled: Site) -> None:
    rows = pulled.program.rows("mailboxes")
    assert {row["mailbox"]: row["messages"] for row in rows} == {
        box.name: len(box.messages) for box in pulled.account.mailboxes()
    }
    table = pulled.program("mailboxes").stdout.splitlines()
    assert table[0].split() == ["ACCOUNT", "MAILBOX", "MESSAGES", "UNSEEN", "GONE", "SIZE", "LAST", "PULL"]
    assert len(table) == len(rows) + 1


def test_every_message_is_listed_by_its_digest(pulled: Site) -> None:
    rows = pulled.program.rows("list")
    assert Counter(row["id"] for row in rows) == _digests(pulled)
    assert len(pulled.program.rows("list", "--limit", "5")) == 5
    assert {row["mailbox"] for row in pulled.program.rows("list", "--mailbox", "Sent")} == {"Sent"}
    assert pulled.program.rows("list", "--before", "1990-01-01") == []
    text = pulled.program("list").stdout
    assert "\x1b" not in text
    assert len(text.splitlines()) == len(rows) + 1


def test_vanished_messages_are_listed_apart(pulled: Site) -> None:
    first = pulled.account.messages("INBOX")[0]
    digest = hashlib.sha256(first.octets).hexdigest()
    pulled.account.expunge("INBOX", first.uid)
    pulled.program("pull", pulled.url, "--quiet")
    (row,) = pulled.program.rows("list", "--gone")
    assert (row["id"], row["mailbox"], row["uid"]) == (digest, "INBOX", str(first.uid))
    assert row["gone"]


def test_show_gives_the_exact_octets_and_a_text_for_people(pulled: Site) -> None:
    for message in pulled.account.messages("INBOX")[-6:]:
        digest = hashlib.sha256(message.octets).hexdigest()
        assert pulled.program.octets("show", digest[:16], "--raw").stdout == message.octets
        shown = pulled.program("show", digest[:16]).stdout
        assert shown.startswith(f"id: {digest}")
        assert "Subject: " in shown
        assert pulled.program.json("show", digest)["id"] == digest


def test_show_of_what_is_not_there_is_exit_code_2(pulled: Site) -> None:
    for prefix in ("0" * 64, "xyz", ""):
        assert "hint" in pulled.program("show", prefix, code=2).stderr or prefix == ""


def test_stats_add_up(pulled: Site) -> None:
    stats = pulled.program.json("stats")
    messages, octets = pulled.account.total()
    assert (stats["messages"], stats["received_bytes"]) == (messages, octets)
    assert stats["unique"] == len(_digests(pulled))
    assert stats["saved_by_deduplication"] == stats["received_bytes"] - stats["unique_bytes"]
    assert "saved by deduplication" in pulled.program("stats").stdout


def test_the_log_has_a_line_a_run(pulled: Site) -> None:
    pulled.program("pull", pulled.url, "--quiet")
    rows = pulled.program.rows("log")
    assert [(row["command"], row["exit_code"]) for row in rows] == [("pull", 0), ("pull", 0)]
    assert rows[0]["new"] == pulled.account.total()[0]
    assert pulled.program.rows("log", "--limit", "1") == rows[1:]
    assert len(pulled.program("log").stdout.splitlines()) == 3


def test_the_log_tells_what_happened_to_messages_and_mailboxes(pulled: Site) -> None:
    first = pulled.account.messages("INBOX")[0]
    digest = hashlib.sha256(first.octets).hexdigest()
    pulled.account.create("Old")
    pulled.program("pull", pulled.url, "--quiet")
    pulled.account.rename("Old", "Older\x1b[2J")
    pulled.account.move("INBOX", first.uid, "Sent")
    pulled.program("pull", pulled.url, "--quiet")
    *_, run, renamed, moved = pulled.program.rows("log", "--messages")
    assert (run["run"], run["new"], run["gone"]) == (3, 1, 1)
    assert (renamed["change"], renamed["from"], renamed["mailbox"]) == ("mailbox renamed", "Old", "Older\x1b[2J")
    assert (moved["change"], moved["from"], moved["mailbox"], moved["id"]) == ("moved", "INBOX", "Sent", digest)
    lines = pulled.program("log", "--messages").stdout.splitlines()
    assert [line for line in lines if "more messages" in line] == [
        f"    and {pulled.account.total()[0] - 20} more messages (--all shows them)"
    ]
    assert lines[-2] == "    mailbox renamed: Old -> Older\\x1b[2J"
    assert lines[-1].startswith(f"    moved  {digest[:12]}  INBOX -> Sent  ")
    assert len(pulled.program("log", "--all").stdout.splitlines()) == len(pulled.program.rows("log", "--messages")) + 1
    (row,) = pulled.program.rows("list", "--moved")
    assert (row["id"], row["mailbox"], row["moved_to"]) == (digest, "INBOX", ["Sent"])
    header, line = pulled.program("list", "--moved").stdout.splitlines()
    assert line.index("Sent") == header.index("NOW IN")
    assert "moved to Sent" in pulled.program("show", digest).stdout


def test_filters_that_match_nothing_are_said(pulled: Site, tmp_path: Path) -> None:
    done = pulled.program("list", "--mailbox", "sent", "--mailbox", "Sent", "--limit", "1")
    assert "no mailbox matches sent" in done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert "no account you@host" in pulled.program("list", "--account", "you@host", "--json").stderr
    done = pulled.program("export", str(tmp_path / "out"), "--format", "eml", "--mailbox", "nothing/*")
    assert "no mailbox matches nothing/*" in done.stderr
    assert pulled.program("list", "--mailbox", "S*", "--since", "2999-01-01").stderr == ""


def test_inbox_is_found_in_any_case(pulled: Site, tmp_path: Path) -> None:
    assert {row["mailbox"] for row in pulled.program.rows("list", "--mailbox", "inbox")} == {"INBOX"}
    there = len(pulled.account.messages("INBOX"))
    exported = pulled.program.json("export", str(tmp_path / "out"), "--format", "eml", "--mailbox", "Inbox")
    assert exported["messages"] == there
    account = pulled.program.json("pull", pulled.url, "--mailbox", "inBox")["accounts"][0]
    assert (account["status"], account["known"]) == ("complete", there)


def test_raw_octets_are_not_json(pulled: Site) -> None:
    row = pulled.program.rows("list", "--limit", "1")[0]
    assert "--raw" in pulled.program("show", row["id"], "--raw", "--json", code=2).stderr


def test_names_that_no_directory_can_have_are_refused(program: Program) -> None:
    for name in ("x" * 256, "ü" * 128, "/".join(["x" * 200] * 20)):
        assert "too long" in program("list", "--archive", name, code=2).stderr
        assert "too long" in program("export", name, "--format", "eml", code=2).stderr


def test_eml_files_are_the_exact_octets(pulled: Site, tmp_path: Path) -> None:
    destination = tmp_path / "eml"
    pulled.program("export", str(destination), "--format", "eml")
    files = list(destination.rglob("*.eml"))
    assert Counter(hashlib.sha256(file.read_bytes()).hexdigest() for file in files) == _digests(pulled)
    dates = {message.internaldate.timestamp() for message in pulled.account.messages("Sent")}
    sent = pulled.program.json("export", str(tmp_path / "sent"), "--format", "eml", "--mailbox", "Sent")
    assert sent["messages"] == len(pulled.account.messages("Sent"))
    assert {file.stat().st_mtime for file in (tmp_path / "sent").rglob("*.eml")} == dates


def test_mbox_files_have_every_message(pulled: Site, tmp_path: Path) -> None:
    pulled.program("export", str(tmp_path / "mbox"), "--format", "mbox")
    files = [file for file in (tmp_path / "mbox").rglob("*") if file.is_file()]
    assert sum(map(_messages_in, files)) == pulled.account.total()[0]


def test_a_pipe_gets_one_mbox_and_a_terminal_none(pulled: Site, tmp_path: Path) -> None:
    done = pulled.program.octets("export", "-", "--labels-header", "--mailbox", "Sent")
    (tmp_path / "all.mbox").write_bytes(done.stdout)
    sent = len(pulled.account.messages("Sent"))
    with closing(mailbox.mbox(tmp_path / "all.mbox", create=False)) as box:  # noqa: TID251 - an independent reader
        assert len(box) == sent
        assert {message["X-Gmail-Labels"] for message in box} == {"Sent"}
        assert all(message["Status"] in {"O", "RO"} for message in box)
    assert f"{sent} messages" in done.stderr.decode()
    assert "--json" in pulled.program("export", "-", "--json", code=2).stderr
    terminal = shlex.join([*pulled.program.command, "export", "-"])
    shown = subprocess.run(
        ["script", "-qec", terminal, "/dev/null"], env=pulled.program.env, capture_output=True, check=False
    )
    assert b"not written to a terminal" in shown.stdout
    piped = f"{terminal} | head -c 10"
    cut = subprocess.run(
        ["bash", "-o", "pipefail", "-c", piped], env=pulled.program.env, capture_output=True, check=True
    )
    assert cut.stdout == b"From MAILE"
    assert b"Traceback" not in cut.stderr


def test_what_was_moved_goes_into_a_new_file_and_an_old_one_stays(pulled: Site, tmp_path: Path) -> None:
    pulled.account.move("INBOX", pulled.account.messages("INBOX")[0].uid, "Sent")
    pulled.program("pull", pulled.url, "--quiet")
    path = tmp_path / "moved.mbox"
    moved = pulled.program.json("export", str(path), "--one-file", "--moved")
    assert (moved["messages"], moved["files"], _messages_in(path)) == (1, 1, 1)
    again = pulled.program("export", str(path), "--one-file", code=2).stderr
    assert "exists already" in again
    refused = pulled.program("export", str(tmp_path / "x"), "--labels-header", "--format", "eml", code=2).stderr
    assert "--labels-header is for an mbox" in refused


def _messages_in(file: Path) -> int:
    """Return how many messages an independent reader finds in an mbox file."""
    with closing(mailbox.mbox(file, create=False)) as box:  # noqa: TID251 - an independent reader
        return len(box)


def test_verify_and_rebuild_find_everything_whole(pulled: Site) -> None:
    assert pulled.program("verify").stdout.startswith("whole: ")
    assert pulled.program("verify", "--quiet", "--quick").stdout == ""
    unique = pulled.program.json("stats")["unique"]
    assert pulled.program("verify", "--quick").stdout.startswith(f"whole: {unique} messages not read (")
    assert pulled.program.json("verify", "--quick")["messages"] == unique
    before = pulled.program.rows("list")
    assert pulled.program.json("rebuild")["placements"] == len(before)
    assert "301 placements in 6 mailboxes" in pulled.program("rebuild").stdout
    assert pulled.program("rebuild", "--quiet").stdout == ""
    assert pulled.program.rows("list") == before


def test_damage_is_exit_code_13_and_named(pulled: Site) -> None:
    largest = max((pulled.program.archive / "mail").iterdir(), key=lambda path: path.stat().st_size)
    octets = bytearray(largest.read_bytes())
    middle = len(octets) // 2
    octets[middle] ^= 0x01
    largest.write_bytes(octets)
    done = pulled.program("verify", code=13)
    assert done.stdout.startswith("damaged: ")
    value = pulled.program.json("verify", code=13)
    assert value["status"] == "damaged"
    assert value["damaged_messages"] > 0
    assert value["damage"]


def test_a_terminal_never_gets_control_characters(site: Site) -> None:
    site.account.append(
        "INBOX", b"Subject: \x1b]0;owned\x07\r\nFrom: \xc2\x9b31m\r\n\r\n\x1b[2Jtext \xe2\x80\xae evil\r\n"
    )
    site.program("pull", site.url, "--quiet", "--mailbox", "INBOX")
    row = site.program.rows("list")[-1]
    for arguments in (["list"], ["show", row["id"]], ["show", row["id"], "--raw"]):
        shown = _on_terminal(site.program, *arguments)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
        assert "x1b" in shown or arguments == ["list"]


def _on_terminal(program: Program, *arguments: str) -> str:
    """Return what the program shows on a terminal of 200 columns."""
    child, terminal = pty.fork()
    if child == 0:
        termios.tcsetwinsize(0, (24, 200))
        os.chdir(program.home)
        os.execve(program.command[0], [*program.command, *arguments], program.env)
    shown = b""
    while True:
        try:
            octets = os.read(terminal, 4096)
        except OSError:
            break
        if not octets:
            break
        shown += octets
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    return shown.decode()


def test_a_pull_on_a_terminal_shows_a_bar(site: Site) -> None:
    shown = _on_terminal(site.program, "pull", site.url)
    assert "messages" in shown
    assert "%|" in shown
    assert ": complete: " in shown


@pytest.mark.skipif(shutil.which("zstdcat") is None, reason="zstd is not installed (apt-get install zstd)")
def test_the_archive_is_read_without_the_program(pulled: Site, tmp_path: Path) -> None:
    mail = pulled.program.archive / "mail"
    everything = tmp_path / "all.mbox"
    packed = sorted(map(str, mail.glob("*.mbox.zst")))
    octets = subprocess.run(["zstdcat", *packed], capture_output=True, check=True).stdout if packed else b""
    everything.write_bytes(octets + b"".join(file.read_bytes() for file in sorted(mail.glob("*.mbox"))))
    assert _messages_in(everything) == len(_digests(pulled))


def test_failures_are_listed_until_the_message_comes(site: Site) -> None:
    assert site.program.octets("failures", code=10).stdout == b""
    uid = site.account.messages("INBOX")[0].uid
    trouble = Refuse(uids=[uid], mailbox="INBOX", text="[SERVERBUG] cannot \x1b[2J render")
    for tries in (1, 2, 3):
        with faulty(site.server, trouble):
            site.program("pull", site.url, "--quiet", code=3)
        (row,) = site.program.rows("failures")
        assert (row["mailbox"], row["uid"], row["tries"]) == ("INBOX", str(uid), tries)
        assert row["due"] == (tries < 3)
        assert row["last_try"] <= row["next_try"]
        assert row["reason"].endswith("cannot \\x1b[2J render")
    (row,) = site.program.rows("failures")
    header, line = site.program("failures").stdout.splitlines()
    assert header.split() == ["ACCOUNT", "MAILBOX", "UID", "TRIES", "LAST", "TRY", "NEXT", "TRY", "REASON"]
    assert "next pull" not in line
    assert "\x1b" not in line
    assert site.program.rows("failures", "--account", "nobody@host") == []
    assert site.program.rows("failures", "--account", row["account"]) == [row]


def test_without_failures_nothing_is_listed(pulled: Site) -> None:
    assert pulled.program.rows("failures") == []
    assert len(pulled.program("failures").stdout.splitlines()) == 1
