"""The Dovecot of the tests keeps what it is given and counts what is asked of it."""

import imaplib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mailarchive.loopback.corpus import Mail
from tests.servers.dovecot import FORMATS, Dovecot


@pytest.mark.parametrize("mail_format", FORMATS)
def test_mail_comes_back_and_body_fetches_are_counted(start_dovecot: Callable[..., Dovecot], mail_format: str) -> None:
    server = start_dovecot(mail_format=mail_format)
    octets = b"Subject: x\r\n\r\nFrom \xff bare\r and no end"
    server.load_all([Mail("INBOX", octets), Mail("Entwürfe & Ideen", b"one\r\n"), Mail("INBOX", b"two\r\n")])
    assert server.body_fetches() == 0
    assert server.messages("INBOX") == {1: octets, 2: b"two\r\n"}
    assert server.messages("Entwürfe & Ideen") == {1: b"one\r\n"}
    assert server.body_fetches() == 3
    assert server.body_octets() == len(octets) + 10


def test_a_maildir_takes_files_of_any_octets(start_dovecot: Callable[..., Dovecot]) -> None:
    server = start_dovecot(mail_format="maildir", separator=".", prefix="INBOX.")
    server.create("INBOX.Straße.2024")
    server.deliver("INBOX", b"a\0b\r\n", datetime(2020, 1, 2, tzinfo=UTC), "FS")
    assert server.messages("INBOX") == {1: b"a\x80b\r\n"}


def test_commands_are_read_from_the_raw_log(start_dovecot: Callable[..., Dovecot]) -> None:
    server = start_dovecot(rawlog=True)
    server.messages("INBOX")
    assert "UID FETCH 1:* (UID BODY.PEEK[])" in server.commands()
    assert server.doveadm("mailbox", "status", "-u", "user", "messages", "INBOX").strip() == "INBOX messages=0"


def test_tls_is_trusted_by_its_own_authority(start_dovecot: Callable[..., Dovecot]) -> None:
    server = start_dovecot()
    context = ssl.create_default_context(cafile=server.ca_file)
    client = imaplib.IMAP4_SSL("localhost", server.ports.imaps, ssl_context=context, timeout=10)
    assert client.login(server.user, server.password)[0] == "OK"
    client.logout()
