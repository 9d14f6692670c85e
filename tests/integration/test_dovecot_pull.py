"""Pulls from a real Dovecot: what it served, what it counted, and what comes out of the archive again."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailarchive.loopback import corpus
from tests.servers.dovecot import Dovecot

START = datetime(2020, 5, 17, 8, 30, tzinfo=UTC)


def octets_of(number: int) -> bytes:
    """Return an ordinary message."""
    return b"From: a@example.org\r\nSubject: message %d\r\n\r\nFrom line %d\r\n>From line\r\n" % (number, number)


class Pulled:
    """The installed command against one server."""

    def __init__(self, server: Dovecot, root: Path) -> None:
        self.server = server
        self.root = root
        self.url = f"imap://{server.user}@127.0.0.1:{server.port}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "MAILARCHIVE_PASSWORD": self.server.password,
            "MAILARCHIVE_ARCHIVE": str(self.root),
        }
        return subprocess.run(
            [sys.executable, "-m", "mailarchive", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )

    def pull(self, *arguments: str, url: str = "") -> dict[str, Any]:
        done = self.run("pull", url or self.url, "--json", *arguments)
        assert done.returncode == 0, done.stderr
        account: dict[str, Any] = json.loads(done.stdout)["accounts"][0]
        for box in account["mailboxes"]:
            assert box["listed"] == box["new"] + box["known"] + box["failed"] + box["excluded"]
        return account

    def exported(self, where: Path) -> dict[str, list[str]]:
        """Return SHA-256 of the exported files by mailbox."""
        assert self.run("export", str(where), "--format", "eml").returncode == 0
        assert self.run("verify").returncode == 0
        found: dict[str, list[str]] = {}
        for path in where.rglob("*.eml"):
            mailbox = str(path.parent.relative_to(where).as_posix()).partition("/")[2]
            found.setdefault(mailbox, []).append(hashlib.sha256(path.read_bytes()).hexdigest())
        return {mailbox: sorted(digests) for mailbox, digests in found.items()}

    def served(self, *mailboxes: str, delimiter: str = "/") -> dict[str, list[str]]:
        """Return SHA-256 of what the server gives to another client."""
        return {
            mailbox.replace(delimiter, "/"): sorted(
                hashlib.sha256(octets).hexdigest() for octets in self.server.messages(mailbox).values()
            )
            for mailbox in mailboxes
        }


@pytest.fixture
def pulled(dovecot: Dovecot, tmp_path: Path) -> Pulled:
    dovecot.create("Work/2024", "Entw&APw-rfe")
    for number in range(30):
        dovecot.load("INBOX", octets_of(number), START + timedelta(hours=number))
    for number in range(10):
        dovecot.load("Work/2024", octets_of(number + 5), START)
    return Pulled(dovecot, tmp_path / "archive")


def test_the_first_pull_brings_all_and_the_second_no_body(pulled: Pulled, tmp_path: Path) -> None:
    first = pulled.pull()
    assert (first["new"], first["downloaded_messages"], first["stored_messages"]) == (40, 40, 30)
    assert pulled.server.body_fetches() == 40
    second = pulled.pull()
    assert (second["new"], second["known"], second["downloaded_messages"]) == (0, 40, 0)
    assert all(box["unchanged"] for box in second["mailboxes"])
    assert pulled.server.body_fetches() == 40
    assert pulled.exported(tmp_path / "out") == pulled.served("INBOX", "Work/2024")


def test_flags_expunges_new_mailboxes_and_renames_are_followed(pulled: Pulled, tmp_path: Path) -> None:
    pulled.pull()
    server = pulled.server
    client = server.login()
    client.select("INBOX")
    client.uid("STORE", "3", "+FLAGS", "(\\Flagged work)")
    client.uid("STORE", "4:5", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    server.create("New")
    server.load("New", octets_of(100), START)
    account = pulled.pull()
    assert (account["new"], account["gone"], account["flags_changed"]) == (1, 2, 1)
    assert server.body_fetches() == 41
    server.doveadm("mailbox", "rename", "-u", server.user, "New", "Renamed")
    account = pulled.pull()
    assert all(box["unchanged"] for box in account["mailboxes"])
    listed = pulled.run("list", "--mailbox", "INBOX", "--json").stdout.splitlines()
    assert len(listed) == 28
    assert {"\\Flagged", "work"} <= set(next(row for row in map(json.loads, listed) if row["uid"] == "3")["flags"])
    assert len(pulled.run("list", "--mailbox", "INBOX", "--gone", "--json").stdout.splitlines()) == 2
    exported = pulled.exported(tmp_path / "out")
    assert {name: digests for name, digests in exported.items() if not name.endswith(".gone")} == pulled.served(
        "INBOX", "Work/2024", "Renamed"
    )


def odd_messages() -> list[bytes]:
    noise = random.Random(5)
    return [
        b"Subject: bare lf\n\nFrom a\nb",
        b"Subject: crlf\r\n\r\nFrom a\r\n>From b\r\n>>From c\r\n",
        b"Subject: mixed\r\n\na\rb\r\n\n",
        b"Subject: 8-bit \xff\xfe\r\n\r\n\x80\x81\r\n",
        b"Subject: nul\r\n\r\na\0b\r\n",
        b"\r\nonly a body\r\n",
        b"no line end",
        b"From someone Sat Jan  1 00:00:00 2000\r\nSubject: mbox\r\n\r\nx\r\n",
        b"Subject: long line\r\n\r\n" + b"x" * 1_000_000 + b"\r\n",
        b"Subject: noise\r\n\r\n" + noise.randbytes(300_000),
    ]


@pytest.mark.parametrize("mail_format", ["maildir", "sdbox", "mdbox"])
def test_odd_octets_come_out_as_the_server_gave_them(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path, mail_format: str
) -> None:
    server = start_dovecot(mail_format=mail_format)
    assert not server.messages("INBOX")
    for octets in odd_messages():
        if mail_format == "maildir":
            server.deliver("INBOX", octets)
        else:
            server.load("INBOX", octets, START)
    pulled = Pulled(server, tmp_path / "archive")
    assert pulled.pull()["new"] == len(odd_messages())
    assert pulled.exported(tmp_path / "out") == pulled.served("INBOX")


def test_another_separator_and_prefix(start_dovecot: Callable[..., Dovecot], tmp_path: Path) -> None:
    server = start_dovecot(separator=".", prefix="INBOX.", mail_format="maildir")
    server.create("INBOX.a.b")
    server.load("INBOX.a.b", octets_of(1), START)
    server.load("INBOX", octets_of(2), START)
    pulled = Pulled(server, tmp_path / "archive")
    assert pulled.pull()["new"] == 2
    assert pulled.exported(tmp_path / "out") == pulled.served("INBOX", "INBOX.a.b", delimiter=".")


def test_tls_is_verified_against_the_given_authority(dovecot: Dovecot, tmp_path: Path) -> None:
    dovecot.load("INBOX", octets_of(1), START)
    pulled = Pulled(dovecot, tmp_path / "archive")
    url = f"imaps://{dovecot.user}@localhost:{dovecot.ports.imaps}"
    refused = pulled.run("pull", url)
    assert refused.returncode == 20
    assert "certificate" in refused.stderr
    assert pulled.pull("--ca-file", str(dovecot.ca_file), url=url)["new"] == 1
    assert pulled.pull("--ca-file", str(dovecot.ca_file), "--starttls")["new"] == 1


def test_a_pull_without_changes_sends_few_commands_and_opens_nothing(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path
) -> None:
    server = start_dovecot(rawlog=True)
    server.create(*(f"box{number}" for number in range(120)))
    for number in range(5):
        server.load(f"box{number}", octets_of(number), START)
    pulled = Pulled(server, tmp_path / "archive")
    pulled.pull()
    before = len(server.commands())
    assert all(box["unchanged"] for box in pulled.pull()["mailboxes"])
    sent = server.commands()[before:]
    assert len(sent) <= 6
    assert not any("EXAMINE" in line or "SELECT" in line or "FETCH" in line for line in sent)


def test_generated_mail_is_stored_small_and_exact(dovecot: Dovecot, tmp_path: Path) -> None:
    mails = list(corpus.realistic(300, 3))
    dovecot.load_all(mails)
    pulled = Pulled(dovecot, tmp_path / "archive")
    account = pulled.pull("--connections", "3")
    assert account["new"] == len(mails)
    assert pulled.exported(tmp_path / "out") == pulled.served(*sorted({mail.mailbox for mail in mails}))
    stats = json.loads(pulled.run("stats", "--json").stdout)
    assert stats["disk_bytes"] < 0.8 * stats["received_bytes"]
