"""Messages go to a real Dovecot over LMTP, and are there as they were."""

from collections.abc import Callable

import pytest

from mailarchive.config import parse_target_url
from mailarchive.errors import MessageRefused, TargetRefused
from mailarchive.targets.smtp import SmtpTarget
from tests.servers.dovecot import Dovecot

TO = "user@example.org"
MESSAGES = [
    b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n",
    "Subject: eight bits\r\n\r\nß€\r\n".encode(),
    b"Subject: large\r\n\r\n" + (b"." + b"x" * 75 + b"\r\n") * 50_000,
    b"Subject: from\r\n\r\nFrom me\r\n>From you\r\n\r\n\r\n",
]


def urls(server: Dovecot) -> list[str]:
    return [f"lmtp://127.0.0.1:{server.ports.lmtp}", f"lmtp://{server.lmtp_socket}"]


@pytest.fixture
def server(start_dovecot: Callable[..., Dovecot]) -> Dovecot:
    return start_dovecot(lmtp=True)


def send(target: SmtpTarget, octets: bytes) -> str:
    return target.send(len(octets), lambda: [octets])


def kept(server: Dovecot) -> list[bytes]:
    """Return the messages without what was put before them."""
    found = server.messages("INBOX").values()
    assert all(octets.startswith(b"Return-Path: <") for octets in found)
    return [octets.partition(b"\r\n")[2] for octets in found]


def test_messages_are_there_octet_for_octet(server: Dovecot) -> None:
    for url in urls(server):
        target = SmtpTarget(parse_target_url(url), TO)
        for octets in MESSAGES:
            assert send(target, octets).startswith("250 2.0.0 ")
        target.leave()
    assert kept(server) == MESSAGES * 2


def test_a_message_that_is_not_lines_is_refused(server: Dovecot) -> None:
    target = SmtpTarget(parse_target_url(urls(server)[0]), TO)
    with pytest.raises(MessageRefused, match="no way to take unchanged"):
        send(target, b"Subject: bare\n\nline\n")
    send(target, MESSAGES[0])
    target.leave()
    assert kept(server) == MESSAGES[:1]


def test_a_mailbox_that_is_full_takes_nothing(start_dovecot: Callable[..., Dovecot]) -> None:
    rules = ("quota = count:User quota", "quota_rule = *:bytes=20K", "quota_vsizes = yes")
    quota = "\n".join(["mail_plugins = quota", "plugin {", *rules, "}"])
    server = start_dovecot(lmtp=True, extra=quota)
    target = SmtpTarget(parse_target_url(urls(server)[0]), TO)
    send(target, MESSAGES[0])
    with pytest.raises(TargetRefused, match="full"):
        send(target, MESSAGES[2])
    target.close()
    assert kept(server) == MESSAGES[:1]
